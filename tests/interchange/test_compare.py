"""Comparisons: cosine and difference as computed plainly, and crop orders that are found."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np
import pytest

from vad_toolkit.core.crops import CENTER, FIVE_CROP_ORDERS, TEN_CROP_ORDERS, crop_index, crop_order
from vad_toolkit.interchange import compare as compare_module
from vad_toolkit.interchange.compare import compare_sources
from vad_toolkit.packs import video as video_module

WIDTH = 24
TORCHVISION = TEN_CROP_ORDERS["torchvision"]


class Source:
    """Features in memory."""

    def __init__(
        self, videos: Mapping[str, Mapping[str, np.ndarray]], crops: tuple[str, ...] | None = None
    ) -> None:
        self.name = "memory"
        self.videos = videos
        self.crops = crops
        self.ids = tuple(videos)

    def shapes(self, id: str) -> dict[str, tuple[int, ...]]:
        return {stream: array.shape for stream, array in self.videos[id].items()}

    def read(self, id: str, stream: str, start: int, stop: int) -> np.ndarray:
        return self.videos[id][stream][start:stop]


def crops_of(count: int, snippets: int = 30, seed: int = 0, spread: float = 0.3) -> np.ndarray:
    """Crops (N, C, D) that resemble each other as those of one scene do."""
    rng = np.random.default_rng(seed)
    scene = rng.gamma(0.5, 1, (snippets, 1, WIDTH))
    return (scene + rng.gamma(0.5, spread, (snippets, count, WIDTH))).astype(np.float16)


def one(array: np.ndarray, crops: tuple[str, ...] | None = None) -> Source:
    return Source({"v": {"rgb": array}}, crops)


def test_equal_features() -> None:
    array = crops_of(10)
    result = compare_sources(one(array, TORCHVISION), one(array, TORCHVISION), [("v", "v")])
    assert list(result.videos["v"]["rgb"]) == list(TORCHVISION)
    for part in result.videos["v"]["rgb"].values():
        assert (part.rows, part.cosine_mean, part.cosine_lowest, part.largest_difference) == (
            30, 1.0, 1.0, 0.0,
        )  # fmt: skip
    assert (result.crops[10].stated, result.crops[10].text) == (True, "")


@pytest.mark.parametrize("block_bytes", [1, 4 << 20])
def test_cosine_and_difference(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_module, "BLOCK_BYTES", block_bytes)
    a = {id: crops_of(10, 50, seed).astype(np.float32) for seed, id in enumerate("xy")}
    rng = np.random.default_rng(9)
    b = {id: array + rng.normal(0, 0.05, array.shape) for id, array in a.items()}
    result = compare_sources(
        Source({id: {"rgb": array} for id, array in a.items()}),
        Source({id: {"rgb": array} for id, array in b.items()}),
        [("x", "x"), ("y", "y")],
    )
    for id in "xy":
        x, y = a[id].astype(np.float64), b[id]
        cosine = (x * y).sum(2) / np.linalg.norm(x, axis=2) / np.linalg.norm(y, axis=2)
        parts = result.videos[id]["rgb"].values()
        np.testing.assert_allclose([p.cosine_mean for p in parts], cosine.mean(0), rtol=1e-12)
        np.testing.assert_allclose([p.cosine_lowest for p in parts], cosine.min(0), rtol=1e-12)
        np.testing.assert_allclose(
            [p.largest_difference for p in parts], np.abs(x - y).max((0, 2)), rtol=1e-12
        )
    total = result.by_crop()["rgb", "crop 0"]
    both = [result.videos[id]["rgb"]["crop 0"] for id in "xy"]
    assert total.rows == 100
    assert total.cosine_lowest == min(part.cosine_lowest for part in both)
    np.testing.assert_allclose(total.cosine_mean, np.mean([part.cosine_mean for part in both]))
    assert result.cosine_lowest < 1


def test_rows_of_zeros() -> None:
    a = np.zeros((3, 1, 4), np.float32)
    b = a.copy()
    b[1, 0, 0] = 2
    part = compare_sources(one(a), one(b), [("v", "v")]).videos["v"]["rgb"]["crop 0"]
    assert (part.cosine_mean, part.cosine_lowest) == (pytest.approx(2 / 3), 0.0)
    assert part.largest_difference == 2


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
@pytest.mark.parametrize(("real", "stated"), list(permutations(TEN_CROP_ORDERS, 2)))
def test_each_pair_of_orders_is_found_and_named(real: str, stated: str, noise: float) -> None:
    """A is right; B's crops are in another order than B says."""
    have, other = TEN_CROP_ORDERS[stated], TEN_CROP_ORDERS[real]
    array = crops_of(10)
    rng = np.random.default_rng(1)
    shuffled = array[:, crop_index(have, other)] + rng.normal(0, noise, array.shape)
    result = compare_sources(one(array, have), one(shuffled, have), [("v", "v")])
    match = result.crops[10]
    assert not match.stated
    assert match.text == (
        f"B's crops are in the order {real}, not in {stated} as B states, A's in {stated}"
    )
    assert match.index == tuple(crop_index(other, have))
    if noise == 0:
        assert result.cosine_lowest == 1


