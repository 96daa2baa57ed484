"""Checks of the installation: versions, devices, decoders, weights, disk space, known problems."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from vad_toolkit import __version__
from vad_toolkit.core.device import why_no_kernels
from vad_toolkit.core.files import home
from vad_toolkit.errors import VadError, WeightsError
from vad_toolkit.video.encode import write_video
from vad_toolkit.video.registry import DECODERS
from vad_toolkit.video.worker import DecodeWorker
from vad_toolkit.weights.store import check_weights, installed

PACKAGES = (
    *("torch", "torchvision", "decord", "av", "h5py", "numpy", "pillow", "joblib", "click"),
    *("pydantic", "rich", "safetensors", "scipy", "matplotlib", "tensorboard"),
)
GIB = 1 << 30
LITTLE_DISK_GIB = 5.0  # less free space is a note
PROBE_FRAMES = 8
Status = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line of the report. A `problem` needs action, a `note` does not."""

    subject: str
    status: Status
    detail: str


def examine() -> list[Finding]:
    """Check everything that the toolkit depends on. Problems are findings, not exceptions."""
    return [
        Finding("vad-toolkit", "ok", __version__),
        Finding("python", "ok", f"{platform.python_version()} at {sys.executable}"),
        *_packages(),
        *_devices(),
        *_decoders(),
        *_weights(),
        _disk(),
    ]


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "problem", "not installed: pip install vad-toolkit")
        else:
            is_slow = name == "torch" and version.startswith("2.9.")
            why = ": 3-D convolutions are 4 to 20 times slower; install 2.10 or newer"
            yield Finding(name, *(("problem", version + why) if is_slow else ("ok", version)))


def _devices() -> Iterator[Finding]:
    yield Finding("cpu", "ok", f"{torch.get_num_threads()} threads, {platform.machine()}")
    if not torch.cuda.is_available():
        yield Finding("gpu", "note", "torch finds none; extraction runs on the CPU")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        size = f"{properties.total_memory / GIB:.0f} GiB"
        yield Finding(f"cuda:{index}", "ok", f"{properties.name}, {size}")
        if (reason := why_no_kernels(torch.device("cuda", index))) is not None:
            detail = f"extraction is slower than possible: {reason}"
            yield Finding(f"cuda:{index} kernels", "note", detail)


def _decoders() -> Iterator[Finding]:
    """Read a small video with each decoder of files, in a child process that may crash."""
    with tempfile.TemporaryDirectory() as folder, DecodeWorker(timeout_seconds=30) as worker:
        path = Path(folder) / "gray.mp4"
        write_video(path, [np.full((64, 64, 3), 128, np.uint8)] * PROBE_FRAMES, fps=8)
        for name in (name for name, decoder in DECODERS.items() if decoder.reads == "file"):
            try:
                with worker.stream(path, name) as stream:
                    frames = sum(map(len, stream))
                detail = f"{stream.info.decoder_version}, {frames} of {PROBE_FRAMES} frames"
                status: Status = "ok" if frames == PROBE_FRAMES else "problem"
                yield Finding(f"decoder {name}", status, detail)
            except VadError as error:
                yield Finding(f"decoder {name}", "problem", str(error))


def _weights() -> Iterator[Finding]:
    yield Finding("cache", "ok", str(home()))
    if not (items := installed()):
        yield Finding("weights", "note", "none yet: run `vad weights get i3d-rgb-k400`")
    for item in items:
        try:
            check_weights(item.name)
            yield Finding(f"weights {item.name}", "ok", "digest matches")
        except WeightsError as error:
            yield Finding(f"weights {item.name}", "problem", str(error))


def _disk() -> Finding:
    folder = next(path for path in (home(), *home().parents) if path.exists())
    free = shutil.disk_usage(folder).free / GIB
    detail = f"{free:.1f} GiB at {folder}"
    return Finding("free disk", "note" if free < LITTLE_DISK_GIB else "ok", detail)
