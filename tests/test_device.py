"""Memory and precision of a device."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vad_toolkit.device import tensor_float32

FAULTS = """
import resource, sys
import numpy as np
from vad_toolkit.device import keep_freed_memory
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
