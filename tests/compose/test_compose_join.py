"""Joined clips: features in the plan's order, and metadata that states their origin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from vad_toolkit import __version__
from vad_toolkit.compose.compose import join_pack
from vad_toolkit.core.files import canonical_json, sha256_text
from vad_toolkit.errors import InputError, PackCorrupt, PackError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe, load_recipe


def test_join(good_pack: Path, recipe: Recipe) -> None:
    plan = {"new/a": ["two", "fight/one", "two"], "new/b": ["fight/one"]}
    out = good_pack.with_name("joined.h5")
    with FeaturePack.open(good_pack) as pack:
        write_pack(out, recipe, join_pack(pack, plan), dataset="joined")
        two, one = pack.features("two"), pack.features("fight/one")
    with FeaturePack.open(out) as joined:
        assert joined.ids == ("new/a", "new/b")
        np.testing.assert_array_equal(joined.features("new/a"), np.concatenate([two, one, two]))
        np.testing.assert_array_equal(joined.features("new/b"), one)
        sources = [[id, f"{seed:064x}"] for id, seed in (("two", 2), ("fight/one", 1), ("two", 2))]
        assert joined.meta("new/a") == VideoMeta(
            frames=16 * 5,
            frames_reported=16 * 5,
            frames_duplicated=0,
            fps=25.0,
            width=320,
            height=240,
            source_sha256=sha256_text(canonical_json(sources)),
            decoder="joined",
            decoder_version=__version__,
            clips=("two", "fight/one", "two"),
        )
        assert joined.verify() == []


def test_plan_that_cannot_be_joined(good_pack: Path) -> None:
    with FeaturePack.open(good_pack) as pack:
        with pytest.raises(PackError, match="has no video 'three'"):
            list(join_pack(pack, {"a": ["two", "three"]}))
        with pytest.raises(InputError, match="video 'a' of the plan has no clips"):
            list(join_pack(pack, {"a": []}))
        assert list(join_pack(pack, {})) == []


def test_overlapping_snippets(tmp_path: Path, make_video: Callable[..., VideoFeatures]) -> None:
    recipe = load_recipe("i3d-rgb-center", {"step": 8})
    path = tmp_path / "p.h5"
    write_pack(path, recipe, [("a", make_video(40, recipe=recipe))], dataset="x")
    with (
        FeaturePack.open(path) as pack,
        pytest.raises(InputError, match="snippets of 16 frames every 8; only snippets that do not"),
    ):
        list(join_pack(pack, {"b": ["a"]}))


def test_a_tail_rule_that_the_whole_would_not_have(
    tmp_path: Path, make_video: Callable[..., VideoFeatures]
) -> None:
    """Of 2 snippets, 32 frames; joined they would be 32 frames too, and by this rule 1 snippet."""
    recipe = load_recipe("i3d-rgb-center", {"tail": "drop-next"})
    path = tmp_path / "p.h5"
    write_pack(path, recipe, [("a", make_video(33, recipe=recipe))], dataset="x")
    with FeaturePack.open(path) as pack, pytest.raises(InputError, match="tail rule drop-next"):
        list(join_pack(pack, {"b": ["a"]}))


def test_a_joined_video_has_frames_of_the_recipes_rate(tmp_path: Path) -> None:
    """40 frames at 25 a second are 16 at 10: one snippet each, two together."""
    recipe = load_recipe("i3d-rgb-center", {"frame_rate": 10})
    meta = VideoMeta(40, 40, 0, 25.0, 320, 240, "0" * 64, "pyav", "1")
    clip = VideoFeatures(meta, {"rgb": np.ones((1, 1, 4), np.float16)})
    path, out = tmp_path / "p.h5", tmp_path / "joined.h5"
    write_pack(path, recipe, [("a", clip)], dataset="x")
    with FeaturePack.open(path) as pack:
        write_pack(out, recipe, join_pack(pack, {"b": ["a", "a"]}), dataset="x")
    with FeaturePack.open(out) as joined:
        assert (joined.meta("b").frames, joined.meta("b").fps) == (32, 10.0)


def test_a_video_without_a_rate_does_not_fit_a_recipe_that_resamples(tmp_path: Path) -> None:
    recipe = load_recipe("i3d-rgb-center", {"frame_rate": 10})
    meta = VideoMeta(40, 40, 0, 0.0, 320, 240, "0" * 64, "pyav", "1")
    clip = VideoFeatures(meta, {"rgb": np.ones((1, 1, 4), np.float16)})
    with pytest.raises(PackError, match="the video has no frame rate"):
        write_pack(tmp_path / "p.h5", recipe, [("a", clip)], dataset="x")


def test_damaged_clip(good_pack: Path) -> None:
    with h5py.File(good_pack, "r+") as file:
        file["videos/two/rgb"][0, 0, 0] += 1
    with (
        FeaturePack.open(good_pack) as pack,
        pytest.raises(PackCorrupt, match="video 'two': rgb features are damaged"),
    ):
        list(join_pack(pack, {"a": ["fight/one", "two"]}))
