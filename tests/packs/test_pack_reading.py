"""Reading packs: damage, later versions, and files that are not packs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from vad_toolkit import __version__
from vad_toolkit.core.files import canonical_json, sha256_text
from vad_toolkit.errors import PackCorrupt, PackError, PackUnsafe, VideoNotFound
from vad_toolkit.packs import index as index_module
from vad_toolkit.packs import write as write_module
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe, load_recipe

MakeVideo = Callable[..., VideoFeatures]


def test_what_is_not_in_the_pack(good_pack: Path) -> None:
    with FeaturePack.open(good_pack) as pack:
        for call in (
            *(pack.meta, pack.features, pack.shape, pack.digest, pack.video, pack.streamed),
            *(pack.check, pack.__getitem__),
        ):
            match = r"^/.*good\.h5 has no video 'three'; it has 2 others$"
            for error in (PackError, KeyError):
                with pytest.raises(error, match=match) as caught:
                    call("three")
                assert type(caught.value) is VideoNotFound
        assert pack.get("three") is None
        with pytest.raises(PackError, match="has no 'flow' features; it has rgb"):
            pack.features("two", "flow")


def test_damaged_features_are_found(good_pack: Path, make_video: MakeVideo) -> None:
    data = bytearray(good_pack.read_bytes())
    place = data.index(make_video(7, seed=2).streams["rgb"].tobytes())
    data[place] ^= 1
    good_pack.write_bytes(data)
    with FeaturePack.open(good_pack) as pack:
        problems = pack.verify()
        assert len(problems) == 1
        assert problems[0].startswith("video 'two': rgb features are damaged: sha256 ")
        assert list(pack.damaged()) == ["two"]
        for read in (pack.video, pack.check):
            read("fight/one")
            with pytest.raises(PackCorrupt, match="h5: video 'two': rgb features are damaged"):
                read("two")


def test_not_a_number_with_a_right_digest_is_found(good_pack: Path) -> None:
    with h5py.File(good_pack, "r+") as file:
        features = file["videos/two/rgb"]
        features[0, 0, 3] = np.nan
        features.attrs["sha256"] = hashlib.sha256(features[:].tobytes()).hexdigest()
    with FeaturePack.open(good_pack) as pack:
        assert pack.verify() == ["video 'two': rgb features hold NaN or infinity"]
        for read in (pack.video, pack.check):
            with pytest.raises(PackCorrupt, match="video 'two': rgb features hold NaN or infinity"):
                read("two")


def test_a_part_of_a_video(tmp_path: Path, make_video: MakeVideo) -> None:
    recipe = load_recipe("i3d-rgb-tencrop")
    video = make_video(100, recipe=recipe)
    write_pack(tmp_path / "ten.h5", recipe, [("one", video)], dataset="made-up")
    with FeaturePack.open(tmp_path / "ten.h5") as pack:
        part = pack.features("one", start=2, stop=5, crops=slice(7, 9))
    np.testing.assert_array_equal(part, video.streams["rgb"][2:5, 7:9])


def test_unreadable_features(good_pack: Path, recipe: Recipe) -> None:
    """A filtered chunk that does not inflate: the library's error becomes the video's."""
    with h5py.File(good_pack, "r+") as file:
        group = file["videos/two"]
        digest, values = group["rgb"].attrs["sha256"], group["rgb"][:]
        del group["rgb"]
        group.create_dataset("rgb", data=values, chunks=values.shape, compression="gzip")
        group["rgb"].id.write_direct_chunk((0, 0, 0), b"no deflate stream")
        group["rgb"].attrs["sha256"] = digest
    with FeaturePack.open(good_pack) as pack:
        (problem,) = pack.verify()
        assert problem.startswith("video 'two': rgb features cannot be read: ")
        assert "\n" not in problem
        for read in (pack.features, pack.check):
            with pytest.raises(PackCorrupt, match="video 'two': rgb features cannot be read"):
                read("two")


def test_compressed_pack_of_somebody_else_is_read(good_pack: Path) -> None:
    with FeaturePack.open(good_pack) as pack:
        before = pack.content_sha256
    with h5py.File(good_pack, "r+") as file:
        group = file["videos/two"]
        digest, values = group["rgb"].attrs["sha256"], group["rgb"][:]
        del group["rgb"]
        group.create_dataset("rgb", data=values, compression="gzip", shuffle=True)
        group["rgb"].attrs["sha256"] = digest
        group.attrs["decoder"] = np.bytes_("decord")  # of fixed length, as others may write it
    with FeaturePack.open(good_pack) as pack:
        assert pack.verify() == []
        assert pack.content_sha256 == before


def _set(where: str, name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[where].attrs[name] = value

    return change


def _delete(where: str, name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[where].attrs[name]

    return change


def _features(dtype: str, shape: tuple[int, ...]) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["videos/two/rgb"]
        file["videos/two"].create_dataset("rgb", data=np.zeros(shape, dtype))
        file["videos/two/rgb"].attrs["sha256"] = "0" * 64

    return change


def _without_videos(file: h5py.File) -> None:
    del file["videos"]


def _empty_group(file: h5py.File) -> None:
    file.create_group("videos/nothing")


def _loose_array(file: h5py.File) -> None:
    file.create_dataset("videos/loose", data=np.zeros(3, "<f2"))


def _video_in_a_video(file: h5py.File) -> None:
    file.create_group("videos/two/inner")


def _other_stream(file: h5py.File) -> None:
    file.move("videos/two/rgb", "videos/two/depth")


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (_set("/", "format", "other"), PackError, "format must be 'vad-feature-pack', got 'other'"),
        (
            _set("/", "format_version", 2),
            PackError,
            "format_version must be 1 .* install",
        ),
        (_delete("/", "format"), PackCorrupt, "'/' has no attribute 'format'"),
        (_set("/", "recipe", "{"), PackError, "the recipe is not JSON"),
        (_set("/", "recipe", '{"crops": "nine"}'), PackError, "recipe field crops"),
        (_set("/", "recipe", "{}"), PackCorrupt, "but the recipe's is"),
        (_set("/", "recipe_sha256", "0" * 64), PackCorrupt, "recipe_sha256 is 0000"),
        (_set("/", "dataset", "a\x1b[2Jb"), PackCorrupt, r"dataset 'a\\x1b\[2Jb': control"),
        (_set("/", "license", 3), PackCorrupt, "license must be a text, got 3"),
        (_set("/", "creator", "[]"), PackCorrupt, "creator must be a JSON object"),
        (_set("/", "creator", '{"a": 3}'), PackCorrupt, "creator must be a JSON object"),
        (_set("/", "creator", r'{"a": "\u001b"}'), PackCorrupt, "creator must be a JSON object"),
        (_set("/", "creator", "[" * 60_000), PackCorrupt, "creator must be a JSON object"),
        (_set("/", "recipe", "[" * 60_000), PackError, "recursion"),
        (
            _set("/", "recipe", r'{"\u001b[2J": 1}'),
            PackError,
            r"recipe field \\x1b\[2J: unknown;",
        ),
        (_set("videos/two", "clips", "[" * 60_000), PackCorrupt, "'two': clips must be a JSON"),
        (_set("/", "creator", "{"), PackCorrupt, "creator must be a JSON object"),
        (_without_videos, PackCorrupt, "it has no videos"),
        (_empty_group, PackCorrupt, "'nothing' is empty"),
        (_loose_array, PackCorrupt, "'loose' is outside of a video"),
        (_video_in_a_video, PackCorrupt, r"video 'two': 'inner' must be float16"),
        (
            _other_stream,
            PackCorrupt,
            "'two': it has modalities 'depth'; the recipe",
        ),
        (_delete("videos/two", "fps"), PackCorrupt, "'/videos/two' has no attribute 'fps'"),
        (
            _set("videos/two", "frames", 17),
            PackCorrupt,
            "'two': rgb must have 2 snippets for 17",
        ),
        (
            _set("videos/two", "frames", -1),
            PackCorrupt,
            "'two': frames must be an integer >= 1",
        ),
        (
            _set("videos/two", "frames", "7"),
            PackCorrupt,
            "'two': frames must be an integer",
        ),
        (
            _set("videos/two", "fps", np.inf),
            PackCorrupt,
            "'two': fps must be a float >= 0.0",
        ),
        (_set("videos/two", "clips", "{}"), PackCorrupt, "'two': clips must be a JSON list"),
        (_set("videos/two", "clips", '["/a"]'), PackCorrupt, "'two': video id '/a'"),
        (_delete("videos/two/rgb", "sha256"), PackCorrupt, "has no attribute 'sha256'"),
        (_set("videos/two/rgb", "sha256", "x"), PackCorrupt, "sha256 of 'rgb' must be 64 hex"),
        (_features("<f4", (1, 1, 8)), PackCorrupt, "video 'two': 'rgb' must be float16"),
        (_features("<f2", (1, 8)), PackCorrupt, "video 'two': 'rgb' must be float16"),
        (
            _features("<f2", (1, 10, 8)),
            PackCorrupt,
            "'two': rgb must have 1 crops as in",
        ),
        (
            _features("<f2", (2, 1, 8)),
            PackCorrupt,
            "'two': rgb must have 1 snippets for 7",
        ),
        (
            _features("<f2", (1, 1, 9)),
            PackCorrupt,
            "'two': rgb must have dimension 8 as",
        ),
        (
            _features("<f2", (1, 1, 0)),
            PackCorrupt,
            "'two': rgb must have dimension at",
        ),
    ],
)
def test_pack_that_is_wrong(
    good_pack: Path, change: Callable[[h5py.File], None], error: type[PackError], match: str
) -> None:
    with h5py.File(good_pack, "r+") as file:
        change(file)
    with pytest.raises(error, match=match) as caught:
        FeaturePack.open(good_pack)
    assert str(caught.value).isprintable()
    assert type(caught.value) is error


def test_a_recipe_of_a_later_version_names_the_version(good_pack: Path) -> None:
    with h5py.File(good_pack, "r+") as file:
        recipe = json.loads(file.attrs["recipe"]) | {"sharpen": 2}
        file.attrs["recipe"] = text = canonical_json(recipe)
        file.attrs["recipe_sha256"] = sha256_text(text)
        creator = json.loads(file.attrs["creator"])
        file.attrs["creator"] = canonical_json(creator | {"vad-toolkit": "99.3.0"})
    with pytest.raises(PackError) as caught:
        FeaturePack.open(good_pack)
    assert type(caught.value) is PackError  # not corrupt
    assert str(caught.value) == (
        f"{good_pack}: recipe field sharpen: not known to vad-toolkit {__version__}; the file was "
        "written by version 99.3.0: install vad-toolkit>=99.3.0"
    )


def test_attributes_of_a_later_version_are_ignored(good_pack: Path) -> None:
    with FeaturePack.open(good_pack) as pack:
        before = pack.table()
    with h5py.File(good_pack, "r+") as file:
        for where in ("/", "videos/two", "videos/two/rgb"):
            file[where].attrs["rotation"] = 90
    with FeaturePack.open(good_pack) as pack:
        assert pack.table() == before
        assert pack.verify() == []


def test_metadata_that_an_older_pack_lacks_has_its_default(
    good_pack: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Newer(VideoMeta):
        rotation: int = 0

    for module in (index_module, write_module):
        monkeypatch.setattr(module, "VideoMeta", Newer)
    with FeaturePack.open(good_pack) as pack:
        videos = {id: pack.video(id) for id in pack}
    assert isinstance(videos["two"].meta, Newer)
    turned = replace(videos["two"], meta=replace(videos["two"].meta, rotation=90))
    path = tmp_path / "new.h5"
    write_pack(path, recipe, [*videos.items(), ("turned", turned)], dataset="x")
    with h5py.File(path) as file:
        assert "rotation" not in file["videos/two"].attrs
    with FeaturePack.open(path) as pack:
        assert [row["rotation"] for row in pack.table()] == [0, 90, 0]


def test_hostile_packs_are_refused(hostile_pack: tuple[Path, str]) -> None:
    with pytest.raises(PackUnsafe, match=hostile_pack[1]):
        FeaturePack.open(hostile_pack[0])


def test_closing(good_pack: Path) -> None:
    pack = FeaturePack.open(good_pack)
    pack.close()
    pack.close()
    assert os.fspath(good_pack) in repr(pack)
    with pytest.raises(PackCorrupt, match="cannot be read"):
        pack.features("two")
