"""Whole extraction, against popular scripts and the matrix-multiply limit of the same run.

    python benchmarks/extract.py [--device cpu] [--crops tencrop] [--frames 64] [--rounds 5]
                                 [--two-streams] [--videos 64] [--video-frames 2048] [--jobs N]

From files to features on disk-ready arrays, ten-crop Inception-I3D RGB of a rendered video of
320x240. Every row is measured in one run, the ways taking turns, so that ratios mean something on a
busy machine. Weights do not change the speed: random ones serve. Rows:

- matmul: square matrices in float32, the limit that `share_of_matmul` refers to; matmul-bfloat16
  if the device has it, the limit of `share_of_matmul_bfloat16`. On a GPU enough products in a row
  that its clock is the sustained one; `-burst` rows are ten products after a pause. Shares
  count the operations of the network as it is written, so that one that finds some of them needless
  can have more than 1;
- popular: what popular scripts do (`popular_scripts.py`), in a process of its own; on a GPU its
  network runs there;
- decode, prepare, network: the stages of `extraction`, each alone: frames out of the decoders'
  processes; resize, normalisation and, where the network does not cut them, crops; the network on
  as many clips as the videos have;
- extraction: `Extractor.extract_many`, one video of `--frames`; extraction-bfloat16 where the
  device has it; with `--two-streams` also extraction-two-streams, RGB and TV-L1 flow of one
  decoding (the operations of flow itself are not counted).

On a CUDA device extraction-bfloat16 has `--videos` videos of `--video-frames`, some seconds of work
with the start of the decoders in it, and the stages a quarter of them. Float32, tf32 and the
popular scripts have one video of `--frames`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from machine import RESULTS, memory_mb, processor, slug, write_result

from vad_toolkit.core.device import pick_device
from vad_toolkit.extraction.batches import CPU_CROPS
from vad_toolkit.extraction.decoding import DecodeAhead, Frames
from vad_toolkit.extraction.extractor import Extractor
from vad_toolkit.extraction.resize import resize_frames
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.video.encode import write_video
from vad_toolkit.weights.store import get_weights

CLIP_GFLOP = {"rgb": 55.6, "flow": 51.2}  # of 16 frames at 224x224: 27.8 G multiply-adds, 25.6 G
Row = dict[str, float | str]
MATRIX = {"cpu": 4096, "cuda": 8192}
SUSTAINED = 300  # products in a row on a GPU: half a second in bfloat16
PAUSE_SECONDS = 0.5  # before each measurement there
HEIGHT, WIDTH = 240, 320


def timed(function: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, the device's work included."""
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def video(path: Path, frames: int) -> Path:
    """A video of moving noise blocks: more to decode than most surveillance has."""
    generator = np.random.default_rng(0)
    texture = generator.integers(0, 256, (40, 60, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    pictures = (np.roll(texture, (2 * i, 3 * i), (0, 1))[:HEIGHT, :WIDTH] for i in range(frames))
    write_video(path, pictures, fps=25)
    return path


def has_bfloat16(device: torch.device) -> bool:
    """Return True if the device computes bfloat16 in hardware, faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = Path("/proc/cpuinfo")
    return flags.is_file() and "avx512_bf16" in flags.read_text()


@dataclass(frozen=True)
class Way:
    """A measured call, its operations, and its frames (0 for a matrix product)."""

    call: Callable[[], object]
    gflop: float
    frames: int = 0
    warm_up: Callable[[], object] | None = None  # where a whole call would take long


class Stages:
    """The ways of one extractor, over `count` times one video."""

    def __init__(self, extractor: Extractor, path: Path, frames: int, count: int) -> None:
        self.extractor, self.path, self.count = extractor, path, count
        self.frames = frames * count
        self.clips = extractor.recipe.crop_count * extractor.recipe.snippet_count(frames) * count
        self.gflop = sum(CLIP_GFLOP[stream] for stream in extractor.recipe.streams) * self.clips
        self.chunks = self.decode_one()

    def extract(self) -> None:
        videos = [VideoSource(str(index), self.path) for index in range(self.count)]
        for found in self.extractor.extract_many(videos):
            assert found.features is not None, found.error

    def decode(self) -> int:
        ahead = DecodeAhead(
            [self.path] * self.count,
            jobs=self.extractor.decode_jobs,
            pinned=self.extractor.device.type == "cuda",
        )
        with ahead as events:
            return sum(len(event.frames) for event in events if isinstance(event, Frames))

    def decode_one(self) -> list[torch.Tensor]:
        with DecodeAhead([self.path]) as events:
            return [event.frames.clone() for event in events if isinstance(event, Frames)]

    @torch.inference_mode()
    def prepare(self) -> None:
        recipe, batcher = self.extractor.recipe, self.extractor.batchers["rgb"]
        for _ in range(self.count):
            stream = self.extractor.stream("rgb")
            for chunk in self.chunks:
                frames = chunk.to(self.extractor.device, non_blocking=True)
                resized = resize_frames(frames, recipe.resize, recipe.resize_method)
                clips = list(stream.push(resized))
                if clips and clips[0].shape[1] == recipe.crop_size:
                    for first in range(0, len(clips), batcher.size):
                        torch.stack(clips[first : first + batcher.size])
            list(stream.finish())

    @torch.inference_mode()
    def run_network(self) -> None:
        batcher = self.extractor.batchers["rgb"]
        stream = self.extractor.stream("rgb")
        recipe = self.extractor.recipe
        chunk = self.chunks[0].to(self.extractor.device)
        clips = list(stream.push(resize_frames(chunk, recipe.resize, recipe.resize_method)))
        each = self.clips // recipe.crop_count * len(clips)  # clips, or whole snippets, in all
        batch = [clips[index % len(clips)] for index in range(batcher.size)]
        for _ in range(-(-each // batcher.size)):
            batcher.network(batch)


def popular(path: Path, batch: int, device: torch.device) -> float:
    """Seconds that popular scripts take, in a process of their own."""
    script = Path(__file__).with_name("popular_scripts.py")
    command = [sys.executable, script, path, batch, device]
    return float(subprocess.check_output(list(map(str, command)), text=True))


@torch.inference_mode()
def measure(device: torch.device, options: argparse.Namespace, folder: Path) -> dict[str, Row]:
    """Medians and quartiles of seconds, and what follows from them, a row a way."""
    for name in ("i3d-rgb-random", "i3d-flow-random"):
        get_weights(name)
    crops, on_gpu = options.crops, device.type == "cuda"
    half = has_bfloat16(device)
    path = video(folder / "video.mp4", options.frames)
    count, frames = (options.videos, options.video_frames) if on_gpu else (1, options.frames)
    long = video(folder / "long.mp4", frames) if on_gpu else path

    def extractor(recipe: str, precision: str, **weights: str) -> Extractor:
        fields = {"weights": weights or "i3d-rgb-random", "precision": precision}
        return Extractor(
            load_recipe(f"{recipe}-{crops}", fields), str(device), decode_jobs=options.jobs
        )

    generator = torch.Generator().manual_seed(0)
    size = MATRIX[device.type]
    a, b = torch.randn((2, size, size), generator=generator).to(device)
    matmul_gflop = 2 * size**3 / 1e9
    ways: dict[str, Way] = {}

    def add_matmul(name: str, a: torch.Tensor, b: torch.Tensor) -> None:
        def products(count: int) -> None:
            for _ in range(count):
                a @ b

        if on_gpu:
            ways[f"{name}-burst"] = Way(partial(products, 10), 10 * matmul_gflop)
        count = SUSTAINED if on_gpu else 1
        ways[name] = Way(partial(products, count), count * matmul_gflop)

    add_matmul("matmul", a, b)
    single = Stages(extractor("i3d-rgb", "float32"), path, options.frames, 1)
    ways["extraction"] = Way(single.extract, single.gflop, single.frames)
    if crops == "tencrop":
        batcher = single.extractor.batchers["rgb"]
        clips = batcher.size if on_gpu else CPU_CROPS  # on a CPU it takes whole snippets
        seconds_of_popular = partial(popular, path, clips, device)
        ways["popular"] = Way(seconds_of_popular, single.gflop, single.frames)
    staged = single
    if half:
        add_matmul("matmul-bfloat16", a.bfloat16(), b.bfloat16())
        quick = extractor("i3d-rgb", "bfloat16")
        many = Stages(quick, long, frames, count)
        part = Stages(quick, long, frames, -(-count // 4))
        ways["extraction-bfloat16"] = Way(many.extract, many.gflop, many.frames, part.extract)
        staged = part if on_gpu else single
    if on_gpu:
        tf32 = Stages(extractor("i3d-rgb", "tf32"), path, options.frames, 1)
        ways["extraction-tf32"] = Way(tf32.extract, tf32.gflop, tf32.frames)
    if options.two_streams:
        weights = {"rgb": "i3d-rgb-random", "flow": "i3d-flow-random"}
        both = extractor("i3d-rgb-flow", "bfloat16" if on_gpu else "float32", **weights)
        two = Stages(both, path, options.frames, options.flow_videos if on_gpu else 1)
        ways["extraction-two-streams"] = Way(two.extract, two.gflop, two.frames)
    ways["decode"] = Way(staged.decode, 0, staged.frames)
    ways["prepare"] = Way(staged.prepare, 0, staged.frames)
    ways["network"] = Way(staged.run_network, staged.gflop, staged.frames)

    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for name, way in ways.items():
        if name != "popular":
            (way.warm_up or way.call)()  # memory, kernels, the decoder's process
    for _ in range(options.rounds):
        for name, way in ways.items():
            # "popular" tells the seconds itself: those of its process's start do not count
            if on_gpu:
                time.sleep(PAUSE_SECONDS)
            spent = seconds_of_popular() if name == "popular" else timed(way.call, device)
            seconds[name].append(spent)
    rows = rows_of(ways, seconds, "extraction-bfloat16" if staged is not single else "extraction")
    if on_gpu:
        rows["matmul"]["device_memory_mb"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
    return rows


def rows_of(ways: dict[str, Way], seconds: dict[str, list[float]], staged: str) -> dict[str, Row]:
    """Compute the rows from the seconds; `staged` is the row whose stages were measured."""
    rows: dict[str, Row] = {}
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    a_frame = {name: medians[name] / way.frames for name, way in ways.items() if way.frames}
    for name, values in seconds.items():
        low, middle, high = statistics.quantiles(values, n=4)
        row: Row = {
            "seconds_median": round(middle, 4),
            "seconds_quartile_1": round(low, 4),
            "seconds_quartile_3": round(high, 4),
        }
        if gflop := ways[name].gflop:
            row["gflop_per_second"] = round(gflop / middle, 1)
            for limit in ("matmul", "matmul-bfloat16"):
                if limit in ways:
                    share = gflop / middle / (ways[limit].gflop / medians[limit])
                    row[f"share_of_{limit.replace('-', '_')}"] = round(share, 3)
        if frames := ways[name].frames:
            row["frames_per_second"] = round(frames / middle, 2)
        rows[name] = row
    whole = rows[staged]
    stages = ("decode", "prepare", "network")
    for stage in stages:
        whole[f"share_{stage}"] = round(a_frame[stage] / a_frame[staged], 3)
    whole["bottleneck"] = max(stages, key=a_frame.__getitem__)
    whole["peak_memory_mb"] = round(memory_mb("VmHWM"))
    if "popular" in rows:
        for name in ("extraction", "extraction-tf32", "extraction-bfloat16"):
            if name in rows:
                rows[name]["times_popular"] = round(a_frame["popular"] / a_frame[name], 2)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--crops", choices=("tencrop", "center"), default="tencrop")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--two-streams", action="store_true")
    parser.add_argument("--videos", type=int, default=64, help="on a CUDA device")
    parser.add_argument("--video-frames", type=int, default=2048, help="on a CUDA device")
    parser.add_argument("--flow-videos", type=int, default=8, help="of --frames, on a CUDA device")
    parser.add_argument("--jobs", type=int, help="decoders; the default is the extractor's")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    device = pick_device(options.device)
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(device, options, Path(folder))
    many = {
        name: getattr(options, name) for name in ("videos", "video_frames", "flow_videos", "jobs")
    }
    threads = f"{torch.get_num_threads()}threads" if device.type == "cpu" else "gpu"
    write_result(
        options.out / f"extract-{options.crops}-{slug(machine)}-{threads}.json",
        setting={
            "crops": options.crops,
            "frames": options.frames,
            "size": [WIDTH, HEIGHT],
            "rounds": options.rounds,
            **({} if device.type == "cpu" else many),
        },
        machine={
            "device": machine,
            "threads": torch.get_num_threads(),
            **({} if device.type == "cpu" else {"processor": processor(), "cores": os.cpu_count()}),
        },
        rows=rows,
        torch=torch.__version__,
    )


if __name__ == "__main__":
    main()
