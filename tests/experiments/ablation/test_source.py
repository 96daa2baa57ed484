"""Where data come from: described by what they are, drawn once, kept while they are whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from vad_toolkit.errors import InputError, PackError
from vad_toolkit.experiments.ablation.source import ContextMotionSource, Data, PackSource
from vad_toolkit.experiments.context_motion.courses import Level, Size

SMALL = Size(train=16, test=16)


def test_a_pack_is_described_by_its_content(source: PackSource, tmp_path: Path) -> None:
    described = source.describe()
    assert described["pack_sha256"] == described["test_pack_sha256"]
    assert described["manifest_sha256"] != described["test_manifest_sha256"]
    assert source.shared
    assert source.data(3) == source.given
    (tmp_path / "copy.h5").write_bytes(source.given.pack.read_bytes())
    moved = Data(tmp_path / "copy.h5", source.given.train, source.given.test, source.given.pack)
    assert PackSource(moved).describe() == described


def test_a_pack_that_is_none(source: PackSource, tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(b"nothing")
    data = Data(tmp_path / "x.h5", source.given.train, source.given.test, source.given.pack)
    with pytest.raises(PackError, match=r"x\.h5"):
        PackSource(data).describe()


def test_drawn_once_and_again_where_not_whole(tmp_path: Path) -> None:
    drawn = ContextMotionSource(Level.FAR, tmp_path, size=SMALL)
    packs = [drawn.data(seed).pack for seed in (0, 1)]
    before = [pack.stat().st_mtime_ns for pack in packs]
    packs[1].with_name("context-motion.json").unlink()  # as where the drawing was stopped
    again = [drawn.data(seed).pack for seed in (0, 1)]
    after = [pack.stat().st_mtime_ns for pack in again]
    assert after[0] == before[0]
    assert after[1] > before[1]


def test_one_dataset_for_all_seeds(tmp_path: Path) -> None:
    drawn = ContextMotionSource(Level.FAR, tmp_path, 5, SMALL)
    assert drawn.data(0) == drawn.data(2)
    assert [path.name for path in tmp_path.iterdir()] == ["seed-5"]
    assert drawn.shared
    assert drawn.describe()["seed"] == 5


def test_a_negative_data_seed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="data seed must be per-seed or >= 0, got -2"):
        ContextMotionSource(Level.FAR, tmp_path, -2)