@pytest.mark.parametrize(("a", "b"), list(permutations(FIVE_CROP_ORDERS, 2)))
def test_five_crops_of_files_against_a_pack(a: str, b: str) -> None:
    array = crops_of(5)
    files = array[:, crop_index(crop_order(a, 5), crop_order(b, 5))]
    result = compare_sources(one(array, crop_order(a, 5)), one(files), [("v", "v")])
    assert result.crops[5].text == f"B's crops are in the order {b}, A's in {a}"
    result = compare_sources(one(files), one(array, crop_order(a, 5)), [("v", "v")])
    assert result.crops[5].text == f"A's crops are in the order {b}, B's in {a}"


@pytest.mark.parametrize(("a", "b"), list(permutations(TEN_CROP_ORDERS, 2)))
def test_files_against_files(a: str, b: str) -> None:
    array = crops_of(10)
    files = array[:, crop_index(TEN_CROP_ORDERS[a], TEN_CROP_ORDERS[b])]
    match = compare_sources(one(array), one(files), [("v", "v")]).crops[10]
    assert match.text.startswith("B's crops are in the order ")
    assert f"{b} if A's are in {a}" in match.text


def test_an_order_without_a_name() -> None:
    array = crops_of(10)
    mixed = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    match = compare_sources(one(array), one(array[:, np.argsort(mixed)]), [("v", "v")]).crops[10]
    assert match.index == tuple(mixed)
    assert match.text == (
        "B's crops are in an unnamed order: A's crops 0 to 9 are B's 3, 1, 4, 0, 5, 9, 2, 6, 8, 7"
    )
    named = compare_sources(one(array, TORCHVISION), one(array[:, np.argsort(mixed)]), [("v", "v")])
    assert "B's crops are in the order [bottom-right, top-right," in named.crops[10].text


@pytest.mark.parametrize(("a", "b"), list(permutations(TEN_CROP_ORDERS, 2)))
def test_stated_orders_are_compared_by_name(a: str, b: str) -> None:
    have, other = TEN_CROP_ORDERS[a], TEN_CROP_ORDERS[b]
    array = crops_of(10)
    result = compare_sources(
        one(array, have), one(array[:, crop_index(have, other)], other), [("v", "v")]
    )
    assert result.cosine_lowest == 1
    assert result.crops[10].stated
    assert result.crops[10].text == (
        f"A's crops are in the order {a}, B's in {b}: compared by name"
    )


def test_a_scene_without_motion_says_nothing_of_the_order() -> None:
    array = np.repeat(crops_of(1), 10, axis=1)
    result = compare_sources(
        one(array, TORCHVISION), one(array + np.float16(0), None), [("v", "v")]
    )
    assert result.crops[10].stated
    assert result.crops[10].text == ""


def test_other_shapes_and_streams_are_listed() -> None:
    a = Source({"x": {"rgb": crops_of(1)}, "y": {"rgb": crops_of(1), "flow": crops_of(1)}})
    b = Source({"x": {"rgb": crops_of(1, 29)}, "y": {"rgb": crops_of(1)}})
    result = compare_sources(a, b, [("x", "x"), ("y", "y")])
    assert result.other_shapes == [
        ("x", "rgb", (30, 1, WIDTH), (29, 1, WIDTH)),
        ("y", "flow", (30, 1, WIDTH), None),
    ]
    assert list(result.videos) == ["y"]


def test_one_crop_has_no_order() -> None:
    result = compare_sources(
        one(crops_of(1), CENTER), one(crops_of(1, seed=5), CENTER), [("v", "v")]
    )
    assert (result.crops[1].names, result.crops[1].text) == (CENTER, "")


def test_only_a_sample_is_read_for_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_module, "SAMPLE_VIDEOS", 3)
    monkeypatch.setattr(compare_module, "SAMPLE_SNIPPETS", 8)
    videos = {f"v{i}": {"rgb": crops_of(10, seed=i)} for i in range(7)}
    order = TEN_CROP_ORDERS["deepmil"]
    index = crop_index(TORCHVISION, order)
    other = {id: {"rgb": streams["rgb"][:, index]} for id, streams in videos.items()}
    result = compare_sources(
        Source(videos, TORCHVISION), Source(other), [(id, id) for id in videos]
    )
    assert result.crops[10].text == "B's crops are in the order deepmil, A's in torchvision"
    assert result.cosine_lowest == 1
