from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.video.open import open_video
from vad_toolkit.video.reader import DecodeStats
from vad_toolkit.video.worker import DecodeWorker

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def read(worker: DecodeWorker, path: Path, decoder: str = "auto") -> NDArray[np.uint8]:
    with worker.stream(path, decoder) as stream:
        return np.concatenate(list(stream))


def is_running(pid: int) -> bool:
    """Say whether a process runs; one that ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_for_end(pid: int) -> None:
    while is_running(pid):  # the test's own time limit ends this
        time.sleep(0.01)


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_frames_are_those_of_a_reader_in_this_process(
    worker: DecodeWorker, plain: Path, decoder: str
) -> None:
    reader = open_video(plain, decoder)
    with worker.stream(plain, decoder, chunk_frames=7) as stream:
        assert stream.info == reader.info
        chunks = list(stream)
        assert stream.stats == DecodeStats(40, 40, 0)
    assert [len(chunk) for chunk in chunks] == [7, 7, 7, 7, 7, 5]
    np.testing.assert_array_equal(np.concatenate(chunks), np.concatenate(list(reader.chunks(40))))


def test_one_child_serves_many_videos(worker: DecodeWorker, plain: Path, long: Path) -> None:
    assert worker.pid is None
    first = read(worker, plain)
    pid = worker.pid
    assert len(read(worker, long)) == 90
    np.testing.assert_array_equal(read(worker, plain), first)
    assert worker.pid == pid


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_closing_early_leaves_nothing_for_the_next(
    worker: DecodeWorker, plain: Path, long: Path, decoder: str
) -> None:
    expected = read(worker, plain)
    for taken in (0, 1, 2, 89):
        with worker.stream(long, decoder, chunk_frames=1) as stream:
            for _ in range(taken):
                next(stream)
        np.testing.assert_array_equal(read(worker, plain), expected)
        with pytest.raises(RuntimeError, match="the stream was closed before its end"):
            next(stream)
        stream.close()


def test_a_second_stream_beside_an_open_one_is_refused(worker: DecodeWorker, long: Path) -> None:
    with worker.stream(long) as stream:
        with pytest.raises(RuntimeError, match="one stream at a time; close the last one"):
            worker.stream(long)
        with pytest.raises(RuntimeError, match="the frame counts are known after the last chunk"):
            _ = stream.stats


def test_wrong_values_are_refused(worker: DecodeWorker, plain: Path) -> None:
    with pytest.raises(InputError, match="unknown decoder 'ffmpeg'; available: auto, pyav"):
        worker.stream(plain, "ffmpeg")
    with pytest.raises(InputError, match="chunk_frames must be an integer >= 1, got 0"):
        worker.stream(plain, chunk_frames=0)
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="timeout_seconds must be a number > 0, got"):
            DecodeWorker(seconds)


def test_odd_names_and_relative_paths(
    worker: DecodeWorker, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(read(worker, plain)) == 40  # the child starts in another folder
    monkeypatch.chdir(tmp_path)
    for name in ("a b: 日本 ü.mp4", "-x.mp4", "file:a.mp4", "%d.mp4", "latin\udcfc.mp4"):
        path = Path(name)
        try:
            path.write_bytes(plain.read_bytes())
        except OSError:
            continue  # a file system that takes UTF-8 only
        assert len(read(worker, path)) == 40


def test_bad_files_give_one_clear_error_and_the_child_goes_on(
    worker: DecodeWorker, plain: Path, tmp_path: Path
) -> None:
    read(worker, plain)
    pid = worker.pid
    empty = tmp_path / "empty.mp4"
    empty.touch()
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(plain.read_bytes()[:-3000])
    for path, message in {
        empty: "is empty (0 bytes)",
        tmp_path: "is a folder",
        tmp_path / "gone.mp4": "cannot be opened (No such file or directory)",
        damaged: "damaged or cut short, frames lost: ",
    }.items():
        with pytest.raises(DecodeError, match=re.escape(f"{path}: {message}")) as caught:
            read(worker, path)
        assert "\n" not in str(caught.value)
    assert len(read(worker, plain)) == 40
    assert worker.pid == pid


def test_where_decord_fails_midway_pyav_is_worth_a_try(
    worker: DecodeWorker, make_video, tmp_path: Path
) -> None:
    source = make_video(
        "a.mp4",
        codec="libvpx-vp9",
        codec_options={"deadline": "realtime"},
        container_options={"movflags": "faststart"},
    )
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 1000] = bytes(1000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    with pytest.raises(DecodeError, match="Decord returned") as caught:
        read(worker, path)
    assert caught.value.retry == "pyav"
    with pytest.raises(DecodeError, match=r"frames lost: \d+ of 40") as caught:
        read(worker, path, "pyav")
    assert caught.value.retry is None


@pytest.mark.parametrize(("decoder", "retry"), [("auto", "pyav"), ("decord", None), ("pyav", None)])
def test_a_crash_is_an_error_and_the_next_video_gets_a_new_child(
    worker: DecodeWorker, long: Path, decoder: str, retry: str | None
) -> None:
    stream = worker.stream(long, decoder, chunk_frames=1)
    next(stream)
    pid = worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSEGV)
    with pytest.raises(DecodeError, match=r"long.mp4: the decoder crashed \(SIGSEGV") as caught:
        list(stream)
    assert caught.value.retry == retry
    assert len(read(worker, long, decoder)) == 90
    assert worker.pid != pid


def test_a_child_that_died_between_videos_is_replaced(worker: DecodeWorker, plain: Path) -> None:
    read(worker, plain)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    assert len(read(worker, plain)) == 40


def test_a_hang_ends_with_the_time_limit(long: Path) -> None:
    with DecodeWorker(timeout_seconds=60) as worker:
        stream = worker.stream(long, chunk_frames=1)
        pid = worker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # a decoder that hangs
        stream._timeout = 0.2
        with pytest.raises(DecodeError, match=r"long.mp4: no frames within 0.2 s") as caught:
            list(stream)
        assert caught.value.retry == "pyav"
        assert not is_running(pid)
        assert len(read(worker, long)) == 90


def test_closing_a_stream_that_hangs_kills_the_child(
    worker: DecodeWorker, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vad_toolkit.video.worker.CANCEL_SECONDS", 0.2)
    stream = worker.stream(long, chunk_frames=1)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    stream.close()
    assert worker.pid is None
    assert len(read(worker, long)) == 90


def test_a_stream_outlived_by_its_worker_ends(long: Path) -> None:
    worker = DecodeWorker()
    stream = worker.stream(long)
    worker.close()
    worker.close()
    with pytest.raises(RuntimeError, match="the stream was closed before its end"):
        next(stream)
    stream.close()


@only_linux
def test_nothing_is_left_behind(plain: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with DecodeWorker() as worker:
        read(worker, plain)
    gc.collect()  # what other tests have left
    files, threads = open_files(), threading.active_count()
    with DecodeWorker() as worker:
        read(worker, plain)
        pid = worker.pid
    assert pid is not None
    assert not is_running(pid)
    forgotten = DecodeWorker()
    read(forgotten, plain)
    pid = forgotten.pid
    assert pid is not None
    del forgotten
    assert not is_running(pid)
    assert (open_files(), threading.active_count()) == (files, threads)


@only_linux
def test_a_child_does_not_decode_ahead_of_an_idle_consumer(
    worker: DecodeWorker, make_video
) -> None:
    # Frames so many that four slots, and what a decoder keeps for itself, are a small part.
    path = make_video("wide.avi", codec="mjpeg", pixels="yuvj420p", sizes=[(1280, 720)], frames=90)
    whole = 90 * 1280 * 720 * 3
    with worker.stream(path, chunk_frames=1) as stream:
        next(stream)
        start = resident_bytes(worker)
        time.sleep(1.0)  # enough for hundreds of such frames
        assert resident_bytes(worker) - start < whole / 4
        assert sum(map(len, stream)) == 89


def resident_bytes(worker: DecodeWorker) -> int:
    pages = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# No `if __name__ == "__main__"`: a child that imported its parent's script would decode for ever.
SCRIPT = """
import sys, threading, time
from pathlib import Path
from vad_toolkit.video.worker import DecodeWorker
assert not {"torch", "av", "decord"} & set(sys.modules)
worker = DecodeWorker()
def start():
    global stream
    stream = worker.stream(Path(sys.argv[1]), chunk_frames=1)
    next(stream)
