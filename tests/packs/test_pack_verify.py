"""Verification of whole packs: blocks, several videos at a time, damage, and other errors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from vad_toolkit.packs import pack as pack_module
from vad_toolkit.packs import video as video_module
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe

MakeVideo = Callable[..., VideoFeatures]


@pytest.fixture(params=[1, 1 << 22])
def path(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    recipe: Recipe,
    make_video: MakeVideo,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A pack of 20 videos, v00 to v19, that is read in blocks of 16 snippets or in one block."""
    videos = ((f"v{index:02d}", make_video(16 * (1 + 7 * index), index)) for index in range(20))
    write_pack(tmp_path / "p.h5", recipe, videos, dataset="x")
    monkeypatch.setattr(video_module, "BLOCK_BYTES", request.param)
    return tmp_path / "p.h5"


def change(path: Path, id: str, snippet: int, value: float, *, rehash: bool = False) -> None:
    with h5py.File(path, "r+") as file:
        features = file[f"videos/{id}/rgb"]
        features[snippet, 0, 7] = value
        if rehash:
            features.attrs["sha256"] = hashlib.sha256(features[:].tobytes()).hexdigest()


@pytest.mark.parametrize("threads", [1, 4])
def test_damaged_videos_are_listed_in_order(
    path: Path, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_module, "VERIFY_THREADS", threads)
    monkeypatch.setattr(pack_module.os, "cpu_count", lambda: 4)
    with FeaturePack.open(path) as pack:
        assert pack.verify() == []
    for id, snippet in (("v19", 133), ("v03", 0), ("v11", 40)):
        change(path, id, snippet, 99)
    with FeaturePack.open(path) as pack:
        damaged = pack.damaged()
        assert list(damaged) == ["v03", "v11", "v19"]
        found = hashlib.sha256(pack["v11"].tobytes()).hexdigest()
        assert damaged["v11"] == (
            f"video 'v11': rgb features are damaged: sha256 {found}, stated {pack.digest('v11')}"
        )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("snippet", [0, 17, 133])
def test_numbers_that_are_not_finite_are_found_in_every_block(
    path: Path, value: float, snippet: int
) -> None:
    change(path, "v19", snippet, value, rehash=True)
    with FeaturePack.open(path) as pack:
        assert pack.verify() == ["video 'v19': rgb features hold NaN or infinity"]


def test_an_error_of_another_kind_is_raised(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(array: object) -> bool:
        raise MemoryError("no memory for the check")

    monkeypatch.setattr(pack_module, "all_finite", fail)
    with FeaturePack.open(path) as pack, pytest.raises(MemoryError, match="no memory for the"):
        pack.verify()
