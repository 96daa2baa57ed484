"""How fast TV-L1 is, and how near to OpenCV's, on real pairs of frames.

    python benchmarks/flow.py --reference DIR [--videos 50] [--pairs 2] [--device cpu] [--threads 2]
                              [--rounds 3] [--out benchmarks/results]

DIR holds `video/samples` and `cctv_fights`. From each of so many videos come `pairs` + 1 frames in
a row, scaled and cut to the middle 320x240. Both ways take turns on each video, with equal
parameters and as many threads; OpenCV's runs on the CPU whatever the device. Ours gives each thread
a pair: take no fewer pairs than threads, and several on a GPU (`--pairs 12`), so that there is a
batch; OpenCV then takes most of the time. Needs the extra `opencv`.

`times_opencv` is our time in OpenCV's: over all videos, and of the median and the worst video.
`processor_seconds` count the time of all threads, and mean more where a machine is busy; those of a
GPU are not in them. `difference` is the mean length of the difference of two flows, in pixels.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
import torch.nn.functional as F
from machine import RESULTS, processor, slug, write_result
from torch import Tensor

from vad_toolkit.core.device import pick_device
from vad_toolkit.errors import DecodeError
from vad_toolkit.flow.opencv import OpenCVTVL1
from vad_toolkit.flow.tvl1 import TVL1
from vad_toolkit.video.open import open_video
from vad_toolkit.video.paths import find_videos

HEIGHT, WIDTH = 240, 320
SKIPPED_FRAMES = 10  # many clips begin with a cut or a still


def real_frames(
    reference: Path, videos: int, pairs: int, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> Iterator[tuple[str, Tensor]]:
    """Names, and uint8 (pairs + 1, 3, *size), of videos spread evenly over those there are."""
    samples = find_videos(reference / "video" / "samples")
    clips = find_videos(reference / "cctv_fights")
    wanted = videos - len(samples)
    chosen = samples + [clips[i * len(clips) // wanted] for i in range(wanted)]
    for path in chosen[:videos]:
        yield path.stem, _frames(path, pairs + 1, size)


def _frames(path: Path, count: int, size: tuple[int, int]) -> Tensor:
    height, width = size
    reader = open_video(path)
    try:
        frames = next(iter(reader.chunks(SKIPPED_FRAMES + count)))[SKIPPED_FRAMES:]
    finally:
        reader.close()
    if len(frames) < count:
        raise DecodeError(f"{path} has fewer than {SKIPPED_FRAMES + count} frames: lower --pairs")
    images = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    scale = max(height / images.size(2), width / images.size(3))
    scaled = [
        max(round(side * scale), least) for side, least in zip(images.shape[2:], size, strict=True)
    ]
    images = F.interpolate(images, scaled, mode="bilinear", antialias=True).round()
    top, left = (scaled[0] - height) // 2, (scaled[1] - width) // 2
    return images[:, :, top : top + height, left : left + width].to(torch.uint8).contiguous()


def measure(videos: list[Tensor], device: torch.device, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of a pair, and what follows from them, a row a way; and how the two differ."""
    ways = {"tvl1": (TVL1(), device), "tvl1-opencv": (OpenCVTVL1(), torch.device("cpu"))}
    clocks = {"seconds": time.perf_counter, "processor_seconds": time.process_time}
    taken: dict[tuple[str, str], list[list[float]]] = {
        (name, clock): [[] for _ in range(rounds)] for name in ways for clock in clocks
    }
    differences: list[float] = []  # of each pair
    for estimator, place in ways.values():
        estimator(videos[0].to(place))  # warm up
    for i in range(rounds):
        for frames in videos:
            flows = []
            for name, (estimator, place) in ways.items():
                there = frames.to(place)
                start = {clock: now() for clock, now in clocks.items()}
                flows.append(estimator(there).cpu())
                for clock, now in clocks.items():
                    taken[name, clock][i].append((now() - start[clock]) / (len(frames) - 1))
            if i == 0:
                differences += (flows[0] - flows[1]).norm(dim=1).mean((1, 2)).tolist()

    rows: dict[str, dict[str, float]] = {}
    for name in ways:
        pair = {
            clock: statistics.median(map(statistics.mean, taken[name, clock])) for clock in clocks
        }
        rows[name] = {f"{clock}_a_pair": round(pair[clock], 4) for clock in clocks}
        rows[name]["pairs_a_second"] = round(1 / pair["seconds"], 2)
    rows["times_opencv"] = {}
    for clock in clocks:
        ours, theirs = (
            [sum(video) for video in zip(*taken[name, clock], strict=True)] for name in ways
        )
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        rows["times_opencv"] |= {
            f"{clock}_all": round(sum(ours) / sum(theirs), 3),
            f"{clock}_median": round(statistics.median(ratios), 3),
            f"{clock}_worst": round(max(ratios), 3),
        }
    rows["difference"] = {
        "pixels_median": round(statistics.median(differences), 5),
        "pixels_worst": round(max(differences), 5),
    }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--videos", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    videos = [f for _, f in real_frames(options.reference, options.videos, options.pairs)]
    rows = measure(videos, device, options.rounds)
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    kind = f"{options.threads}threads" if device.type == "cpu" else "gpu"
    write_result(
        options.out / f"flow-{WIDTH}x{HEIGHT}-{slug(machine)}-{kind}.json",
        setting={
            "width": WIDTH,
            "height": HEIGHT,
            "videos": options.videos,
            "pairs_a_video": options.pairs,
            "rounds": options.rounds,
        },
        machine={"device": machine, "threads": options.threads, "processor": processor()},
        rows=rows,
        torch=torch.__version__,
        opencv=cv2.__version__,
    )


if __name__ == "__main__":
    main()
