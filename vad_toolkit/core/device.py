"""The device of a computation: its choice, its precision, its memory."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec

import torch

from vad_toolkit.errors import InputError

KERNELS_FROM = (8, 0)  # compute capability: older ones have no bfloat16
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # <malloc.h>


def pick_device(name: str = "auto") -> torch.device:
    """Return the device auto (first GPU, else CPU), cpu, cuda or cuda:N. Raises InputError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")  # refused below, like all other kinds of devices
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise InputError(f"device {name!r}: this machine has {count} CUDA devices; try cpu")
    return device


def pick_devices(names: str) -> list[str]:
    """Return the names of several devices: separated by commas, or "all" for all CUDA devices.

    The CPU may be listed several times, for workers that divide its cores. Raises InputError.
    """
    if names == "all":
        count = torch.cuda.device_count()
        if not count:
            raise InputError("device 'all': this machine has no CUDA device; try cpu")
        return [f"cuda:{index}" for index in range(count)]
    devices = [name.strip() for name in names.split(",")]
    if len(devices) == 1:
        return devices
    picked = [pick_device(name) for name in devices]
    if len({device.type for device in picked}) > 1:
        raise InputError(f"device {names!r} mixes CPU and CUDA devices; use one kind")
    if picked[0].type == "cuda" and len({device.index or 0 for device in picked}) < len(picked):
        raise InputError(f"device {names!r} lists a device twice; list each CUDA device once")
    return [str(device) for device in picked]


@contextmanager
def tensor_float32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 on a GPU during the block: float32 factors rounded to 10 bits.

    By default PyTorch allows it in convolutions.
    """
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = allowed
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before


@cache
def why_no_kernels(device: torch.device) -> str | None:
    """Return the reason why the Triton kernels cannot run on a device, or None if they can.

    Only speed depends on them: elsewhere PyTorch's operations compute the same.
    """
    if device.type != "cuda" or torch.version.cuda is None:
        return "it is not a CUDA device"
    capability = torch.cuda.get_device_capability(device)
    if capability < KERNELS_FROM:
        return f"its compute capability is {capability[0]}.{capability[1]}, below 8.0"
    if find_spec("triton") is None:
        return "Triton is not installed: it comes with PyTorch for CUDA on Linux"
    if not any(map(shutil.which, (os.environ.get("CC") or "cc", "gcc", "clang"))):
        return "Triton needs a C compiler, and neither gcc nor clang is installed"
    return None


def keep_freed_memory() -> None:
    """Keep freed memory in this process for its next allocations, instead of returning it.

    A network on a CPU frees and allocates the same large tensors layer after layer. glibc returns
    them to the system, which clears each page again: a tenth of the time or more (docs/LOG.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if sys.platform == "linux" and mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
