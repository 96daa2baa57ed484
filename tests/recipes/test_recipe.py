"""A recipe is one value with one hash, however it is written down."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad_toolkit.errors import InputError, WeightsError
from vad_toolkit.recipes.presets import PRESETS
from vad_toolkit.recipes.recipe import Recipe, load_recipe, parse_recipe

OWN = ("i3d-rgb-tencrop", "i3d-rgb-fivecrop", "i3d-rgb-center")  # of weights that are known
SOME = {"rgb": "a" * 64}  # digests of weights
BOTH = {"rgb": "a" * 64, "flow": "b" * 64}
TVL1 = {"algorithm": "tvl1", "quantisation": "clamp20"}


def digests(name: str) -> dict[str, str]:
    return BOTH if "flow" in PRESETS[name].get("streams", ()) else SOME


def test_hashes_are_fixed() -> None:
    """Packs and checkpoints on disk carry these: they may never change."""
    assert {name: load_recipe(name).sha256[:16] for name in OWN} == {
        "i3d-rgb-tencrop": "e574b6977d1fb2ce",
        "i3d-rgb-fivecrop": "ccb10bbc4879ca69",
        "i3d-rgb-center": "3ca223265c4a6f0f",
    }
    fields = {"weights": digests("video-features")}
    assert load_recipe("video-features", fields).sha256[:16] == "e81688cf7352a504"


@pytest.mark.parametrize("name", PRESETS)
def test_json_and_file_round_trip(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name, {"weights": digests(name)})
    assert parse_recipe(recipe.canonical_json()) == recipe
    file = tmp_path / "recipe.json"
    file.write_text(recipe.canonical_json(), encoding="utf-8")
    assert load_recipe(str(file)).sha256 == recipe.sha256


def test_toml_file(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('crops = "center"\n', encoding="utf-8")
    assert load_recipe(str(tmp_path / "recipe.toml")) == load_recipe("i3d-rgb-center")


def test_presets_are_what_the_field_uses() -> None:
    """docs/extract.md has the table; the ways they differ are what keeps features apart."""
    recipes = {name: load_recipe(name, {"weights": digests(name)}) for name in PRESETS}
    rtfm, gowtham, deepmil = (recipes[name] for name in ("rtfm", "gowtham", "deepmil"))
    assert (rtfm.resize, gowtham.resize) == (256, (340, 256))
    assert rtfm.normalisation == "(x-114.75)/57.375"
    assert rtfm.crop_order[4] == gowtham.crop_order[2] == deepmil.crop_order[0] == "center"
    counts = {name: recipe.snippet_count(160) for name, recipe in recipes.items()}
    assert (counts["rtfm"], counts["gowtham"], counts["deepmil"]) == (10, 10, 9)
    assert recipes["xd-violence"].crop_count == 5
    assert recipes["video-features"].streams == ("rgb", "flow")
    assert (recipes["s3d"].resize, recipes["r3d_18"].resize) == ((256, 256), (171, 128))
    assert (recipes["mvit_v2_s"].normalisation, recipes["r3d_18"].crop_size) == ("half", 112)


def test_parts_of_fields() -> None:
    made = load_recipe("i3d-rgb-flow-center", {"weights": BOTH, "flow.algorithm": "raft-small"})
    assert made.flow is not None
    assert (made.flow.algorithm, made.flow.quantisation) == ("raft-small", "clamp20")
    made = load_recipe("i3d-rgb-flow-center", {**{f"weights.{k}": v for k, v in BOTH.items()}})
    assert dict(made.weights) == BOTH
    with pytest.raises(InputError, match=r"crops.count: only flow and weights have fields"):
        load_recipe("i3d-rgb-center", {"crops.count": 3})


def test_overrides() -> None:
    assert load_recipe("i3d-rgb-tencrop", {"crops": "center"}) == load_recipe("i3d-rgb-center")
    assert load_recipe("i3d-rgb-center", {"step": 8}).sha256 != load_recipe("i3d-rgb-center").sha256


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"step": 17}, r"step 17 is longer than a snippet \(16\)"),
        ({"crops": "nine"}, r"crops: .*'ten', 'five' or 'center' \(given: 'nine'\)"),
        ({"crops": ["ten"]}, "crops"),
        ({"colour": 1}, r"colour: Extra inputs are not permitted"),
        ({"frame_rate": 0}, r"frame_rate.*greater than 0 \(given: 0.0\)"),
        ({"resize": 200}, "crop_size 224 is larger than resize 200"),
        ({"resize": [340, 200]}, "crop_size 224 is larger than resize 200"),
        ({"streams": ["flow", "rgb"]}, r'has to be \["rgb"\], \["flow"\] or \["rgb", "flow"\]'),
        ({"streams": ["rgb", "flow"], "weights": BOTH}, "flow has to say how flow is made"),
        ({"flow": TVL1}, "flow has to say how flow is made"),
        ({"flow": {"algorithm": "guess"}}, r"flow.algorithm: .*'tvl1', 'tvl1-opencv'"),
        ({"streams": ["rgb", "flow"], "flow": TVL1}, "one sha256 for each stream"),
        ({"normalisation": "none"}, "normalisation"),
        ({"backbone": "c3d"}, "no network 'c3d': there are inception-i3d, i3d-resnet50"),
        ({"snippet_frames": 8, "step": 8}, "inception-i3d takes no snippets of 8 frames"),
        ({"backbone": "mvit_v2_s", "crop_size": 112}, "mvit_v2_s takes no crops of size 112"),
        (
            {"backbone": "i3d-resnet50", "streams": ["flow"], "flow": TVL1},
            "i3d-resnet50 has no weights for flow",
        ),
        ({"weights": {}}, "one sha256 for each stream"),
        ({"snippet_frames": "16"}, "snippet_frames"),
        ({"crop_order": ["center", "top-left"], "crops": "five"}, "crop_order has to name"),
        ({"crop_order": ["center"]}, "crop_order names 1 crops, and crops is 'ten'"),
    ],
)
def test_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_recipe("i3d-rgb-tencrop", fields)
    assert "\n" not in str(caught.value)


def test_weights_by_a_name_that_nobody_knows() -> None:
    with pytest.raises(WeightsError, match="weights 'abc' are not known"):
        load_recipe("i3d-rgb-center", {"weights.rgb": "abc"})


@pytest.mark.parametrize(
    ("content", "message"),
    [("not = [toml", "is not a recipe"), ("[1, 2]", "is not a recipe"), ("", "no recipe")],
)
def test_bad_files(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "recipe.json"
    if content:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_recipe(str(file))


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no recipe 'i3d': .* i3d-rgb-tencrop, i3d-rgb-fivecrop"):
        load_recipe("i3d")
    with pytest.raises(InputError, match="not JSON"):
        parse_recipe("{")


@given(frames=st.integers(0, 500), length=st.integers(9, 40), data=st.data())
def test_snippet_count_is_a_count(frames: int, length: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(1, length))
    starts = range(0, frames, step)
    loop = Recipe(snippet_frames=length, step=step, tail="loop")
    drop = Recipe(snippet_frames=length, step=step, tail="drop")
    assert loop.snippet_count(frames) == len(starts)
    assert drop.snippet_count(frames) == len([s for s in starts if s + length <= frames])
    drop_next = Recipe(snippet_frames=length, step=step, tail="drop-next")
    assert drop_next.snippet_count(frames) == len([s for s in starts if s + length < frames])
    if length == step:  # the rule as published
        assert drop_next.snippet_count(frames) == max(frames - 1, 0) // length
