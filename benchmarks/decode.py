"""Speed of decoding, and the cost of decoding in a separate process.

    python benchmarks/decode.py [--rounds 7] [--out benchmarks/results]

Rendered H.264 videos of 320x240 and 1280x720 are read in several ways, which take turns:

- decord, pyav: in this process, frames as numpy arrays;
- process: through `DecodeWorker` with decoder `auto`, as extraction does;
- two processes: `DecodeAhead` with two jobs on two copies of the file;
- jpeg: as popular scripts do, each frame is written as a JPEG and read again, once.

`cpu_us` is the processor time of this process per frame, in microseconds.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import RESULTS, processor, slug, write_result
from PIL import Image
from popular_scripts import write_frames

from vad_toolkit.extraction.decoding import DecodeAhead, Frames
from vad_toolkit.video.encode import write_video
from vad_toolkit.video.open import open_video
from vad_toolkit.video.worker import DecodeWorker

SIZES = {"320x240": (240, 320, 800), "1280x720": (720, 1280, 160)}  # height, width, frames
CHUNK = 16


def video(path: Path, height: int, width: int, frames: int) -> Path:
    """Write a video of moving noise blocks, which are harder to decode than most surveillance."""
    generator = np.random.default_rng(0)
    shape = (height // 8 + 20, width // 8 + 20, 3)
    texture = generator.integers(0, 256, shape, np.uint8).repeat(8, 0).repeat(8, 1)
    pictures = (np.roll(texture, (2 * i, 3 * i), (0, 1))[:height, :width] for i in range(frames))
    write_video(path, pictures, fps=25)
    return path


def read_here(path: Path, decoder: str) -> int:
    reader = open_video(path, decoder)
    try:
        return sum(len(chunk) for chunk in reader.chunks(CHUNK))
    finally:
        reader.close()


def read_through(worker: DecodeWorker, path: Path) -> int:
    with worker.stream(path, "auto", CHUNK) as stream:
        return sum(len(chunk) for chunk in stream)


def read_ahead(paths: list[Path]) -> int:
    with DecodeAhead(paths, jobs=len(paths), chunk_frames=CHUNK) as events:
        return sum(len(event.frames) for event in events if isinstance(event, Frames))


def read_jpegs(path: Path, scratch: Path) -> int:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        return len([np.asarray(Image.open(file)) for file in write_frames(path, Path(folder))])


def measure(name: str, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Return a row per way: frames per second, and processor time of this process."""
    height, width, count = SIZES[name]
    path = video(folder / f"{name}.mp4", height, width, count)
    copy = folder / f"{name} copy.mp4"
    shutil.copy(path, copy)
    with DecodeWorker() as worker:
        ways: dict[str, Callable[[], int]] = {
            "decord": lambda: read_here(path, "decord"),
            "pyav": lambda: read_here(path, "pyav"),
            "process": lambda: read_through(worker, path),
            "two processes": lambda: read_ahead([path, copy]),
            "jpeg": lambda: read_jpegs(path, folder),
        }
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for round_number in range(rounds + 1):
            for way, read in ways.items():
                start, spent = time.perf_counter(), time.process_time()
                frames = read()
                seconds = (time.perf_counter() - start) / frames
                if round_number:  # the first round warms up
                    found[way].append((seconds, (time.process_time() - spent) / frames))
    return {
        f"{name} {way}": {
            "frames_per_second": round(1 / statistics.median(seconds for seconds, _ in pairs), 1),
            "cpu_us": round(1e6 * statistics.median(spent for _, spent in pairs), 1),
        }
        for way, pairs in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in SIZES:
            rows |= measure(name, options.rounds, Path(folder))
    write_result(
        options.out / f"decode-{slug(processor())}.json",
        setting={"codec": "h264", "chunk_frames": CHUNK, "rounds": options.rounds},
        machine={"device": processor()},
        rows=rows,
    )


if __name__ == "__main__":
    main()
