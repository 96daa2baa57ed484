"""Memory of the extraction of a very long video.

    python benchmarks/long_video.py [--hours 2] [--fps 10] [--recipe i3d-rgb-center] [--size 224]

A rendered video of 320x240 goes through `vad_toolkit.extraction`, from file to pack. Random weights
serve. `--size` is that of crops (and of the short side, in proportion): smaller ones make the run
short and change nothing but the memory of the network itself, which `--size 224 --hours 0.02`
shows. Rows, in MB:

- baseline: this process before the first frame, libraries and network loaded;
- peak: the most that it came to, the pack written;
- decoder: the most that the decoder's process came to.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from decode import video
from machine import RESULTS, memory_mb, processor, slug, write_result

from vad_toolkit.extraction.extract import extract_pack
from vad_toolkit.extraction.extractor import Extractor
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.weights.store import get_weights


def children_mb() -> float:
    """The most memory that any child of this process has had since it began its own program."""
    most = 0.0
    children = Path("/proc/self/task").glob("*/children")
    for pid in {pid for file in children for pid in file.read_text().split()}:
        try:
            lines = Path("/proc", pid, "status").read_text().splitlines()
        except FileNotFoundError:
            continue
        most = max([most, *(int(x.split()[1]) / 2**10 for x in lines if x.startswith("VmHWM"))])
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--recipe", default="i3d-rgb-center")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--folder", type=Path, help="where the video is kept for another run")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    frames = round(options.hours * 3600 * options.fps)
    get_weights("i3d-rgb-random")
    fields = {
        "weights": "i3d-rgb-random",
        "crop_size": options.size,
        "resize": round(options.size * 256 / 224),
    }
    recipe = load_recipe(options.recipe, fields)
    with tempfile.TemporaryDirectory() as scratch:
        path = (options.folder or Path(scratch)) / f"{frames} frames.mp4"
        if not path.exists():
            video(path, 240, 320, frames)
        extractor = Extractor(recipe, "cpu")
        decoder = 0.0

        def look(_: object) -> None:
            nonlocal decoder
            decoder = max(decoder, children_mb())

        baseline = memory_mb("VmRSS")
        start = time.perf_counter()
        summary = extract_pack(
            [VideoSource("long", path)],
            recipe,
            Path(scratch) / "long.h5",
            engine=extractor.extract_many,
            progress=look,
        )
        seconds = time.perf_counter() - start
    assert summary.frames == frames, summary
    row = {
        "baseline_mb": round(baseline),
        "peak_mb": round(memory_mb("VmHWM")),
        "decoder_mb": round(decoder),
        "frames": frames,
        "snippets": summary.snippets,
        "frames_per_second": round(frames / seconds, 1),
    }
    setting = {
        "recipe": options.recipe,
        "crop_size": options.size,
        "hours": options.hours,
        "fps": options.fps,
    }
    write_result(
        options.out / f"long_video-{options.recipe}-{options.size}-{slug(processor())}.json",
        setting=setting,
        machine={"device": processor(), "threads": torch.get_num_threads()},
        rows={f"{options.hours:g} hours": row},
        torch=torch.__version__,
    )


if __name__ == "__main__":
    main()
