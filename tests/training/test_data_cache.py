"""Large training sets are read from a cache file that is mapped into memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vad_toolkit.models.config import DataConfig
from vad_toolkit.training import data as data_module


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of a VAD_HOME of this test's own."""
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cache" / "segments"


@pytest.mark.parametrize("segments", [5, "all"])
def test_a_large_set_is_mapped_and_equal(
    dataset, folder: Path, monkeypatch: pytest.MonkeyPatch, segments: int | str
) -> None:
    config = DataConfig.model_validate({"segments": segments})
    small = dataset.load(config)
    assert not folder.exists()
    monkeypatch.setattr(data_module, "CACHE_FROM_BYTES", 1)
    events: list[object] = []
    for _ in range(2):
        large = dataset.load(config, events.append)
        assert torch.equal(large.flat, small.flat)
    assert len(events) == 20  # the pack was read once
    assert len(list(folder.glob("*.npy"))) == 1


def test_what_decides_the_segments_decides_the_name(dataset) -> None:
    configs = [
        DataConfig(),
        DataConfig(segments=5),
        DataConfig(segments="all"),
        DataConfig(storage="float32"),
    ]
    keys = [dataset.source(config).cache_key for config in configs]
    assert len(set(keys)) == 4
    assert dataset.source(DataConfig(standardise=False)).cache_key == keys[0]
