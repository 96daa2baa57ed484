"""Ctrl-C and SIGTERM in every stage of an extraction: the exit code, and a run that goes on.

Real processes, real signals, a small real network. How long it takes to end is told, and bounded
far above the five seconds that are promised, since a loaded machine is no defect.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.video.encode import write_video
from vad_toolkit.weights.store import get_weights

END_SECONDS = 200.0
WAIT_SECONDS = 200.0
SMALL = ("--set", "weights=i3d-rgb-random", "--set", "resize=64", "--set", "crop_size=64")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for index in range(6):
        texture = np.random.default_rng(index).integers(0, 256, (64, 96, 3), np.uint8)
        frames = (np.roll(texture, 2 * i, axis=1) for i in range(64))
        write_video(folder / f"{index}.mp4", frames, fps=8)
    return folder


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAD_HOME", str(tmp_path_factory.mktemp("home")))
        get_weights("i3d-rgb-random")
        yield


def extract(videos: Path, out: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-c", "from vad_cli.main import main; main()", "extract", str(videos)),
        *("--recipe", "i3d-rgb-center", *SMALL, "--out", str(out), *options),
    ]


def digest(pack: Path) -> str:
    with FeaturePack.open(pack) as opened:
        assert opened.verify() == []
        return opened.content_sha256


@pytest.fixture(scope="module")
def expected(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("whole") / "whole.h5"
    subprocess.run(extract(videos, out), check=True, capture_output=True)
    return digest(out)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def told_of(pids: set[int]) -> list[str]:
    """The state and the command of each process that is there, for a message."""
    found = []
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            found.append(f"{pid} {state} {command.strip()[:200]}")
    return found


def descendants(pid: int) -> set[int]:
    """Return all processes below one, as /proc has them."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


def runs_below(pid: int, name: bytes) -> bool:
    """Whether a process with this in its command runs below `pid`."""
    for child in descendants(pid):
        try:
            if name in Path(f"/proc/{child}/cmdline").read_bytes():
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue
    return False


def listen_to_interrupts() -> None:
    """Tests that run in the background of a shell ignore Ctrl-C, and so do their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt(
    command: list[str], ready: Callable[[int], bool], number: signal.Signals
) -> tuple[int, str]:
    """Send a signal when `ready`; return the exit code and stderr when all processes are gone."""
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=listen_to_interrupts
    )
    try:
        limit = time.monotonic() + WAIT_SECONDS
        while not ready(process.pid):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < limit
            time.sleep(0.005)
        process.send_signal(signal.SIGSTOP)  # so that it is still there when all is ready
        below = descendants(process.pid)
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        sent = time.monotonic()
        _, told = process.communicate(timeout=END_SECONDS)
        print(f"ended {time.monotonic() - sent:.1f} s after the signal")
    finally:
        process.kill()
    limit = time.monotonic() + END_SECONDS
    while any(Path(f"/proc/{pid}").exists() for pid in below):
        if time.monotonic() > limit:
            outlived = told_of(below)
            for pid in below:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            pytest.fail(f"outlived the run that started it: {outlived}")
        time.sleep(0.02)
    return process.returncode, told


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("number", "options"),
    [
        (signal.SIGINT, ()),
        (signal.SIGTERM, ("--device", "cpu,cpu")),
    ],
)
def test_while_features_are_made(
    videos: Path, tmp_path: Path, expected: str, number: signal.Signals, options: tuple[str, ...]
) -> None:
    out = tmp_path / "pack.h5"
    command = extract(videos, out, *options)
    parts = tmp_path / "pack.h5.parts"
    code, told = interrupt(command, lambda _: any(parts.glob("*.h5")), number)
    assert (code, out.exists()) == (128 + number, False)
    assert "Traceback" not in told
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    reused = next(line for line in done.stdout.splitlines() if line.startswith("videos reused"))
    assert int(reused.split()[-1]) >= 1
    assert digest(out) == expected
    assert names(tmp_path) == ["pack.h5"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_decoding(videos: Path, tmp_path: Path, number: signal.Signals) -> None:
    """No batch is full before all is decoded."""
    command = extract(videos, tmp_path / "pack.h5", "--batch", "1000")
    code, told = interrupt(command, lambda pid: runs_below(pid, b"decode_child"), number)
    assert code == 128 + number
    assert "Traceback" not in told
    assert names(tmp_path) in ([], ["pack.h5.parts"])


# A call into C that goes on when a signal has come, as a long forward pass does: for a lock that
# this thread holds itself.
LONG_STEP = """
import ctypes
from vad_cli.signals import handle_signals
handle_signals()
lock, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)
libc.pthread_mutex_lock(lock)
print("ready", flush=True)
libc.pthread_mutex_lock(lock)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_step_that_does_not_end(number: signal.Signals) -> None:
    """Python handles no signal before the step's end: the process is ended all the same."""
    process = subprocess.Popen(
        [sys.executable, "-c", LONG_STEP],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=listen_to_interrupts,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(number)
    _, told = process.communicate(timeout=END_SECONDS)
    assert process.returncode == 128 + number
    assert told == "Interrupted: finished work is kept.\n"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_runs_on_one_folder_started_together(
    videos: Path, tmp_path: Path, expected: str
) -> None:
    """One is refused while the other has the lock, or comes later and finds all videos made."""
    out = tmp_path / "pack.h5"
    runs = [
        subprocess.Popen(
            extract(videos, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told = [run.communicate()[1] for run in runs]
    codes = [run.returncode for run in runs]
    assert 0 in codes
    for code, text in zip(codes, told, strict=True):
        assert code == 0 or (code == 2 and "another run is writing to" in text)
    assert digest(out) == expected
    assert names(tmp_path) == ["pack.h5"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_shards_in_one_folder_started_together(
    videos: Path, tmp_path: Path, expected: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in videos.iterdir():
        (folder / path.name).symlink_to(path)
    for number in range(2):
        (folder / f"bad-{number}.mp4").write_bytes(b"no video")
    out = tmp_path / "out" / "pack.h5"
    runs = [
        subprocess.Popen(
            extract(folder, out, "--shard", f"{number}/2"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2)
    ]
    told = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [1, 1]  # each has a video that is none
    assert any("vad pack merge" in out for out, _ in told)
    failures = (out.parent / "failures.jsonl").read_text().splitlines()
    assert len(failures) == 2
    merge = [*extract(folder, out)[:3], "pack", "merge", *map(str, out.parent.glob("*-of-2.h5"))]
    subprocess.run([*merge, "--out", str(out)], check=True, capture_output=True)
    assert digest(out) == expected
