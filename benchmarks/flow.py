"""Speed of TV-L1 and of its median filter, and difference from OpenCV's flow, on real videos.

    python benchmarks/flow.py --reference DIR [--videos 50] [--pairs 2] [--device cpu] [--threads 2]
                              [--rounds 3] [--out benchmarks/results]

DIR has the folders `video/samples` and `cctv_fights`. Each video gives `pairs` + 1 consecutive
frames, scaled and cropped to the center 320x240. Both implementations run in turns on each video,
with equal parameters and the same number of threads; OpenCV always runs on the CPU. `tvl1` computes
one pair per thread: use at least as many pairs as threads, and a batch on a GPU (`--pairs 12`).
Needs the extra `opencv`.

`times_opencv` is the time of `tvl1` relative to OpenCV: of all videos, and of the median and the
worst video. `processor_seconds` is the time of all threads without the GPU; on a busy machine it is
more reliable. `difference` is the mean length of the difference of two flows in pixels. `median`
has the time of the 5x5 median filter of one flow, and relative to torch and OpenCV, on one thread.
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
from vad_toolkit.flow.median import median_filter
from vad_toolkit.flow.opencv import OpenCVTVL1
from vad_toolkit.flow.tvl1 import TVL1
from vad_toolkit.video.open import open_video
from vad_toolkit.video.paths import find_videos

HEIGHT, WIDTH = 240, 320
SKIPPED_FRAMES = 10  # many clips start with a cut or a still image


def real_frames(
    reference: Path, videos: int, pairs: int, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> Iterator[tuple[str, Tensor]]:
    """Yield names and frames, uint8 (pairs + 1, 3, *size), of videos spread over the folders."""
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
        raise DecodeError(f"{path} has fewer than {SKIPPED_FRAMES + count} frames; lower --pairs")
    images = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    scale = max(height / images.size(2), width / images.size(3))
    scaled = [
        max(round(side * scale), least) for side, least in zip(images.shape[2:], size, strict=True)
    ]
    images = F.interpolate(images, scaled, mode="bilinear", antialias=True).round()
    top, left = (scaled[0] - height) // 2, (scaled[1] - width) // 2
    return images[:, :, top : top + height, left : left + width].to(torch.uint8).contiguous()


def measure(videos: list[Tensor], device: torch.device, rounds: int) -> dict[str, dict[str, float]]:
    """Return rows with the seconds per pair of both implementations, ratios and differences."""
    ways = {"tvl1": (TVL1(), device), "tvl1-opencv": (OpenCVTVL1(), torch.device("cpu"))}
    clocks = {"seconds": time.perf_counter, "processor_seconds": time.process_time}
    taken: dict[tuple[str, str], list[list[float]]] = {
        (name, clock): [[] for _ in range(rounds)] for name in ways for clock in clocks
    }
    differences: list[float] = []  # per pair
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
    rows["median"] = measure_median()
    return rows


def measure_median(rounds: int = 15) -> dict[str, float]:
    """Return the processor seconds of the 5x5 median filter of one flow, and ratios to others."""
    flow = torch.randn((1, 2, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0))

    def torch_median() -> Tensor:
        windows = F.pad(flow, (2, 2, 2, 2), mode="replicate").unfold(2, 5, 1).unfold(3, 5, 1)
        return windows.flatten(4).median(dim=-1).values

    ways = {
        "tvl1": lambda: median_filter(flow, 5),
        "torch": torch_median,
        "opencv": lambda: [cv2.medianBlur(component, 5) for component in flow[0].numpy()],
    }
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            start = time.process_time()
            call()
            taken[name].append(time.process_time() - start)
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])
    seconds = {name: statistics.median(times) for name, times in taken.items()}
    return {
        "processor_seconds": round(seconds["tvl1"], 5),
        "times_torch": round(seconds["tvl1"] / seconds["torch"], 3),
        "times_opencv": round(seconds["tvl1"] / seconds["opencv"], 3),
    }


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
