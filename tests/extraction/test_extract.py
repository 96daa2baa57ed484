"""From files to a pack: resume, failures, and the features themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from vad_toolkit.core.progress import ProgressEvent
from vad_toolkit.errors import InputError, PackError, WeightsError
from vad_toolkit.extraction.extract import extract_pack
from vad_toolkit.extraction.in_progress import VideoInProgress
from vad_toolkit.extraction.sources import VideoSource, list_sources
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import Recipe, load_recipe


def test_good_videos_are_in_the_pack_and_bad_ones_in_failures(
    videos: Path, recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "pack.h5"
    events: list[ProgressEvent] = []
    sources = list_sources([videos])
    summary = extract_pack(sources, recipe, out, dataset="some", progress=events.append)
    assert summary.extracted == ("good/0", "good/1", "good/2")
    assert (summary.frames, summary.snippets) == (69, 2 + 3 + 1)
    lines = [json.loads(x) for x in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["bad/empty", "bad/text", "bad/truncated"]
    assert all(line["reason"] and "\n" not in line["reason"] for line in lines)
    with FeaturePack.open(out) as pack:
        assert pack.ids == ("good/0", "good/1", "good/2")
        assert pack.dataset == "some"
        assert pack.meta("good/1").frames == 33
        assert pack.features("good/1").shape == (3, 1, 1024)
        assert pack.verify() == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["failures.jsonl", "pack.h5"]
    assert events[-1].done == events[-1].total == 69
    assert all(event.done <= event.total for event in events)


def test_second_run_reuses_everything_and_first_failure_goes_away(
    videos: Path, recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "pack.h5"
    copies = {p.stem: p.read_bytes() for p in (videos / "good").iterdir()}
    folder = tmp_path / "in"
    folder.mkdir()
    for name, content in copies.items():
        (folder / f"{name}.mp4").write_bytes(content if name != "2" else b"broken")
    first = extract_pack(list_sources([folder]), recipe, out)
    assert [failure.id for failure in first.failures] == ["2"]
    (folder / "2.mp4").write_bytes(copies["2"])
    second = extract_pack(list_sources([folder]), recipe, out)
    assert second.extracted == ("2",)
    assert second.reused == ("0", "1")
    assert not (tmp_path / "failures.jsonl").exists()
    stamp = out.stat().st_mtime_ns
    third = extract_pack(list_sources([folder]), recipe, out)
    assert third.extracted == ()
    assert out.stat().st_mtime_ns == stamp
    with FeaturePack.open(out) as pack:
        digest = pack.content_sha256
    fresh = tmp_path / "fresh.h5"
    extract_pack(list_sources([folder]), recipe, fresh)
    with FeaturePack.open(fresh) as pack:
        assert pack.content_sha256 == digest


def test_failures_of_two_packs_share_a_file(videos: Path, recipe: Recipe, tmp_path: Path) -> None:
    bad = [VideoSource("bad", videos / "bad" / "empty.mp4")]
    good = VideoSource("good", videos / "good" / "0.mp4")
    (tmp_path / "failures.jsonl").write_text("somebody's note\n[1]\n")
    for name in ("one.h5", "two.h5", "two.h5"):
        extract_pack([*bad, good], recipe, tmp_path / name)
    foreign, number, *lines = (tmp_path / "failures.jsonl").read_text().splitlines()
    assert (foreign, number) == ("somebody's note", "[1]")
    assert [json.loads(line)["pack"] for line in lines] == ["one.h5", "two.h5"]


def test_nothing_usable_leaves_no_pack(videos: Path, recipe: Recipe, tmp_path: Path) -> None:
    summary = extract_pack(list_sources([videos / "bad"]), recipe, tmp_path / "pack.h5")
    assert len(summary.failures) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["failures.jsonl"]


def test_other_recipe_at_the_same_place_is_refused(
    videos: Path, recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "pack.h5"
    sources = list_sources([videos / "good"])[:1]
    extract_pack(sources, recipe, out)
    other = load_recipe("i3d-rgb-center", {"weights": "i3d-rgb-random", "step": 8})
    with pytest.raises(InputError, match="recipe"):
        extract_pack(sources, other, out)


def test_missing_weights(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "nothing here"))
    sources = list_sources([videos / "good"])
    with pytest.raises(WeightsError, match="run `vad weights get i3d-rgb-k400`"):
        extract_pack(sources, load_recipe("i3d-rgb-center"), tmp_path / "pack.h5")


def test_bad_ids(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no videos to extract"):
        extract_pack([], recipe, tmp_path / "pack.h5")
    twice = [VideoSource("a", tmp_path / "1.mp4"), VideoSource("a", tmp_path / "2.mp4")]
    with pytest.raises(PackError, match="'a' occurs twice"):
        extract_pack(twice, recipe, tmp_path / "pack.h5")
    inside = [VideoSource("a", tmp_path / "1.mp4"), VideoSource("a/b", tmp_path / "2.mp4")]
    with pytest.raises(PackError, match="cannot be a video and a folder of videos"):
        extract_pack(inside, recipe, tmp_path / "pack.h5")
    assert list(tmp_path.iterdir()) == []


def test_features_that_are_not_finite_are_a_failure(
    videos: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One video whose numbers leave float16 is listed; the others are kept."""
    whole = VideoInProgress._copy

    def broken(self: VideoInProgress) -> None:
        whole(self)
        if len(self.host["rgb"]) == 1:
            self.host["rgb"].fill_(torch.inf)

    monkeypatch.setattr(VideoInProgress, "_copy", broken)
    summary = extract_pack(list_sources([videos / "good"]), recipe, tmp_path / "pack.h5")
    assert summary.extracted == ("0", "1")
    assert [failure.id for failure in summary.failures] == ["2"]
