"""Memory and precision of a device."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vad_toolkit.core import device
from vad_toolkit.core.device import tensor_float32, why_no_kernels

FAULTS = """
import resource, sys
import numpy as np
from vad_toolkit.core.device import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(8 << 20)
before = faults()
for _ in range(4):
    np.ones(8 << 20)
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_freed_memory_is_kept() -> None:
    """The system clears no page anew for what was freed before; unless it is asked for, it does."""
    kept, given_back = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS, how], text=True))
        for how in ("keep", "do not")
    )
    pages = 4 * (64 << 20) // 4096
    assert kept < pages // 100
    assert given_back > pages // 100


def test_tensor_float32_is_for_a_while() -> None:
    before = torch.backends.cudnn.allow_tf32
    with tensor_float32(not before):
        assert torch.backends.cudnn.allow_tf32 is not before
    assert torch.backends.cudnn.allow_tf32 is before


class _Gpu:
    """What torch says of a device that is not there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
        self.monkeypatch = monkeypatch
        why_no_kernels.cache_clear()

    def lacks(self, module: str = "", program: str = "") -> None:
        patch = self.monkeypatch.setattr
        patch(device, "find_spec", lambda name: None if name == module else object())
        patch(device.shutil, "which", lambda name: None if program else f"/usr/bin/{name}")


@pytest.mark.parametrize(
    ("capability", "lacks", "reason"),
    [
        ((9, 0), {}, None),
        ((7, 5), {}, "7.5, below 8.0"),
        ((9, 0), {"module": "triton"}, "Triton is not installed"),
        ((9, 0), {"program": "gcc"}, "neither gcc nor clang"),
    ],
)
def test_where_kernels_run(
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    lacks: dict[str, str],
    reason: str | None,
) -> None:
    _Gpu(monkeypatch, capability).lacks(**lacks)
    try:
        found = why_no_kernels(torch.device("cuda", 0))
    finally:
        why_no_kernels.cache_clear()
    assert found is None if reason is None else reason in found


def test_no_kernels_on_a_cpu() -> None:
    assert why_no_kernels(torch.device("cpu")) == "it is not a CUDA device"
