"""Time of a whole training run at UCF-Crime's size, including reading.

    python benchmarks/train_full.py --folder DIR [--device auto] [--config clav-como] [--steps 3000]
                                    [--pairs 64] [--precision float32] [--videos 1610]
                                    [--threads N] [--out DIR]

A pack of UCF-Crime's training videos with their real lengths, ten crops and 1,024 random features
is written into `--folder` once (16.2 GB for all 1,610 videos) and reused by later runs. Then
`training.train.train` runs as in `vad train`, with validation every 50 steps, log, states and
checkpoints. The pack is dropped from the page cache before, and the cache of segments is a new
folder, so that all features are read from the disk.

Rows:
- run: seconds from the call to the finished run folder; `seconds_reading` until the last video was
  read and its segments written; `seconds_a_step` from the first to the last line of the log,
  including validation; on a GPU the peak of torch's allocations;
- device (GPU only): a second, short run under torch's profiler, with the share of time during 100
  steps and two validations in which no kernel and no copy ran on the device. The profiler slows the
  host down, so that the true share is at most this.

With fewer `--videos` the shortest of each label are used, to try the script.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import RESULTS, processor, slug, write_result
from pack_io import set_cache
from synthetic import video_meta

from vad_toolkit.core.device import pick_device
from vad_toolkit.core.progress import ProgressEvent
from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.packs.video import SnippetBlocks, StreamedVideo, block_snippets
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.train import train

DATASET = "ucf-crime"
WIDTH = 1024
PROFILED = (100, 200)  # steps; both ends are lines of the log, where the device is waited for


def choose(videos: int) -> list[Entry]:
    """Training videos in the manifest's order: all, or the shortest ones, half of each label."""
    listed = find_manifest(DATASET, "train")
    if videos >= len(listed):
        return list(listed)
    kept: set[str] = set()
    for side in (listed.normal, listed.abnormal):
        shortest = sorted(side, key=lambda entry: entry.frames or 0)
        kept |= {entry.id for entry in shortest[: videos // 2]}
    return [entry for entry in listed if entry.id in kept]


def write_features(folder: Path, entries: list[Entry]) -> tuple[Path, Path]:
    """Write a manifest and a pack of random features, unless the pack exists; return both."""
    pack, manifest = folder / f"{DATASET}-{len(entries)}.h5", folder / f"{DATASET}.jsonl"
    write_manifest(manifest, entries)
    if not pack.exists():
        recipe = load_recipe("i3d-rgb-tencrop")
        write_pack(pack, recipe, _videos(entries, recipe.crop_count), dataset=DATASET)
    return pack, manifest


def _videos(entries: list[Entry], crops: int) -> Iterator[tuple[str, StreamedVideo]]:
    rows = block_snippets(crops, WIDTH)
    generator = np.random.default_rng(0)
    # Like activations after ReLU; blocks begin at different places of it, so that none are equal.
    base = generator.gamma(0.5, 0.4, (2 * rows, crops, WIDTH)).astype(np.float16)
    for entry in entries:
        frames = entry.frames or 0
        snippets = -(-frames // 16)
        meta = video_meta(frames)
        blocks = (
            base[start : start + min(rows, snippets - done)]
            for done in range(0, snippets, rows)
            for start in [int(generator.integers(rows))]
        )
        stream = SnippetBlocks((snippets, crops, WIDTH), blocks)
        yield entry.id, StreamedVideo({"rgb": stream}, lambda meta=meta: meta)


class Stopwatch:
    """A progress callback that records the end of reading and the times of the log's lines."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.read = 0.0  # seconds from the start
        self.lines: list[tuple[float, float]] = []  # step, seconds from the start

    def __call__(self, event: ProgressEvent) -> None:
        now = time.perf_counter() - self.start
        if event.stage == "read":
            self.read = now
        else:
            self.lines.append((event.done, now))

    def row(self, total: float) -> dict[str, Any]:
        """Return the row of a run that took `total` seconds."""
        (first, begin), (last, end) = self.lines[0], self.lines[-1]
        step = (end - begin) / (last - first) if last > first else float("nan")
        return {
            "seconds": round(total, 2),
            "seconds_reading": round(self.read, 2),
            "seconds_a_step": round(step, 5),
        }


class BusyWatch:
    """A progress callback that profiles the GPU during the steps of `PROFILED`."""

    def __init__(self) -> None:
        self.profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
        self.seconds = 0.0

    def __call__(self, event: ProgressEvent) -> None:
        if event.stage == "read":
            return
        if event.done == PROFILED[0]:
            self.profiler.start()
            self.seconds = -time.perf_counter()
        elif event.done == PROFILED[1]:
            torch.cuda.synchronize()
            self.seconds += time.perf_counter()
            self.profiler.stop()

    def row(self) -> dict[str, Any]:
        """Return the share of time in which nothing ran on the device."""
        ran = (
            (event.time_range.start, event.time_range.end)  # microseconds
            for event in self.profiler.events()
            if event.device_type == torch.autograd.DeviceType.CUDA
            and not event.is_user_annotation  # spans of the host's, gaps included
        )
        waits = 1 - covered(ran) / 1e6 / self.seconds
        return {"profiled_seconds": round(self.seconds, 3), "waits": round(waits, 4)}


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of intervals [start, end]."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def measure(
    pack: Path, manifest: Path, config: TrainConfig, device: torch.device, threads: int | None
) -> dict[str, dict[str, Any]]:
    """Return the rows; run folders and caches are removed."""
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=pack.parent) as folder:
        os.environ["VAD_HOME"] = folder  # where segments are cached
        set_cache([pack], "cold")
        watch = Stopwatch()
        train(
            pack,
            manifest,
            Path(folder, "run"),
            config=config,
            threads=threads,
            device=str(device),
            progress=watch,
        )
        rows["run"] = watch.row(time.perf_counter() - watch.start)
        if device.type == "cuda":
            rows["run"]["device_mb"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
            short = config.model_copy(update={"steps": PROFILED[1], "log_every": 10})
            busy = BusyWatch()
            out = Path(folder, "profiled")
            train(pack, manifest, out, config=short, device=str(device), progress=busy)
            rows["device"] = busy.row()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="For the pack, which stays.")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--config", default="clav-como")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--videos", type=int, default=1610)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    device = pick_device(options.device)
    settings = {name: getattr(options, name) for name in ("steps", "pairs", "precision")}
    config = load_config(options.config, settings)
    options.folder.mkdir(parents=True, exist_ok=True)
    entries = choose(options.videos)
    pack, manifest = write_features(options.folder, entries)
    rows = measure(pack, manifest, config, device, options.threads)
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    write_result(
        options.out / f"train_full-{options.precision}-{slug(machine)}.json",
        setting={
            "config": options.config,
            **settings,
            "videos": len(entries),
            "snippets": sum(-(-(entry.frames or 0) // 16) for entry in entries),
            "width": WIDTH,
            "pack_gigabytes": round(pack.stat().st_size / 1e9, 3),
        },
        machine={"device": machine, "threads": options.threads or torch.get_num_threads()},
        rows=rows,
        torch=torch.__version__,
    )


if __name__ == "__main__":
    main()
