"""How fast a device extracts, against the same network run plainly and the matrix-multiply limit.

    python benchmarks/extract.py [--device cpu] [--rounds 7] [--out benchmarks/results]

Every row is measured in one run, the ways taking turns, so that ratios mean something on a busy
machine. Weights do not change the speed: random ones serve. Rows:

- matmul: square float32 matrices, the limit that a row's `share_of_matmul` refers to;
- plain: eager, float32, contiguous, batch norm apart (`plain_inception_i3d.py`), ten clips a pass,
  as scripts for ten-crop features run it; plain-small is the same at the batch size of `network`;
- network: this toolkit's network at the batch size that extraction uses;
- extraction: a whole `Extractor.extract` of a rendered video, centre crop, decoding included.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import RESULTS, processor, slug, write_result
from plain_inception_i3d import unfolded

from vad_toolkit.backbones.store import get_weights, load_backbone
from vad_toolkit.device import pick_device
from vad_toolkit.extraction.batches import BATCH_CLIPS
from vad_toolkit.extraction.extractor import Extractor
from vad_toolkit.features.recipe import load_recipe
from vad_toolkit.video.encode import write_video

CLIP_GFLOP = 55.6  # of 16 frames at 224x224: 27.8 G multiply-adds
MATRIX = 4096
PLAIN_BATCH = 10
VIDEO_FRAMES = 320


def timed(function: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, the device's work included."""
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def video(path: Path) -> Path:
    """A video of moving noise blocks, 340x256: more to decode than most surveillance has."""
    generator = np.random.default_rng(0)
    texture = generator.integers(0, 256, (40, 60, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = (np.roll(texture, (2 * i, 3 * i), (0, 1))[:256, :340] for i in range(VIDEO_FRAMES))
    write_video(path, frames, fps=25)
    return path


@torch.inference_mode()
def measure(device: torch.device, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Medians and quartiles of seconds, and what follows from them, a row a way."""
    weights = get_weights("i3d-rgb-random").published_sha256
    recipe = load_recipe("i3d-rgb-center", {"weights": "i3d-rgb-random"})
    network = load_backbone(weights, device)
    plain = unfolded(load_backbone(weights)).to(device)
    generator = torch.Generator().manual_seed(0)
    batch = BATCH_CLIPS[device.type]
    clips = torch.rand((max(batch, PLAIN_BATCH), 3, 16, 224, 224), generator=generator) * 2 - 1
    plain_input = clips[:PLAIN_BATCH].to(device)
    ours_input = clips[:batch].to(device, memory_format=torch.channels_last_3d)
    a, b = torch.rand((2, MATRIX, MATRIX), generator=generator).to(device)
    path = video(folder / "video.mp4")

    extractor = Extractor(recipe, str(device))
    ways: dict[str, tuple[Callable[[], object], float, float]] = {  # call, GFLOP, frames
        "matmul": (lambda: a @ b, 2 * MATRIX**3 / 1e9, 0),
        "plain": (lambda: plain(plain_input), CLIP_GFLOP * PLAIN_BATCH, 16 * PLAIN_BATCH),
        "plain-small": (
            lambda: plain(plain_input[:batch]),
            CLIP_GFLOP * min(batch, PLAIN_BATCH),
            16 * min(batch, PLAIN_BATCH),
        ),
        "network": (lambda: network(ours_input), CLIP_GFLOP * batch, 16 * batch),
        "extraction": (
            lambda: extractor.extract(path),
            CLIP_GFLOP * VIDEO_FRAMES / 16,
            VIDEO_FRAMES,
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for call, _, _ in ways.values():
        call()  # warm up: memory, kernels, the decoder's process
    for _ in range(rounds):
        for name, (call, _, _) in ways.items():
            seconds[name].append(timed(call, device))

    rows: dict[str, dict[str, float]] = {}
    for name, (_, gflop, frames) in ways.items():
        low, middle, high = statistics.quantiles(seconds[name], n=4)
        rows[name] = {
            "seconds_median": round(middle, 4),
            "seconds_quartile_1": round(low, 4),
            "seconds_quartile_3": round(high, 4),
            "gflop_per_second": round(gflop / middle, 1),
        }
        if frames:
            rows[name]["frames_per_second"] = round(frames / middle, 2)
    for row in rows.values():
        row["share_of_matmul"] = round(
            row["gflop_per_second"] / rows["matmul"]["gflop_per_second"], 3
        )
    for name in ("network", "extraction"):
        fastest = max(rows[plain]["frames_per_second"] for plain in ("plain", "plain-small"))
        speed = rows[name]["frames_per_second"] / fastest
        rows[name]["times_fastest_plain"] = round(speed, 2)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    device = pick_device(options.device)
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(device, options.rounds, Path(folder))
    threads = f"{torch.get_num_threads()}threads" if device.type == "cpu" else "gpu"
    write_result(
        options.out / f"extract-float32-{slug(machine)}-{threads}.json",
        setting={"precision": "float32", "crops": "center", "rounds": options.rounds},
        machine={"device": machine, "threads": torch.get_num_threads()},
        rows=rows,
        torch=torch.__version__,
    )


if __name__ == "__main__":
    main()
