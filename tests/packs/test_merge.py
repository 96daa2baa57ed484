"""Merging packs: the union in any order, and the reasons to refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from vad_toolkit.core.crops import crop_order
from vad_toolkit.errors import InputError, PackCorrupt, PackError
from vad_toolkit.packs.merge import merge_packs
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.recipes.recipe import AnyRecipe, Recipe, load_recipe

MakeVideo = Callable[..., VideoFeatures]
MakePack = Callable[..., Path]


@pytest.fixture
def make_pack(tmp_path: Path, recipe: Recipe, make_video: MakeVideo) -> MakePack:
    """A pack of videos by id and seed: `make_pack("a", {"x": 1})`."""

    def make(
        name: str, seeds: dict[str, int], *, by: AnyRecipe = recipe, width: int = 8, **texts: str
    ) -> Path:
        path = tmp_path / f"{name}.h5"
        videos = (
            (id, make_video(16 * seed, seed=seed, recipe=by, width=width))
            for id, seed in seeds.items()
        )
        write_pack(path, by, videos, **({"dataset": "made-up", "license": "MIT"} | texts))
        return path

    return make


def content(path: Path) -> str:
    with FeaturePack.open(path) as pack:
        assert pack.verify() == []
        return pack.content_sha256


def test_the_union_comes_out(make_pack: MakePack, tmp_path: Path) -> None:
    whole = make_pack("whole", {"a/one": 3, "a/two": 40, "b": 1, "c/d/e": 2})
    parts = [
        make_pack("p", {"b": 1, "a/two": 40}),
        make_pack("q", {"c/d/e": 2}),
        make_pack("r", {"a/one": 3}),
    ]
    before = [part.read_bytes() for part in parts]
    outs = []
    for index, order in enumerate(((0, 1, 2), (2, 1, 0), (1, 2, 0))):
        out = tmp_path / f"out{index}.h5"
        merged = merge_packs([parts[i] for i in order], out)
        assert (merged.path, merged.videos, merged.taken_once) == (out, 4, ())
        outs.append(out)
    assert {content(out) for out in outs} == {content(whole)}
    with FeaturePack.open(whole) as one, FeaturePack.open(outs[0]) as other:
        assert one.ids == other.ids
        assert (other.dataset, other.license) == ("made-up", "MIT")
        for id in one.ids:
            assert one.meta(id) == other.meta(id)
            np.testing.assert_array_equal(one.features(id), other.features(id))
    assert [part.read_bytes() for part in parts] == before


def test_one_pack_alone_is_copied(make_pack: MakePack, tmp_path: Path) -> None:
    pack = make_pack("p", {"a": 1, "b": 2})
    merge_packs([pack], tmp_path / "out.h5")
    assert content(tmp_path / "out.h5") == content(pack)


def test_equal_videos_are_taken_once(
    make_pack: MakePack, make_video: MakeVideo, recipe: Recipe, tmp_path: Path
) -> None:
    one, other = make_pack("p", {"a": 1, "b": 2}), make_pack("q", {"b": 2, "c": 3})
    merged = merge_packs([one, other, one], tmp_path / "out.h5")
    assert (merged.videos, merged.taken_once) == (3, ("a", "b"))

    video = make_video(32, seed=2)  # by another decoder, to the same features
    elsewhere = replace(video, meta=replace(video.meta, decoder="pyav", decoder_version="18.0"))
    write_pack(tmp_path / "r.h5", recipe, [("b", elsewhere)], dataset="made-up", license="MIT")
    metas = []
    for index, order in enumerate(([one, tmp_path / "r.h5"], [tmp_path / "r.h5", one])):
        merge_packs(order, tmp_path / f"{index}.h5")
        with FeaturePack.open(tmp_path / f"{index}.h5") as pack:
            metas.append(pack.meta("b"))
    assert metas[0] == metas[1]


def refused(
    error: type[Exception], match: str, packs: list[Path], out: Path, **options: str
) -> None:
    with pytest.raises(error, match=match) as caught:
        merge_packs(packs, out, **options)  # type: ignore[arg-type]
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert not out.exists()
    assert not list(out.parent.glob("*.tmp-*"))


def test_other_features_of_one_video_are_refused(
    make_pack: MakePack, make_video: MakeVideo, recipe: Recipe, tmp_path: Path
) -> None:
    one, other = make_pack("p", {"a": 1, "b": 2}), make_pack("q", {"b": 3})
    match = r"video 'b' has different rgb features in .*p\.h5 and .*q\.h5; remove it"
    refused(PackError, match, [one, other], tmp_path / "out.h5")

    video = make_video(32, seed=2)
    longer = replace(video, meta=replace(video.meta, frames=31))
    write_pack(tmp_path / "r.h5", recipe, [("b", longer)], dataset="made-up", license="MIT")
    match = r"video 'b' has 32 and 31 frames in .*p\.h5 and .*r\.h5"
    refused(PackError, match, [one, tmp_path / "r.h5"], tmp_path / "out.h5")


def test_an_id_inside_another_is_refused(make_pack: MakePack, tmp_path: Path) -> None:
    packs = [make_pack("p", {"a": 1}), make_pack("q", {"a/b": 2})]
    refused(PackError, "'a' cannot be a video and a folder", packs, tmp_path / "out.h5")
    refused(PackError, "'a' cannot be a video and a folder", packs[::-1], tmp_path / "out.h5")


def test_recipes_that_differ_are_named(make_pack: MakePack, tmp_path: Path) -> None:
    ours = make_pack("p", {"a": 1})
    ten = make_pack("q", {"b": 1}, by=load_recipe("i3d-rgb-tencrop", {"tail": "drop"}))
    match = (
        r"q\.h5 has another recipe than .*p\.h5: crops 'ten', not 'center'; crop_order torchvision "
        r"\(10 crops\), not center; tail 'drop', not 'loop'; choose packs of one recipe"
    )
    refused(InputError, match, [ours, ten], tmp_path / "out.h5")


def test_imported_recipes_that_differ_are_named(
    make_pack: MakePack, make_video: MakeVideo, tmp_path: Path
) -> None:
    center = crop_order("torchvision", 1)
    ours = make_pack("p", {"a": 1})
    video = make_video(16)
    paths = []
    for rule in ("rtfm", "deepmil"):
        recipe = ImportedRecipe(layout="rtfm", rule=rule, crop_order=center)
        paths.append(tmp_path / f"{rule}.h5")
        write_pack(paths[-1], recipe, [(rule, video)], dataset="x", license="y")
    refused(
        InputError,
        "recipe than .*: rule 'deepmil', not 'rtfm'; choose",
        paths,
        tmp_path / "o.h5",
    )
    refused(InputError, "kind only in one", [ours, paths[0]], tmp_path / "o.h5")
    same = tmp_path / "same.h5"
    write_pack(same, recipe, [("other", video)], dataset="x", license="y")
    merge_packs([paths[1], same], tmp_path / "o.h5")
    with FeaturePack.open(tmp_path / "o.h5") as pack:
        assert (pack.recipe, pack.ids) == (recipe, ("deepmil", "other"))


def test_widths_that_differ_are_named(make_pack: MakePack, tmp_path: Path) -> None:
    packs = [make_pack("p", {"a": 1}), make_pack("q", {"b": 1}, width=9)]
    match = r"q\.h5 has rgb features of dimension 9, .*p\.h5 of 8; they cannot be in one pack"
    refused(PackError, match, packs, tmp_path / "out.h5")


@pytest.mark.parametrize("name", ["dataset", "license"])
def test_texts_that_differ_have_to_be_chosen(
    make_pack: MakePack, tmp_path: Path, name: str
) -> None:
    packs = [make_pack("p", {"a": 1}), make_pack("q", {"b": 1}, **{name: "other"})]
    match = rf"the packs have 2 {name}s: '.*' \(.*\), 'other' \(.*q\.h5\); choose with --{name}"
    refused(InputError, match, packs, tmp_path / "out.h5")
    merge_packs(packs, tmp_path / "out.h5", **{name: "chosen"})  # type: ignore[arg-type]
    with FeaturePack.open(tmp_path / "out.h5") as pack:
        assert getattr(pack, name) == "chosen"


def test_nothing_is_overwritten(make_pack: MakePack, tmp_path: Path) -> None:
    one, other = make_pack("p", {"a": 1}), make_pack("q", {"b": 1})
    before = one.read_bytes()
    for out in (one, other, tmp_path):
        with pytest.raises(InputError, match=r"already exists; choose another --out \(packs"):
            merge_packs([one, other], out)
    (tmp_path / "link.h5").symlink_to(tmp_path / "nowhere.h5")
    with pytest.raises(InputError, match="already exists"):
        merge_packs([one, other], tmp_path / "link.h5")
    assert one.read_bytes() == before


def test_a_damaged_video_stops_it(make_pack: MakePack, tmp_path: Path) -> None:
    packs = [make_pack("p", {"a": 1}), make_pack("q", {"b": 40})]
    with h5py.File(packs[1], "r+") as file:
        file["videos/b/rgb"][39, 0, 7] = 99
    match = r"q\.h5: video 'b': rgb features are damaged"
    refused(PackCorrupt, match, packs, tmp_path / "out.h5")


def test_no_packs(tmp_path: Path) -> None:
    refused(InputError, "no packs to merge; give at least one", [], tmp_path / "out.h5")
    refused(PackError, r"no file .*none\.h5", [tmp_path / "none.h5"], tmp_path / "out.h5")
