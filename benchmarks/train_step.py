"""Time and memory of a training step of each method, and the share of the loader.

    python benchmarks/train_step.py [--device cpu] [--threads 2] [--rounds 7] [--out FOLDER]

All rows are measured in one run in which the methods take turns, so that ratios are meaningful on a
busy machine. A step is the toolkit's own (`training.step.TrainingStep`), each method with its
default config but the same batch: 16 + 16 videos, T = 32, ten crops, 2048 features, random. Rows:

- a method: seconds of a step without the loader; `processor_seconds` is the CPU time of all
  threads; `peak_mb` is the memory that building the model and three steps added to a new process
  (on a GPU: the peak of torch's allocations);
- forms: the step of a config in REFORMED without one optimization, divided by the step with all of
  them; more than 1 is a gain. `winograd` is minimal filtering of convolutions over time, on a CPU.
  --forms prints only this row;
- loader: gathering a batch of a training set in memory, and of one in a mapped file (on a GPU: on
  the device); its share of each method's step.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from machine import RESULTS, memory_mb, processor, slug, write_result

from vad_toolkit.core.device import pick_device
from vad_toolkit.models import time_conv
from vad_toolkit.models.registry import METHODS, build_model
from vad_toolkit.training.data import VideoTensors
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.step import TrainingStep

PAIRS, CROPS, SEGMENTS, WIDTH = 16, 10, 32, 2048
VIDEOS = 160  # in the loader's training set
REFERENCE = "ur-dmu"  # whose step the others are set against


REFORMED = ("clav-como", "clav-como-small")


# What switches an optimization off.
FORMS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "winograd": lambda: mock.patch.object(time_conv, "LEAST_INPUTS", 1 << 30),
}


def measure_forms(device: torch.device, rounds: int) -> dict[str, dict[str, float]]:
    """Return seconds of a step of each REFORMED config, and without each optimization."""
    x = make_batch(device)
    rows: dict[str, dict[str, float]] = {}
    for config in REFORMED:
        step = make_step(config, device)
        seconds: dict[str | None, list[float]] = {None: [], **{name: [] for name in FORMS}}
        for round in range(rounds + 1):
            for name, times in seconds.items():
                with nullcontext() if name is None else FORMS[name]():
                    wall, _ = timed(lambda step=step: step(x, None), device)
                if round:  # the first one warms up
                    times.append(wall)
        whole = statistics.median(seconds.pop(None))
        rows[config] = {"seconds_median": round_to(whole)}
        for name, times in seconds.items():
            rows[config][f"without_{name}_ratio"] = round_to(statistics.median(times) / whole)
    return rows


def round_to(value: float) -> float:
    return round(value, 4)


def make_step(method: str, device: torch.device) -> TrainingStep:
    """A step of a method, half-way through its training."""
    torch.manual_seed(0)
    config = load_config(method)
    network = build_model(config, WIDTH).to(device).train()
    network.begin_step(0.5)
    return TrainingStep(network, config)


def make_batch(device: torch.device) -> torch.Tensor:
    """Features as a training set holds them: float16, at least 0."""
    generator = torch.Generator().manual_seed(0)
    shape = (2 * PAIRS, CROPS, SEGMENTS, WIDTH)
    return torch.randn(shape, generator=generator).abs().half().to(device)


def timed(function: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds of one call, the device's work included, and seconds that processors spent."""
    start, spent = time.perf_counter(), time.process_time()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, time.process_time() - spent


def peak_mb(method: str, device: str, threads: int) -> float:
    """Memory that a method's steps need, for a process that has done nothing else."""
    torch.set_num_threads(threads)
    place = pick_device(device)
    x = make_batch(place)
    before = memory_mb("VmRSS")
    step = make_step(method, place)
    for _ in range(3):
        step(x, None)
    if place.type == "cuda":
        return torch.cuda.max_memory_allocated(place) / 2**20
    return memory_mb("VmHWM") - before