"""


def run_script(body: str, video: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + textwrap.dedent(body), str(video)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@only_linux
@pytest.mark.parametrize(
    ("thread", "hangs"),
    [(False, False), (False, True), (True, False)],
    ids=["started by the main thread", "hangs", "started by a thread"],
)
def test_a_child_dies_with_its_parent(long: Path, thread: bool, hangs: bool) -> None:
    start = "t = threading.Thread(target=start); t.start(); t.join()" if thread else "start()"
    with run_script(f"{start}\nprint(worker.pid, flush=True)\ntime.sleep(600)", long) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        if hangs:
            os.kill(child, signal.SIGSTOP)
        parent.kill()
        wait_for_end(child)


def test_a_decoders_noise_stays_in_the_child(reference: Path) -> None:
    path = reference / "video/edge_cases/corrupted.mp4"
    body = """
    from vad_toolkit.errors import DecodeError
    for decoder in ("decord", "pyav"):
        try:
            list(worker.stream(Path(sys.argv[1]), decoder))
        except DecodeError:
            print("refused")
    """
    with run_script(body, path) as process:
        assert process.communicate() == ("refused\nrefused\n", "")
        assert process.returncode == 0


def test_a_video_that_crashes_every_child_is_an_error(
    worker: DecodeWorker, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(worker, plain)
    monkeypatch.setattr("vad_toolkit.video.worker.CHILD_MODULE", "vad_toolkit.video.absent")
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(DecodeError, match=r"crashed \(exit code 1: .*No module named"):
        worker.stream(plain)
    monkeypatch.undo()
    assert len(read(worker, plain)) == 40
