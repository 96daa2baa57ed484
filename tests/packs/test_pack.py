"""Packs: round trips, the mapping and the table, and errors that name the video."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vad_toolkit.errors import PackError
from vad_toolkit.packs import write as write_module
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.recipes.recipe import Recipe, load_recipe

MakeVideo = Callable[..., VideoFeatures]
META = VideoMeta(
    frames=20,
    frames_reported=0,
    frames_duplicated=0,
    fps=29.97,
    width=1,
    height=1,
    source_sha256="0" * 64,
    decoder="pyav",
    decoder_version="14.0",
)


def content(path: Path) -> str:
    with FeaturePack.open(path) as pack:
        return pack.content_sha256


def test_what_is_written_comes_back(tmp_path: Path, recipe: Recipe, make_video: MakeVideo) -> None:
    videos = {"b/two": make_video(33, seed=1), "a": make_video(16, seed=2)}
    path = tmp_path / "new" / "p.h5"
    write_pack(path, recipe, videos.items(), dataset="made-up", license="MIT")
    with FeaturePack.open(path) as pack:
        assert pack.ids == ("a", "b/two")
        assert len(pack) == 2
        assert "a" in pack
        assert "b" not in pack
        assert pack.recipe == recipe
        assert pack.recipe_sha256 == recipe.sha256
        assert (pack.dataset, pack.license) == ("made-up", "MIT")
        assert pack.created.endswith("+00:00")
        assert pack.creator["h5py"] == h5py.__version__
        assert pack.shape("b/two") == (3, 1, 8)
        for id, video in videos.items():
            assert pack.meta(id) == video.meta
            assert pack.features(id).dtype == np.float16
            np.testing.assert_array_equal(pack.features(id), video.streams["rgb"])
            digest = hashlib.sha256(video.streams["rgb"].astype("<f2").tobytes()).hexdigest()
            assert pack.digest(id) == digest
        np.testing.assert_array_equal(
            pack.features("b/two", start=1, stop=2), videos["b/two"].streams["rgb"][1:2]
        )
        assert pack.verify() == []


def test_a_pack_is_a_mapping(good_pack: Path, make_video: MakeVideo) -> None:
    with FeaturePack.open(str(good_pack)) as pack:
        assert isinstance(pack, Mapping)
        assert (len(pack), list(pack), "two" in pack, "three" in pack) == (
            2,
            [*pack.ids],
            True,
            False,
        )
        assert {id: array.shape for id, array in pack.items()} == {
            "fight/one": (3, 1, 8),
            "two": (1, 1, 8),
        }
        assert [array.dtype for array in pack.values()] == [np.float16] * 2
        np.testing.assert_array_equal(pack["two"], make_video(7, seed=2).streams["rgb"])
        assert os.fspath(pack) == str(good_pack)
        with FeaturePack.open(pack) as again:  # the pack stands for its path
            assert again != pack
            assert len({again, pack}) == 2


@pytest.mark.parametrize(
    ("streams", "main"), [(("rgb", "flow"), "rgb"), (("flow", "rgb"), "rgb"), (("flow",), "flow")]
)
def test_the_main_modality(
    tmp_path: Path, make_video: MakeVideo, streams: tuple[Any, ...], main: str
) -> None:
    recipe = ImportedRecipe(layout="rtfm", crop_order=("center",), streams=streams)
    values = {"rgb": np.full((3, 1, 4), 1, np.float16), "flow": np.full((3, 1, 2), 2, np.float16)}
    video = VideoFeatures(make_video().meta, {stream: values[stream] for stream in streams})
    write_pack(tmp_path / "p.h5", recipe, [("a", video)], dataset="x")
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        np.testing.assert_array_equal(pack["a"], values[main])
        assert pack.shape("a") == values[main].shape
        assert pack.digest("a") == pack.digest("a", main)
        for stream in streams:
            np.testing.assert_array_equal(pack.features("a", stream), values[stream])


def test_the_table_of_a_pack(good_pack: Path) -> None:
    with FeaturePack.open(good_pack) as pack:
        one, two = pack.table()
        assert (one["id"], two["id"]) == ("fight/one", "two")
        assert two == {
            "id": "two",
            "snippets": 1,
            "crops": 1,
            "frames": 7,
            "frames_reported": 8,
            "frames_duplicated": 0,
            "fps": 25.0,
            "width": 320,
            "height": 240,
            "source_sha256": f"{2:064x}",
            "decoder": "decord",
            "decoder_version": "0.6.0",
            "clips": (),
            "rgb_dim": 8,
            "rgb_sha256": pack.digest("two"),
        }


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/."), min_size=1),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    frames=st.integers(1, 600),
    width=st.integers(1, 9),
    crops=st.sampled_from(["center", "five", "ten"]),
    clips=st.lists(st.sampled_from(["x", "y/z"]), max_size=3).map(tuple),
    fps=st.floats(0, 1e6),
)
def test_round_trip(
    tmp_path: Path,
    make_video: MakeVideo,
    names: list[str],
    frames: int,
    width: int,
    crops: str,
    clips: tuple[str, ...],
    fps: float,
) -> None:
    recipe = load_recipe("i3d-rgb-center", {"crops": crops})
    made = {name: make_video(frames, index, recipe, width) for index, name in enumerate(names)}
    videos = {
        name: replace(video, meta=replace(video.meta, clips=clips, fps=fps))
        for name, video in made.items()
    }
    path = tmp_path / "p.h5"
    write_pack(path, recipe, videos.items(), dataset="x")
    with FeaturePack.open(path) as pack:
        assert pack.ids == tuple(sorted(videos))
        assert pack.verify() == []
        for name, video in videos.items():
            read = pack.video(name)
            assert read.meta == video.meta
            np.testing.assert_array_equal(read.streams["rgb"], video.streams["rgb"])


def test_layout_on_disk(good_pack: Path, recipe: Recipe) -> None:
    with h5py.File(good_pack) as file:
        assert set(file.attrs) == {
            "format",
            "format_version",
            "recipe",
            "recipe_sha256",
            "dataset",
            "created",
            "creator",
            "license",
        }
        assert file.attrs["format"] == "vad-feature-pack"
        assert file.attrs["format_version"] == 1
        assert json.loads(file.attrs["recipe"]) == recipe.model_dump(mode="json")
        video = file["videos/fight/one"]
        assert set(video.attrs) == set(META.__dataclass_fields__) - {"clips"}
        features = video["rgb"]
        assert features.dtype == np.dtype("<f2")
        assert features.chunks == (3, 1, 8)
        assert features.compression is None
        assert features.attrs["sha256"] == hashlib.sha256(features[:].tobytes()).hexdigest()


def test_chunks_hold_16_snippets(tmp_path: Path, recipe: Recipe, make_video: MakeVideo) -> None:
    write_pack(tmp_path / "p.h5", recipe, [("a", make_video(16 * 40))], dataset="x")
    with h5py.File(tmp_path / "p.h5") as file:
        assert file["videos/a/rgb"].chunks == (16, 1, 8)


def test_bytes_depend_on_nothing_but_content(
    tmp_path: Path,
    recipe: Recipe,
    make_video: MakeVideo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Clock:
        @staticmethod
        def now(zone: object) -> Clock:
            return Clock()

        def isoformat(self, timespec: str) -> str:
            return "2026-01-01T00:00:00+00:00"

    monkeypatch.setattr(write_module, "datetime", Clock)
    videos = {"a/b": make_video(40, seed=1), "c": make_video(7, seed=2)}
    first, second = tmp_path / "1.h5", tmp_path / "2.h5"
    write_pack(first, recipe, videos.items(), dataset="x")
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    write_pack(second, recipe, videos.items(), dataset="x")
    assert first.read_bytes() == second.read_bytes()


def test_content_digest(tmp_path: Path, recipe: Recipe, make_video: MakeVideo) -> None:
    videos = {"a/b": make_video(40, seed=1), "c": make_video(7, seed=2)}
    write_pack(tmp_path / "1.h5", recipe, videos.items(), dataset="x")
    write_pack(tmp_path / "2.h5", recipe, reversed(videos.items()), dataset="y", license="MIT")
    assert content(tmp_path / "1.h5") == content(tmp_path / "2.h5")

    write_pack(tmp_path / "3.h5", recipe, [("c", videos["c"])], dataset="x")
    other = load_recipe("i3d-rgb-center", {"precision": "bfloat16"})
    write_pack(tmp_path / "4.h5", other, videos.items(), dataset="x")
    renamed = {"a/b": videos["a/b"], "d": videos["c"]}
    write_pack(tmp_path / "5.h5", recipe, renamed.items(), dataset="x")
    assert len({content(tmp_path / f"{number}.h5") for number in range(1, 6)}) == 4


def test_order_in_memory_does_not_matter(
    tmp_path: Path, recipe: Recipe, make_video: MakeVideo
) -> None:
    plain = make_video(40)
    array = plain.streams["rgb"]
    strided = np.asfortranarray(array)
    write_pack(tmp_path / "1.h5", recipe, [("a", plain)], dataset="x")
    write_pack(
        tmp_path / "2.h5", recipe, [("a", VideoFeatures(plain.meta, {"rgb": strided}))], dataset="x"
    )
    assert content(tmp_path / "1.h5") == content(tmp_path / "2.h5")


def test_one_video_is_in_memory_at_a_time(
    tmp_path: Path, recipe: Recipe, make_video: MakeVideo
) -> None:
    alive: set[int] = set()
    most = 0

    class Counted(dict[str, object]):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)
            alive.add(id(self))

        def __del__(self) -> None:
            alive.discard(id(self))

    def videos():  # type: ignore[no-untyped-def]
        nonlocal most
        for index in range(5):
            yield f"v{index}", VideoFeatures(META, Counted(make_video(20).streams))
            most = max(most, len(alive))

    write_pack(tmp_path / "p.h5", recipe, videos(), dataset="x")
    assert most <= 2  # the one in hand, and the one before it until its name is bound anew


def test_failed_write_leaves_the_old_pack_and_nothing_else(
    good_pack: Path, recipe: Recipe, make_video: MakeVideo
) -> None:
    before = good_pack.read_bytes()

    def videos():  # type: ignore[no-untyped-def]
        yield "a", make_video()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_pack(good_pack, recipe, videos(), dataset="x")
    assert good_pack.read_bytes() == before
    assert [path.name for path in good_pack.parent.iterdir()] == ["good.h5"]


def test_folder_that_cannot_be_written(
    recipe: Recipe, make_video: MakeVideo, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PackError, match=r"p\.h5 cannot be written: "):
        write_pack(tmp_path / "file" / "p.h5", recipe, [("a", make_video())], dataset="x")


@pytest.mark.parametrize("count", [1, 1_500, 20_000])
def test_many_clips(tmp_path: Path, recipe: Recipe, make_video: MakeVideo, count: int) -> None:
    """More than fits into an object's header (64 KiB) too."""
    video = make_video(40)
    clips = tuple(f"ünïque/name_of_a_clip_{index:05d}" for index in range(count))
    video = VideoFeatures(replace(video.meta, clips=clips), video.streams)
    write_pack(tmp_path / "p.h5", recipe, [("a", video)], dataset="x")
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        assert pack.meta("a").clips == clips


