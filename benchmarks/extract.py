"""Whole extraction, against popular scripts and the matrix-multiply limit of the same run.

    python benchmarks/extract.py [--device cpu] [--crops tencrop] [--frames 64] [--rounds 5]
                                 [--two-streams]

From a file to features on disk-ready arrays, ten-crop Inception-I3D RGB of a rendered video of
320x240. Every row is measured in one run, the ways taking turns, so that ratios mean something on a
busy machine. Weights do not change the speed: random ones serve. Rows:

- matmul: square matrices in float32, the limit that `share_of_matmul` refers to; matmul-bfloat16
  where the device has it;
- popular: what popular scripts do (`popular_scripts.py`), in a process of its own; on a GPU its
  network runs there;
- decode, prepare, network: the stages of `extraction`, each alone: frames out of the decoder's
  process; resize, crops and normalisation; the network on as many clips as the video has;
- extraction: `Extractor.extract`; extraction-bfloat16 where the device has it; with
  `--two-streams` also extraction-two-streams, RGB and TV-L1 flow of one decoding (the operations of
  flow itself are not counted).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import RESULTS, memory_mb, processor, slug, write_result

from vad_toolkit.backbones.store import get_weights, load_backbone
from vad_toolkit.device import pick_device
from vad_toolkit.extraction.extractor import Extractor
from vad_toolkit.extraction.streams import RgbClips
from vad_toolkit.features.recipe import Recipe, load_recipe
from vad_toolkit.features.resize import resize_frames
from vad_toolkit.video.encode import write_video
from vad_toolkit.video.worker import DecodeWorker

CLIP_GFLOP = 55.6  # of 16 frames at 224x224: 27.8 G multiply-adds
FLOW_CLIP_GFLOP = 51.2
Row = dict[str, float | str]
MATRIX = {"cpu": 4096, "cuda": 8192}
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
    """Whether bfloat16 is faster than float32 there, in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = Path("/proc/cpuinfo")
    return flags.is_file() and "avx512_bf16" in flags.read_text()


