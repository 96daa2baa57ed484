"""A small dataset, and where to."""

from __future__ import annotations

from pathlib import Path

import pytest

from vad_toolkit.experiments.ablation.source import Data, PackSource
from vad_toolkit.experiments.context_motion.courses import Level, Size
from vad_toolkit.experiments.context_motion.vectors import write_vectors

SMALL = Size(train=16, test=16)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> PackSource:
    drawn = write_vectors(tmp_path_factory.mktemp("data") / "same", Level.SAME, 0, SMALL)
    return PackSource(Data(drawn.pack, drawn.train, str(drawn.test), drawn.pack))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "with space" / "ablation"
