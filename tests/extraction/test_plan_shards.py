"""Shards: what they are called, who has which video, and when they are complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.extraction.extract import extract_pack
from vad_toolkit.extraction.failures import FAILURES, Failure, write_failures
from vad_toolkit.extraction.plan import Shard
from vad_toolkit.extraction.sources import VideoSource, list_sources
from vad_toolkit.packs.merge import merge_packs
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import Recipe


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1/999999"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(InputError, match="shard must be I/N"):
        Shard.parse(text)


def test_names() -> None:
    shard, out = Shard.parse("2/12"), Path("some where/a.b.h5")
    assert str(shard) == "2/12"
    assert shard.pack(out) == Path("some where/a.b.2-of-12.h5")
    assert shard.siblings(out)[11].name == "a.b.12-of-12.h5"
    command = "vad pack merge 'some where/a.b'.*-of-12.h5 --out 'some where/a.b.h5'"
    assert shard.merge_command(out) == command


def test_shares_keep_the_order_and_leave_nothing_out() -> None:
    videos = [VideoSource(f"v{n}", Path("x"), frames=n) for n in (3, 9, 1, 5, 7, 2)]
    taken = [Shard(number, 4).take(videos) for number in (1, 2, 3, 4)]
    assert sorted(video.id for share in taken for video in share) == [
        v.id for v in sorted(videos, key=lambda video: video.id)
    ]
    for share in taken:
        assert share == [video for video in videos if video in share]
    assert Shard(3, 4).take(videos[:2]) == []


def test_four_shards_merged_are_one_run(videos: Path, recipe: Recipe, tmp_path: Path) -> None:
    """Of three good videos and three bad ones; a share may be empty or all bad."""
    sources = list_sources([videos])
    ids = [source.id for source in sources]
    extract_pack(sources, recipe, tmp_path / "whole" / "a.h5")
    out = tmp_path / "shards" / "a.h5"
    for number in (3, 1, 4, 2):
        assert Shard(number, 4).missing(out, ids)
        if own := Shard(number, 4).take(sources):
            extract_pack(own, recipe, Shard(number, 4).pack(out))
    assert Shard(1, 4).missing(out, ids) == []
    merge_packs(list(out.parent.glob("a.*-of-4.h5")), out)
    with FeaturePack.open(out) as merged, FeaturePack.open(tmp_path / "whole" / "a.h5") as whole:
        assert merged.verify() == []
        assert merged.content_sha256 == whole.content_sha256


def test_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    file = tmp_path / FAILURES
    write_failures(file, [Failure("bad", "bad.mp4", "why")], pack="a.1-of-2.h5")
    write_failures(file, [Failure("good", "good.mp4", "why")], pack="other.h5")
    (tmp_path / "a.2-of-2.h5").write_bytes(b"damaged")
    assert Shard(1, 2).missing(out, ["bad", "good"]) == ["good"]