def test_pack_without_videos(tmp_path: Path, recipe: Recipe) -> None:
    with pytest.raises(PackError, match="would have no videos; give at least one"):
        write_pack(tmp_path / "p.h5", recipe, [], dataset="x")
    assert list(tmp_path.iterdir()) == []


def test_ids_that_cannot_go_together(tmp_path: Path, recipe: Recipe, make_video: MakeVideo) -> None:
    for ids, match in (
        (("a", "a"), "'a' occurs twice"),
        (("a", "a/rgb"), "'a' cannot be a video and a folder"),
        (("a/rgb", "a"), "'a' cannot be a video and a folder"),
        (("../a",), "must be a relative path"),
    ):
        with pytest.raises(PackError, match=match):
            write_pack(tmp_path / "p.h5", recipe, ((id, make_video()) for id in ids), dataset="x")


def test_features_that_do_not_fit_the_recipe(
    tmp_path: Path, recipe: Recipe, make_video: MakeVideo
) -> None:
    good = make_video(40)
    array = good.streams["rgb"]
    drop = load_recipe("i3d-rgb-center", {"tail": "drop"})
    for made_by, video, match in (
        (
            recipe,
            VideoFeatures(good.meta, {"rgb": array[:2]}),
            "3 snippets for 40 frames, got 2",
        ),
        (
            recipe,
            VideoFeatures(good.meta, {"flow": array}),
            "it has modalities 'flow'; the recipe needs 'rgb'",
        ),
        (recipe, VideoFeatures(good.meta, {}), "it has modalities none; the recipe needs 'rgb'"),
        (
            recipe,
            VideoFeatures(good.meta, {"rgb": array.repeat(5, 1)}),
            "must have 1 crops as in the recipe, got 5",
        ),
        (drop, make_video(15), r"15 frames are too few for one snippet of this recipe \(16\)"),
    ):
        with pytest.raises(PackError, match=f"video 'fight/x': .*{match}"):
            write_pack(tmp_path / "p.h5", made_by, [("fight/x", video)], dataset="x")


