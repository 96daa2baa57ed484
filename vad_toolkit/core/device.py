"""Which device to compute on."""

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

KERNELS_FROM = (8, 0)  # compute capability: before that no bfloat16
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # <malloc.h>


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is the first CUDA device, or the CPU where there is none.

    Raises:
        InputError: not a device name, or a device that this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device {name!r}: has to be auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device {name!r}: has to be auto, cpu, cuda or cuda:N")
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise InputError(f"device {name!r}: this machine has {count} CUDA devices; try cpu")
    return device


def pick_devices(names: str) -> list[str]:
    """Devices to work side by side: names separated by commas, or `all` CUDA devices.

    The CPU may be named several times: processes that divide its cores.

    Raises:
        InputError: as `pick_device` does; `all` where there is no CUDA device; one that is named
            twice, or CPU and CUDA together.
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
        raise InputError(f"device {names!r}: CPU and CUDA devices do not work together")
    if picked[0].type == "cuda" and len({device.index or 0 for device in picked}) < len(picked):
        raise InputError(f"device {names!r}: names a device twice")
    return [str(device) for device in picked]


@contextmanager
def tensor_float32(allowed: bool) -> Iterator[None]:
    """Whether a GPU may round the factors of float32 products to 10 bits (TF32), for a while.

    PyTorch allows it in convolutions unless told otherwise; then float32 is not float32.
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
    """What keeps our Triton kernels from running on a device; None where they run.

    Nothing depends on them but speed: what they do is done by PyTorch's operations elsewhere.
    """
    if device.type != "cuda" or torch.version.cuda is None:
        return "it is no CUDA device"
    capability = torch.cuda.get_device_capability(device)
    if capability < KERNELS_FROM:
        return f"its compute capability is {capability[0]}.{capability[1]}, below 8.0"
    if find_spec("triton") is None:
        return "Triton is not installed: it comes with PyTorch for CUDA on Linux"
    if not any(map(shutil.which, (os.environ.get("CC") or "cc", "gcc", "clang"))):
        return "Triton needs a C compiler, and there is no gcc or clang"
    return None


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for what it allocates next.

    glibc gets blocks of some size from the system, and gives them back as soon as they are free.
    A network on a CPU frees and allocates the same large tensors layer after layer, and the system
    clears every page of them anew: a tenth of its time and more (docs/LOG.md). Elsewhere nothing is
    done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if sys.platform == "linux" and mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
