"""Fixtures of all tests: the reference data, real weights, the command, and clean registries."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

# Tests run in parallel, one per core: more threads would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

# Triton reads this once, when it is imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

pytest_plugins = ["fixtures.models", "fixtures.packs", "fixtures.session", "fixtures.weights"]

REFERENCE = Path(
    os.environ.get("VAD_REFERENCE", Path(__file__).resolve().parents[2] / "shared" / "reference")
)
REGISTRIES = {
    "vad_toolkit.backbones.registry": "BACKBONES",
    "vad_toolkit.datasets.registry": "DATASETS",
    "vad_toolkit.evaluation.registry": "METRICS",
    "vad_toolkit.flow.registry": "FLOWS",
    "vad_toolkit.interchange.layouts.registry": "LAYOUTS",
    "vad_toolkit.models.registry": "METHODS",
    "vad_toolkit.video.registry": "DECODERS",
}


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the registrations of a test, in the registries that are imported already."""
    for module, name in REGISTRIES.items():
        if module in sys.modules:
            registry = getattr(sys.modules[module], name)
            monkeypatch.setattr(registry, "_items", dict(registry._items))
            monkeypatch.setattr(registry, "_plugins", dict(registry._plugins))


@pytest.fixture(scope="session")
def reference() -> Path:
    """Return the folder of real clips and known answers; without it, skip visibly."""
    if not REFERENCE.is_dir():
        pytest.skip("reference data not found: set VAD_REFERENCE to its folder")
    return REFERENCE


@pytest.fixture(scope="session")
def real_weights() -> str:
    """Return the sha256 of the real Inception-I3D, downloaded once; skip visibly if impossible."""
    from vad_toolkit.errors import WeightsError
    from vad_toolkit.weights.store import get_weights

    try:
        return get_weights("i3d-rgb-k400").published_sha256
    except WeightsError as error:
        pytest.skip(f"real weights are not available: {error}")


@pytest.fixture(scope="session")
def gpu() -> str:
    """Return a CUDA device; without one skip visibly, or fail if VAD_REQUIRE_GPU is set."""
    if not torch.cuda.is_available():
        if os.environ.get("VAD_REQUIRE_GPU"):
            pytest.fail("VAD_REQUIRE_GPU is set, and torch finds no CUDA device")
        pytest.skip("no CUDA device")
    return "cuda"


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Vad = Callable[..., Done]


@pytest.fixture
def vad(monkeypatch: pytest.MonkeyPatch) -> Vad:
    """Return a function that runs the command as a shell would: `vad("pack", "info", path)`.

    It runs in this process, since a new one takes seconds to import PyTorch.
    """
    from vad_cli import main

    monkeypatch.setattr(main, "handle_signals", lambda: None)

    def run(*arguments: str | Path, cwd: Path | None = None) -> Done:
        with monkeypatch.context() as patch, CliRunner().isolation() as (out, err, _):
            patch.setattr(sys, "argv", ["vad", *map(str, arguments)])
            patch.chdir(cwd or Path.cwd())
            with pytest.raises(SystemExit) as end:
                main.main()
            code = end.value.code if isinstance(end.value.code, int) else 0
            return Done(code, out.getvalue().decode(), err.getvalue().decode())

    return run


@pytest.fixture(scope="session")
def triton_device() -> str:
    """Return the device of Triton's kernels: CUDA, or the CPU under Triton's interpreter."""
    pytest.importorskip("triton")
    return "cuda" if torch.cuda.is_available() else "cpu"
