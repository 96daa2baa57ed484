"""The Ray engine on a stand-in for Ray in this process; one slow test uses a real cluster."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vad_toolkit.errors import DecodeError, InputError, VadError, WeightsError
from vad_toolkit.extraction import ray_engine as module
from vad_toolkit.extraction.extract import extract_pack
from vad_toolkit.extraction.extractor import Extractor
from vad_toolkit.extraction.in_progress import Extracted
from vad_toolkit.extraction.ray_engine import ray_engine
from vad_toolkit.extraction.sources import VideoSource, list_sources
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import Recipe

ADDRESS = "10.0.0.1:6379"
START_SECONDS = 120


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        super().__init__("a traceback")
        self.cause = cause


class WorkerCrashedError(RayError):
    pass


class FakeRay:
    """Runs tasks in this process when their results are fetched, last first; arguments are copied.

    A worker that processes the video "poison" is lost.
    """

    exceptions = SimpleNamespace(
        RayError=RayError,
        RayTaskError=RayTaskError,
        WorkerCrashedError=WorkerCrashedError,
        NodeDiedError=WorkerCrashedError,
        OutOfMemoryError=WorkerCrashedError,
        ObjectLostError=WorkerCrashedError,
    )

    def __init__(self, gpus: int = 0) -> None:
        self.gpus = gpus
        self.calls: list[Any] = []
        self.order: list[str] = []

    def init(self, address: str, **options: Any) -> None:
        if address.endswith(":1"):
            raise ConnectionError("could not\nfind it")
        self.calls.append(address)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0, **({"GPU": float(self.gpus)} if self.gpus else {})}

    def remote(self, **options: Any) -> Any:
        self.calls.append((options["num_cpus"], options["num_gpus"]))
        return lambda function: SimpleNamespace(remote=lambda *args: self._task(function, *args))

    def _task(self, function: Any, *args: Any) -> Any:
        self.order.append(args[-1].id)
        return partial(function, *pickle.loads(pickle.dumps(args)))

    def wait(self, tasks: list[Any], num_returns: int, timeout: float) -> Any:
        return tasks[-num_returns:], tasks[:-num_returns]

    def get(self, task: Any) -> Any:
        if task.args[-1].id == "poison":
            raise WorkerCrashedError("a\nworker")
        try:
            return task()
        except VadError as error:
            raise RayTaskError(error) from error


class FakeExtractor:
    def __init__(self, device: str) -> None:
        self.device = device

    def extract_many(self, videos: Iterable[VideoSource]) -> Iterator[Extracted]:
        for video in videos:
            assert video.path.is_absolute()
            yield Extracted(video, None, DecodeError(f"{self.device} {os.environ['VAD_PLUGINS']}"))


def broken(device: str) -> Extractor:
    raise WeightsError(f"no weights for {device}")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)  # type: ignore[arg-type]
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("VAD_PLUGINS", "")
    yield ray
    module._extractor.cache_clear()


def run(make: Any, device: str, ids: Iterable[str] = ("a",)) -> dict[VideoSource, str]:
    sources = [VideoSource(id, Path(id), frames=9 - place) for place, id in enumerate(ids)]
    results = ray_engine(make, device, ADDRESS)(sources, lambda *_: None)
    return {result.source: str(result.error) for result in results}


def test_each_video_is_a_task_longest_first(fake: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources come back as they were given, and workers know the driver's plugins."""
    monkeypatch.setenv("VAD_PLUGINS", "my_plugin")
    found = run(FakeExtractor, "auto", ["a", "b", "c"])
    assert {source.path: error for source, error in found.items()} == {
        Path(id): "cpu my_plugin" for id in "abc"
    }
    assert fake.order == ["a", "b", "c"]
    assert fake.calls == [ADDRESS, (1, 0), "shutdown"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # not the one that Ray has set


def test_gpus_are_used_if_the_cluster_has_some(fake: FakeRay) -> None:
    fake.gpus = 2
    assert list(run(FakeExtractor, "auto").values()) == ["cuda "]
    assert fake.calls[1] == (1, 1)


def test_a_video_whose_worker_is_lost_fails_alone(fake: FakeRay) -> None:
    found = {source.id: error for source, error in run(FakeExtractor, "cpu", "axb").items()}
    assert found == {"a": "cpu ", "x": "cpu ", "b": "cpu "}
    lost = {
        source.id: error for source, error in run(FakeExtractor, "cpu", ["a", "poison"]).items()
    }
    assert lost["a"] == "cpu "
    assert lost["poison"] == "poison: lost twice on the cluster (a worker)"


def test_an_extractor_that_cannot_be_made_ends_the_run(fake: FakeRay) -> None:
    with pytest.raises(WeightsError, match="no weights for cpu"):
        run(broken, "auto")
    assert fake.calls[-1] == "shutdown"


def test_an_interrupted_run_disconnects(fake: FakeRay) -> None:
    results = ray_engine(FakeExtractor, "cpu", ADDRESS)(  # type: ignore[arg-type]
        [VideoSource("a", Path("a")), VideoSource("b", Path("b"))], lambda *_: None
    )
    next(results)
    results.close()
    assert fake.calls[-1] == "shutdown"


def test_a_cluster_without_gpus(fake: FakeRay) -> None:
    with pytest.raises(InputError, match="the Ray cluster has no GPU; use --device cpu"):
        run(FakeExtractor, "cuda")


def test_the_address_of_a_cluster_is_required(
    fake: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in (None, "", "local", "auto"):
        with pytest.raises(InputError, match=r"HOST:PORT.*`ray start --head`.*RAY_ADDRESS"):
            ray_engine(FakeExtractor, "cpu", address)  # type: ignore[arg-type]
    monkeypatch.setenv("RAY_ADDRESS", ADDRESS)
    list(ray_engine(FakeExtractor, "cpu", None)([], lambda *_: None))  # type: ignore[arg-type]
    assert fake.calls[0] == ADDRESS


def test_a_cluster_that_does_not_answer(fake: FakeRay) -> None:
    engine = ray_engine(FakeExtractor, "cpu", "10.0.0.1:1")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"at 10.0.0.1:1 \(could not find it\); start one with"):
        list(engine([], lambda *_: None))


def test_single_devices_are_for_ray_to_choose(recipe: Recipe) -> None:
    for device in ("cuda:1", "cpu,cpu", "all"):
        with pytest.raises(InputError, match="Ray, which places the tasks itself; allowed: auto"):
            ray_engine(partial(Extractor, recipe), device, ADDRESS)


def test_without_ray_one_line_says_what_to_install(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'vad-toolkit\[ray\]'"):
        ray_engine(partial(Extractor, recipe), "auto", ADDRESS)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A real cluster of one core on this machine."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'vad-toolkit[ray]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block")]
    command += ["--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=1", "--num-gpus=0"]
    command += ["--include-dashboard=false", "--disable-usage-stats"]
    command += [f"--object-store-memory={80 << 20}"]
    # The raylet lowers the priority of workers, which then starve on a busy machine.
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    head = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    try:
        assert head.stdout is not None
        for line in head.stdout:
            if "Ray runtime started" in line:
                break
        assert head.poll() is None
        yield f"127.0.0.1:{port}"
    finally:
        head.send_signal(signal.SIGTERM)  # ends all processes of this cluster, and of no other
        head.wait(START_SECONDS)
        if head.stdout is not None:
            head.stdout.close()  # not read to its end: processes of Ray may hold it for a while


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_cluster(videos: Path, recipe: Recipe, tmp_path: Path, cluster: str) -> None:
    """A run that is ended by SIGTERM resumes; the pack is that of a local run."""
    folder = tmp_path / "many"
    for number in range(8):  # enough that the signal comes before the end
        shutil.copytree(videos / "good", folder / str(number))
    local = extract_pack(list_sources(folder), recipe, tmp_path / "local.h5", device="cpu")
    out = tmp_path / "ray.h5"
    code = (
        "from vad_cli.main import main; main()",
        *("extract", str(folder), "--like", str(local.pack), "--out", str(out)),
        *("--engine", "ray", "--address", cluster),
    )
    run = subprocess.Popen([sys.executable, "-c", *code])
    parts = tmp_path / "ray.h5.parts"
    while not any(parts.glob("*.h5")):
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGTERM)
    assert run.wait(START_SECONDS) in (143, -signal.SIGTERM)  # the latter while Ray shuts down
    done = subprocess.run([sys.executable, "-c", *code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "videos reused" in done.stdout
    with FeaturePack.open(local.pack) as a, FeaturePack.open(out) as b:
        assert a.content_sha256 == b.content_sha256
