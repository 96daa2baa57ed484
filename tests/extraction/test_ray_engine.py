"""A real Ray cluster of a head and two workers on this machine, of which one is killed."""

from __future__ import annotations

import builtins
import os
import signal
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from vad_toolkit.errors import DecodeError, InputError, WeightsError
from vad_toolkit.extraction.extract import extract_pack
from vad_toolkit.extraction.extractor import Extractor, OnFrames
from vad_toolkit.extraction.in_progress import Extracted
from vad_toolkit.extraction.ray_engine import ray_engine
from vad_toolkit.extraction.sources import VideoSource, list_sources
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import Recipe

STORE_BYTES = 80 << 20


class Two:
    """A head that computes nothing, and two workers of one core."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "num_gpus": 0, "object_store_memory": STORE_BYTES},
        )
        self.workers = [self.add() for _ in range(2)]
        self.address: str = self.cluster.address

    def add(self) -> Any:
        return self.cluster.add_node(num_cpus=1, num_gpus=0, object_store_memory=STORE_BYTES)

    def kill(self) -> None:
        self.cluster.remove_node(self.workers.pop(0), allow_graceful=False)


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'vad-toolkit[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # else others leave them no time
        made = Two()
        yield made
        made.cluster.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_machine_changes_nothing(
    two: Two, videos: Path, recipe: Recipe, tmp_path: Path
) -> None:
    sources = list_sources([videos])
    sources += [VideoSource(f"again/{s.id}", s.path) for s in sources]
    engine = ray_engine(partial(Extractor, recipe), "auto", two.address)

    def killing(
        videos: Sequence[VideoSource], on_frames: OnFrames
    ) -> Generator[Extracted, None, None]:
        for count, result in enumerate(engine(videos, on_frames)):
            if count == 1:
                two.kill()
            yield result

    handler = signal.getsignal(signal.SIGTERM)
    local = extract_pack(sources, recipe, tmp_path / "local.h5", device="cpu")
    ray = extract_pack(sources, recipe, tmp_path / "ray.h5", engine=killing)
    assert signal.getsignal(signal.SIGTERM) is handler
    two.workers.append(two.add())
    assert ray.extracted == local.extracted
    assert ray.failures == local.failures
    with FeaturePack.open(local.pack) as a, FeaturePack.open(ray.pack) as b:
        assert b.verify() == []
        assert a.content_sha256 == b.content_sha256


class Fake:
    """`poison` ends its process, `once` only the first time."""

    def __init__(self, log: Path, device: str) -> None:
        self.log = log
        self.device = device

    def extract_many(self, videos: Iterable[VideoSource]) -> Iterator[Extracted]:
        for video in videos:
            with (self.log / video.id).open("a") as log:
                print(os.getpid(), file=log)
            tries = len((self.log / video.id).read_text().split())
            if video.id == "poison" or (video.id == "once" and tries == 1):
                os.kill(os.getpid(), signal.SIGKILL)
            yield Extracted(video, None, DecodeError(f"made on {self.device}"))


def broken(device: str) -> Extractor:
    raise WeightsError(f"no weights for {device}")


@pytest.fixture
def by_value(two: Two) -> Iterator[None]:
    """What stands in this file goes to the workers as it is: they cannot import it."""
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_processes_that_die(two: Two, by_value: None, tmp_path: Path) -> None:
    engine = ray_engine(partial(Fake, tmp_path), "cpu", two.address)  # type: ignore[arg-type]
    sources = [VideoSource(id, Path(id)) for id in ("a", "once", "poison", "b", "c")]
    became = {result.source: str(result.error) for result in engine(sources, lambda *_: None)}
    assert list(map(became.get, sources[:2])) == ["made on cpu"] * 2
    assert "poison: lost twice on the cluster" in became[sources[2]]
    assert list(map(became.get, sources[3:])) == ["made on cpu"] * 2
    assert [len((tmp_path / id).read_text().split()) for id in ("a", "once", "poison")] == [1, 2, 2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_an_extractor_cannot_be_made_for_ends_the_run(two: Two, by_value: None) -> None:
    engine = ray_engine(broken, "auto", two.address)
    with pytest.raises(WeightsError, match="no weights for cpu"):
        list(engine([VideoSource("a", Path("a"))], lambda *_: None))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cluster_without_gpus(two: Two, by_value: None) -> None:
    engine = ray_engine(broken, "cuda", two.address)
    with pytest.raises(InputError, match="the Ray cluster has no GPU"):
        list(engine([VideoSource("a", Path("a"))], lambda *_: None))


def test_places_are_for_ray_to_choose(recipe: Recipe) -> None:
    for device in ("cuda:1", "cpu,cpu", "all"):
        with pytest.raises(InputError, match="Ray places the work itself"):
            ray_engine(partial(Extractor, recipe), device)


def test_without_ray_one_line_says_what_to_install(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return whole(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'vad-toolkit\[ray\]'"):
        ray_engine(partial(Extractor, recipe), "auto")