def measure_peaks(device: str, threads: int) -> dict[str, float]:
    """`peak_mb` of each method, each in a new process."""
    context = multiprocessing.get_context("spawn")
    peaks = {}
    for method in METHODS:
        with context.Pool(1) as pool:
            peaks[method] = pool.apply(peak_mb, (method, device, threads))
    return peaks


def loaders(device: torch.device, folder: Path) -> dict[str, Callable[[], object]]:
    """Calls that gather a batch: from memory (or the device), and from a mapped file."""
    rows = np.random.default_rng(0).random((VIDEOS, CROPS * SEGMENTS * WIDTH), np.float32)
    flat = rows.astype(np.float16).reshape(-1)
    path = folder / "segments.npy"
    np.save(path, flat)
    mapped = np.load(path, mmap_mode="c")
    lengths = torch.full((VIDEOS,), SEGMENTS)
    generator = torch.Generator().manual_seed(0)

    def call(data: VideoTensors) -> Callable[[], object]:
        return lambda: data.gather(torch.randint(VIDEOS, (2 * PAIRS,), generator=generator), device)

    sources = {"memory": torch.from_numpy(flat), "mapped": torch.from_numpy(mapped)}
    sets = {k: VideoTensors(v, lengths, CROPS, WIDTH) for k, v in sources.items()}
    if device.type == "cuda":
        sets["device"] = sets["memory"].place(device)
    return {name: call(data) for name, data in sets.items()}


def measure(device: torch.device, rounds: int, folder: Path) -> dict[str, dict[str, Any]]:
    """A row a method, with medians and quartiles, and one of the loader."""
    x = make_batch(device)
    steps = {method: make_step(method, device) for method in METHODS}
    loads = loaders(device, folder)
    calls: dict[str, Callable[[], object]] = {
        **{method: (lambda step=step: step(x, None)) for method, step in steps.items()},
        **loads,
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for call in calls.values():
        call()  # warm up: memory, kernels
    for _ in range(rounds):
        for name, call in calls.items():
            seconds[name].append(timed(call, device))

    rows: dict[str, dict[str, Any]] = {}
    for method in METHODS:
        low, middle, high = statistics.quantiles((wall for wall, _ in seconds[method]), n=4)
        rows[method] = {
            "seconds_median": round(middle, 4),
            "seconds_quartile_1": round(low, 4),
            "seconds_quartile_3": round(high, 4),
            "processor_seconds": round(statistics.median(cpu for _, cpu in seconds[method]), 4),
            "parameters": sum(p.numel() for p in steps[method].model.parameters()),
        }
    for row in rows.values():
        for kind in ("seconds_median", "processor_seconds"):
            row[f"{kind}_against_{REFERENCE}"] = round(row[kind] / rows[REFERENCE][kind], 3)
    loader: dict[str, Any] = {}
    for name in loads:
        middle = statistics.median(wall for wall, _ in seconds[name])
        loader[f"{name}_seconds_median"] = round(middle, 4)
        loader[f"{name}_share_of_step"] = {
            method: round(middle / rows[method]["seconds_median"], 4) for method in METHODS
        }
    return {**rows, "loader": loader}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7, help="2 or more, for quartiles")
    parser.add_argument("--forms", action="store_true", help="print only the row `forms`")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error(f"--rounds {options.rounds}: must be at least 2")
    torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    forms = measure_forms(device, options.rounds)
    print(json.dumps(forms, indent=2))
    if options.forms:
        return
    with tempfile.TemporaryDirectory() as folder:
        rows: dict[str, Any] = measure(device, options.rounds, Path(folder))
    rows["forms"] = forms
    for method, peak in measure_peaks(str(device), options.threads).items():
        rows[method]["peak_mb"] = round(peak)
    threads = f"{options.threads}threads" if device.type == "cpu" else "gpu"
    write_result(
        options.out / f"train_step-float32-{slug(machine)}-{threads}.json",
        setting={
            "precision": "float32",
            "pairs": PAIRS,
            "crops": CROPS,
            "segments": SEGMENTS,
            "width": WIDTH,
            "rounds": options.rounds,
        },
        machine={"device": machine, "threads": options.threads},
        rows=rows,
        torch=torch.__version__,
    )


if __name__ == "__main__":
    main()
