"""Videos written in blocks: equal to whole ones, and refused when they do not fit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from vad_toolkit.errors import PackCorrupt, PackError
from vad_toolkit.packs import video as video_module
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import SnippetBlocks, StreamedVideo, VideoFeatures, block_snippets
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe

MakeVideo = Callable[..., VideoFeatures]


def in_blocks(video: VideoFeatures, sizes: list[int]) -> StreamedVideo:
    array = video.streams["rgb"]
    bounds = np.cumsum([0, *sizes])
    blocks = (array[a:b] for a, b in itertools.pairwise(bounds))
    return StreamedVideo({"rgb": SnippetBlocks(array.shape, blocks)}, lambda: video.meta)


def write(path: Path, recipe: Recipe, **videos: VideoFeatures | StreamedVideo) -> FeaturePack:
    write_pack(path, recipe, videos.items(), dataset="made-up")
    return FeaturePack.open(path)


@pytest.mark.parametrize("sizes", [[50], [16, 16, 16, 2], [48, 2], [32, 18]])
def test_blocks_make_the_same_pack(
    sizes: list[int], tmp_path: Path, recipe: Recipe, make_video: MakeVideo
) -> None:
    video = make_video(frames=800)
    with (
        write(tmp_path / "whole.h5", recipe, one=video) as whole,
        write(tmp_path / "blocks.h5", recipe, one=in_blocks(video, sizes)) as blocks,
    ):
        assert blocks.content_sha256 == whole.content_sha256
        assert blocks.verify() == []
        np.testing.assert_array_equal(blocks.features("one"), video.streams["rgb"])


def test_chunks_hold_what_plain_hdf5_would_write(
    tmp_path: Path, recipe: Recipe, make_video: MakeVideo
) -> None:
    video = make_video(frames=20 * 16)
    write(tmp_path / "a.h5", recipe, one=video).close()
    with h5py.File(tmp_path / "a.h5") as file:
        stored = file["videos/one/rgb"]
        assert stored.chunks == (16, 1, 8)
        _, padded = stored.id.read_direct_chunk((16, 0, 0))
    last = np.frombuffer(padded, "<f2").reshape(16, 1, 8)
    np.testing.assert_array_equal(last[:4], video.streams["rgb"][16:])
    assert not last[4:].any()


@pytest.mark.parametrize(
    ("sizes", "match"),
    [
        ([16, 16], r"video 'one': the blocks of rgb features must have 50 snippets, got 32"),
        ([15, 35], r"begins at snippet 15; all blocks but the last .* a multiple of 16"),
        ([], r"must have 50 snippets, got 0"),
    ],
)
def test_blocks_that_do_not_make_up_the_shape(
    sizes: list[int], match: str, tmp_path: Path, recipe: Recipe, make_video: MakeVideo
) -> None:
    with pytest.raises(PackError, match=match):
        write(tmp_path / "p.h5", recipe, one=in_blocks(make_video(frames=800), sizes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("block", "match"),
    [
        (np.zeros((2, 1, 8), np.float32), r"must be float16 .*, got float32 \(2, 1, 8\)"),
        (np.zeros((2, 1, 7), np.float16), r"must be float16 .* 1, 8\), got float16 \(2, 1, 7\)"),
        (np.zeros((3, 1, 8), np.float16), r"must have 2 snippets, got 3"),
        (np.full((2, 1, 8), np.inf, np.float16), "hold NaN or infinity"),
    ],
)
def test_blocks_that_are_refused(
    block: np.ndarray, match: str, tmp_path: Path, recipe: Recipe, make_video: MakeVideo
) -> None:
    meta = make_video(frames=32).meta
    video = StreamedVideo({"rgb": SnippetBlocks((2, 1, 8), iter([block]))}, lambda: meta)
    with pytest.raises(PackError, match=match):
        write(tmp_path / "p.h5", recipe, one=video)


def test_a_streamed_video_has_to_fit_the_recipe(
    tmp_path: Path, recipe: Recipe, make_video: MakeVideo
) -> None:
    video = make_video(frames=32)
    meta = make_video(frames=64).meta
    with pytest.raises(PackError, match="video 'one': rgb must have 4 snippets for 64 frames"):
        write(tmp_path / "p.h5", recipe, one=StreamedVideo(video.streamed().streams, lambda: meta))


def test_copying_in_blocks(good_pack: Path, tmp_path: Path, recipe: Recipe) -> None:
    with FeaturePack.open(good_pack) as pack:
        videos = {id: pack.streamed(id) for id in pack.ids}
        write_pack(tmp_path / "copy.h5", recipe, videos.items(), dataset="made-up")
        with FeaturePack.open(tmp_path / "copy.h5") as copy:
            assert copy.content_sha256 == pack.content_sha256
            assert copy.meta("two") == pack.meta("two")


def test_damage_is_not_copied(good_pack: Path, tmp_path: Path, recipe: Recipe) -> None:
    with h5py.File(good_pack, "r+") as file:
        file["videos/two/rgb"][0, 0, 0] = 8
    with FeaturePack.open(good_pack) as pack:
        videos = ((id, pack.streamed(id)) for id in pack.ids)
        with pytest.raises(PackCorrupt, match=r"good.h5: video 'two': rgb features are damaged$"):
            write_pack(tmp_path / "copy.h5", recipe, videos, dataset="made-up")
    assert not (tmp_path / "copy.h5").exists()


def test_blocks_are_whole_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert block_snippets(10, 2048) == 96
    assert block_snippets(1, 8) % 16 == 0
    monkeypatch.setattr(video_module, "BLOCK_BYTES", 1)
    assert block_snippets(10, 2048) == 16
