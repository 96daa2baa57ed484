"""What all tests share: where the reference data lies, and one thread a worker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REFERENCE = Path(
    os.environ.get("VAD_REFERENCE", Path(__file__).resolve().parents[2] / "shared" / "reference")
)


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of real clips and known answers; tests that need it skip visibly without it."""
    if not REFERENCE.is_dir():
        pytest.skip("reference data not found: set VAD_REFERENCE to its folder")
    return REFERENCE
