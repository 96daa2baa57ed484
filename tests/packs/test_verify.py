"""Comparing digests while reading: order, blocks, damage, and errors of any kind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.errors import PackCorrupt
from vad_toolkit.packs import verify as verify_module
from vad_toolkit.packs import write as stream_module
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.verify import StoredFeatures, find_problems
from vad_toolkit.packs.video import VideoFeatures
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe

MakeVideo = Callable[..., VideoFeatures]


def stored(id: str, array: NDArray[np.float16], sha256: str | None = None) -> StoredFeatures:
    def read(start: int, out: NDArray[np.float16]) -> None:
        out[:] = array[start : start + len(out)]

    stated = sha256 or hashlib.sha256(array.tobytes()).hexdigest()
    return StoredFeatures(id, "rgb", array.shape, stated, read)


@pytest.fixture
def arrays() -> dict[str, NDArray[np.float16]]:
    draw = np.random.default_rng(0)
    return {
        f"v{index:02d}": draw.standard_normal((1 + 7 * index, 2, 3)).astype(np.float16)
        for index in range(40)
    }


@pytest.mark.parametrize("block_bytes", [1, 1 << 22])
def test_whole_arrays_give_no_problem(
    arrays: dict[str, NDArray[np.float16]], block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "BLOCK_BYTES", block_bytes)  # 1: sixteen snippets a block
    assert find_problems(stored(id, array) for id, array in arrays.items()) == []
    assert find_problems([]) == []


@pytest.mark.parametrize("block_bytes", [1, 1 << 22])
def test_problems_come_in_order(
    arrays: dict[str, NDArray[np.float16]], block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "BLOCK_BYTES", block_bytes)
    bad = {"v03", "v11", "v39"}
    found = find_problems(
        stored(id, array, "0" * 64 if id in bad else None) for id, array in arrays.items()
    )
    assert [id for id, _ in found] == sorted(bad)
    for id, problem in found:
        right = hashlib.sha256(arrays[id].tobytes()).hexdigest()
        assert problem == f"rgb features are damaged: sha256 {right}, stated {'0' * 64}"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("snippet", [0, 17, 273])
def test_what_is_not_finite_is_found_in_every_block(
    arrays: dict[str, NDArray[np.float16]],
    value: float,
    snippet: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_module, "BLOCK_BYTES", 1)
    arrays["v39"][snippet, 1, 1] = value
    found = find_problems(stored(id, array) for id, array in arrays.items())
    assert found == [("v39", "rgb features hold NaN or infinity")]


def test_what_cannot_be_read_is_told_and_the_rest_is_checked(
    arrays: dict[str, NDArray[np.float16]],
) -> None:
    def refuse(start: int, out: NDArray[np.float16]) -> None:
        raise PackCorrupt("p.h5: video 'bad': rgb features cannot be read: no luck")

    videos = [stored(id, array) for id, array in arrays.items()]
    videos.insert(5, StoredFeatures("bad", "rgb", (9, 2, 3), "0" * 64, refuse))
    videos[9] = stored("v08", arrays["v08"], "1" * 64)
    found = find_problems(videos)
    assert found[0] == ("bad", "rgb features cannot be read: no luck")
    assert [id for id, _ in found] == ["bad", "v08"]


def test_an_error_of_another_kind_is_no_silence(arrays: dict[str, NDArray[np.float16]]) -> None:
    def fail(start: int, out: NDArray[np.float16]) -> None:
        raise MemoryError("no memory")

    videos = [stored(id, array) for id, array in arrays.items()]
    videos.append(StoredFeatures("bad", "rgb", (9, 2, 3), "0" * 64, fail))
    with pytest.raises(MemoryError, match="no memory"):
        find_problems(videos)


def test_an_error_while_hashing_is_no_silence(
    arrays: dict[str, NDArray[np.float16]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(array: NDArray[np.float16]) -> bool:
        raise MemoryError("no memory for the check")

    monkeypatch.setattr(verify_module, "all_finite", fail)
    with pytest.raises(MemoryError, match="no memory for the check"):
        find_problems(stored(id, array) for id, array in arrays.items())


def test_few_buffers_are_enough_for_many_blocks(
    tmp_path: Path, recipe: Recipe, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "BLOCK_BYTES", 1)
    monkeypatch.setattr(verify_module, "BLOCKS_A_LANE", 1)
    videos = [("a", make_video(16 * 500)), ("b", make_video(3)), ("c", make_video(16 * 301))]
    write_pack(tmp_path / "p.h5", recipe, videos, dataset="x")
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        assert pack.verify() == []
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        file["videos/a/rgb"][499, 0, 7] = 3
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        assert list(pack.damaged()) == ["a"]