def test_videos_of_different_widths(tmp_path: Path, recipe: Recipe, make_video: MakeVideo) -> None:
    videos = [("a", make_video(width=8)), ("b", make_video(width=9))]
    with pytest.raises(
        PackError, match=r"video 'b': rgb must have dimension 8 as in other .*, got 9"
    ):
        write_pack(tmp_path / "p.h5", recipe, videos, dataset="x")


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((2, 1, 8), np.float32), r"must be float16 .* got float32 \(2, 1, 8\)"),
        (np.zeros((2, 8), np.float16), r"must be float16 \(snippets, .* got float16 \(2, 8\)"),
        (np.zeros((0, 1, 8), np.float16), r"each at least 1, got float16 \(0, 1, 8\)"),
        (np.full((2, 1, 8), np.nan, np.float16), r"NaN or infinity"),
        (np.full((2, 1, 8), -np.inf, np.float16), r"NaN or infinity"),
        (np.array([[[1, -np.nan]], [[0, 65504]]], np.float16)[:, :, ::-1], r"NaN or infinity"),
    ],
)
def test_arrays_that_are_no_features(array: np.ndarray, match: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(PackError, match=match):
        VideoFeatures(META, {"rgb": array})


def test_largest_numbers_are_features() -> None:
    array = np.array([[[65504, -65504, -0.0, 6e-8]]], np.float16)
    assert "VideoFeatures(VideoMeta(frames=20" in repr(VideoFeatures(META, {"rgb": array}))
    assert "{'rgb': (1, 1, 4)})" in repr(VideoFeatures(META, {"rgb": array}))


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("frames", 0, "frames must be an integer >= 1, got 0"),
        ("frames", 2.0, "frames must be an integer >= 1, got 2.0"),
        ("frames", True, "frames must be an integer >= 1, got True"),
        ("frames_reported", -1, "frames_reported must be an integer >= 0, got -1"),
        ("frames_duplicated", "3", "frames_duplicated must be an integer >= 0, got '3'"),
        ("fps", float("nan"), "fps must be a float >= 0.0, got nan"),
        ("fps", -1.0, "fps must be a float >= 0.0, got -1.0"),
        ("fps", 25, "fps must be a float >= 0.0, got 25"),
        ("width", -1, "width must be an integer >= 0, got -1"),
        ("source_sha256", "abc", "source_sha256 must be 64 hex digits, got 'abc'"),
        ("source_sha256", "0" * 64 + "\n", "source_sha256 must be 64 hex digits"),
        ("decoder", "a\nb", r"decoder 'a\\nb': control characters"),
        ("clips", ["a"], r"clips must be a tuple of video ids, got \['a'\]"),
        ("clips", ("/a",), "video id '/a'"),
    ],
)
def test_metadata_that_is_wrong(field: str, value: object, match: str) -> None:
    with pytest.raises(PackError, match=match):
        replace(META, **{field: value})