class Stages:
    """The ways to be measured, over one video."""

    def __init__(self, device: torch.device, recipe: Recipe, path: Path, folder: Path) -> None:
        self.device = device
        self.recipe = recipe
        self.path = path
        self.folder = folder
        self.extractor = Extractor(recipe, str(device))
        self.network = load_backbone(recipe.weights["rgb"], device)
        self.worker = DecodeWorker()
        self.batch = self.extractor._batchers["rgb"].size
        self.frames = list(self.decode())
        self.clips = sum(len(list(clips)) for clips in self.prepare())

    def decode(self) -> list[np.ndarray]:
        with self.worker.stream(self.path) as stream:
            return list(stream)

    @torch.inference_mode()
    def prepare(self) -> list[list[torch.Tensor]]:
        stream, made = RgbClips(self.recipe, torch.float32), []
        for chunk in self.frames:
            frames = torch.from_numpy(chunk).to(self.device)
            resized = resize_frames(frames, self.recipe.resize, self.recipe.resize_method)
            clips = list(stream.push(resized))
            for first in range(0, len(clips), self.batch):
                torch.stack(clips[first : first + self.batch])
            made.append(clips)
        made.append(list(stream.finish()))
        return made

    @torch.inference_mode()
    def run_network(self, clips: torch.Tensor) -> None:
        for _ in range(-(-self.clips // self.batch)):
            self.network(clips)

    def popular(self) -> float:
        """Seconds that popular scripts take, in a process of their own."""
        script = Path(__file__).with_name("popular_scripts.py")
        command = [sys.executable, script, self.path, self.batch, self.device]
        return float(subprocess.check_output(list(map(str, command)), text=True))


@torch.inference_mode()
def measure(
    device: torch.device, crops: str, frames: int, rounds: int, two_streams: bool, folder: Path
) -> dict[str, Row]:
    """Medians and quartiles of seconds, and what follows from them, a row a way."""
    get_weights("i3d-rgb-random")
    recipe = load_recipe(f"i3d-rgb-{crops}", {"weights": "i3d-rgb-random"})
    stages = Stages(device, recipe, video(folder / "video.mp4", frames), folder)
    generator = torch.Generator().manual_seed(0)
    size = MATRIX[device.type]
    a, b = torch.rand((2, size, size), generator=generator).to(device)
    input_shape = (stages.batch, 3, 16, 224, 224)
    clips = (torch.rand(input_shape, generator=generator) * 2 - 1).to(
        device, memory_format=torch.channels_last_3d
    )
    video_gflop = CLIP_GFLOP * stages.clips
    matmul_gflop = 2 * size**3 / 1e9
    ways: dict[str, tuple[Callable[[], object], float]] = {
        "matmul": (lambda: a @ b, matmul_gflop),
        "decode": (stages.decode, 0),
        "prepare": (stages.prepare, 0),
        "network": (lambda: stages.run_network(clips), video_gflop),
        "extraction": (lambda: stages.extractor.extract(stages.path), video_gflop),
    }
    if crops == "tencrop":
        ways["popular"] = (stages.popular, video_gflop)
    if has_bfloat16(device):
        half_a, half_b = a.bfloat16(), b.bfloat16()
        half = Extractor(
            Recipe.model_validate({**recipe.model_dump(), "precision": "bfloat16"}), str(device)
        )
        ways["matmul-bfloat16"] = (lambda: half_a @ half_b, matmul_gflop)
        ways["extraction-bfloat16"] = (lambda: half.extract(stages.path), video_gflop)

    if two_streams:
        get_weights("i3d-flow-random")
        fields = {"weights": {"rgb": "i3d-rgb-random", "flow": "i3d-flow-random"}}
        both = Extractor(load_recipe(f"i3d-rgb-flow-{crops}", fields), str(device))
        ways["extraction-two-streams"] = (
            lambda: both.extract(stages.path),
            (CLIP_GFLOP + FLOW_CLIP_GFLOP) * stages.clips,
        )

    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for name, (call, _) in ways.items():
        if name != "popular":
            call()  # warm up: memory, kernels, the decoder's process
    for _ in range(rounds):
        for name, (call, _) in ways.items():
            # "popular" tells the seconds itself: those of its process's start do not count
            spent = stages.popular() if name == "popular" else timed(call, device)
            seconds[name].append(spent)
    return rows_of({name: gflop for name, (_, gflop) in ways.items()}, seconds, frames)


def rows_of(
    gflop: dict[str, float], seconds: dict[str, list[float]], frames: int
) -> dict[str, Row]:
    """What the seconds say."""
    rows: dict[str, Row] = {}
    limit = gflop["matmul"] / statistics.median(seconds["matmul"])
    for name, values in seconds.items():
        low, middle, high = statistics.quantiles(values, n=4)
        row: Row = {
            "seconds_median": round(middle, 4),
            "seconds_quartile_1": round(low, 4),
            "seconds_quartile_3": round(high, 4),
        }
        if gflop[name]:
            row["gflop_per_second"] = round(gflop[name] / middle, 1)
            row["share_of_matmul"] = round(gflop[name] / middle / limit, 3)
        if not name.startswith("matmul"):
            row["frames_per_second"] = round(frames / middle, 2)
        rows[name] = row
    whole, middles = rows["extraction"], {}
    for stage in ("decode", "prepare", "network"):
        middles[stage] = statistics.median(seconds[stage])
        share = middles[stage] / statistics.median(seconds["extraction"])
        whole[f"share_{stage}"] = round(share, 3)
    whole["bottleneck"] = max(middles, key=middles.__getitem__)
    whole["peak_memory_mb"] = round(memory_mb("VmHWM"))
    if "popular" in rows:
        for name in ("extraction", "extraction-bfloat16"):
            if name in rows:
                speed = statistics.median(seconds["popular"]) / statistics.median(seconds[name])
                rows[name]["times_popular"] = round(speed, 2)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--crops", choices=("tencrop", "center"), default="tencrop")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--two-streams", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    device = pick_device(options.device)
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(
            device,
            options.crops,
            options.frames,
            options.rounds,
            options.two_streams,
            Path(folder),
        )
    threads = f"{torch.get_num_threads()}threads" if device.type == "cpu" else "gpu"
    write_result(
        options.out / f"extract-{options.crops}-{slug(machine)}-{threads}.json",
        setting={
            "crops": options.crops,
            "frames": options.frames,
            "size": [WIDTH, HEIGHT],
            "rounds": options.rounds,
        },
        machine={"device": machine, "threads": torch.get_num_threads()},
        rows=rows,
        torch=torch.__version__,
    )


if __name__ == "__main__":
    main()
