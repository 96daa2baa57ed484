"""Recipes: one hash however they are written, later fields, overrides and errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad_toolkit import __version__
from vad_toolkit.errors import InputError, WeightsError
from vad_toolkit.recipes.recipe import (
    FlowRecipe,
    Recipe,
    list_recipes,
    load_recipe,
    parse_recipe,
    presets,
)

OWN = ("i3d-rgb-tencrop", "i3d-rgb-fivecrop", "i3d-rgb-center")  # of weights that are known
SOME = {"rgb": "a" * 64}  # digests of weights
BOTH = {"rgb": "a" * 64, "flow": "b" * 64}
TVL1 = {"algorithm": "tvl1", "quantisation": "clamp20"}


def digests(name: str) -> dict[str, str]:
    return BOTH if "flow" in presets()[name].get("streams", ()) else SOME


# Packs and checkpoints on disk hold these: they may never change. Of weights `digests(name)`.
HASHES = {
    "i3d-rgb-tencrop": "627d135ffaa0b20c28fc9d5182aa3dbf298cf0e914de35cb62bb8cb0b20fa1a7",
    "i3d-rgb-fivecrop": "ed4ed96916ebc6debf0a68b6e4c47672cc5c8c1787ce2de540f6e1ec05c0cb6b",
    "i3d-rgb-center": "2e005a4735e13cf9f9ea282afe3fbeb04d429c524c0824855c09d279940665ef",
    "i3d-rgb-flow-tencrop": "d349f0541c72fa4df667769830db4384f51cfcb68e3e1eb2d8b7e5f6beb44f36",
    "i3d-rgb-flow-center": "c84239f79f1bfaf0d4f0022316c2047ac4cf343aab61c905804d357f58a88fe2",
    "rtfm": "d3ea0b08dcd9e468ac84b1913c3f227fef3f36104cb47fec15e060eced5b9fa5",
    "gowtham": "e4b468eb6a4713772dcd341f51a0f63a129f74de9d73993cbac3371420804c60",
    "deepmil": "baeee3af591d9e706220b04ccc41831d609ef711e75c1b1de96131927f46f03e",
    "xd-violence": "7cfe2efb17edefdb3fb8074e48ade57eedf0d2a4d6f81f5cc91adf611e844713",
    "video-features": "e81688cf7352a5044c80bf44966632ce5adc1b064393f618221ca993df92a6a8",
    "s3d": "d70306b56146d9dce72a1cd048a522a84d429effc8071a5dabcf005b7b48516b",
    "r3d_18": "ceecbf3f97f8e92893f8b2f2a0bd13df19bcdfc8a204ddef059f13618d7407be",
    "mc3_18": "45f1549167dc4ffa7ee5ed19e3b11984b7be7ee0dece635fcd9a2b922c1b2891",
    "r2plus1d_18": "2c6d16b835f3264e38fa18867b7dfa49b5df8fa15d56aea2a27166ddf2170277",
    "mvit_v1_b": "69ccf321c90ab629b20ac7168c283f50f0169c6849ab3ee7b451fd51e9039381",
    "mvit_v2_s": "91c6ba5f9822984085628dd8362147153ec2f61458c7348dd842be483cd41195",
    "swin3d_t": "904fb0b54e37f9522a337be95fd9e11481cf2c7f213397f4d9bd7e0e2e6714bd",
    "swin3d_s": "3a844733e0526652bde5e5782efa8d169c64f4b46f465e113d3eb5e76c3234e7",
    "swin3d_b": "10c1b4bb76807e46bcbb99878d331075ff6f7920cd06b6ee5900f5b4429e69a5",
}


def test_hashes_are_fixed() -> None:
    recipes = {name: load_recipe(name, {"weights": digests(name)}) for name in list_recipes()}
    assert {name: recipe.sha256 for name, recipe in recipes.items()} == HASHES
    assert {name: load_recipe(name).sha256[:16] for name in OWN} == {
        "i3d-rgb-tencrop": "e574b6977d1fb2ce",
        "i3d-rgb-fivecrop": "ccb10bbc4879ca69",
        "i3d-rgb-center": "3ca223265c4a6f0f",
    }


class NewerFlow(FlowRecipe):
    """A later version's optical flow, with one more field."""

    extra: int = 0


class Newer(Recipe):
    """A later version's recipe, with one more field of its own and one of its flow."""

    flow: NewerFlow | None = None
    extra: int = 0


@pytest.mark.parametrize("name", ["i3d-rgb-tencrop", "video-features"])
def test_a_later_field_at_its_default_changes_no_hash(name: str) -> None:
    fields = json.loads(load_recipe(name, {"weights": digests(name)}).canonical_json())
    newer = Newer.model_validate(fields)
    assert newer.sha256 == HASHES[name]
    assert parse_recipe(newer.canonical_json()).sha256 == HASHES[name]  # an older version reads it
    changed = {newer.sha256, Newer.model_validate(fields | {"extra": 1}).sha256}
    if fields["flow"]:
        inner = Newer.model_validate(fields | {"flow": fields["flow"] | {"extra": 1}})
        assert json.loads(inner.canonical_json())["flow"] == fields["flow"] | {"extra": 1}
        changed.add(inner.sha256)
    assert len(changed) == (3 if fields["flow"] else 2)


def test_fields_of_a_later_version_name_the_version_to_install() -> None:
    fields = load_recipe("i3d-rgb-center").canonical_fields()
    text = json.dumps(fields | {"sharpen": True})
    with pytest.raises(InputError) as caught:
        parse_recipe(text, written_by="99.1.0")
    assert str(caught.value) == (
        f"recipe field sharpen: not known to vad-toolkit {__version__}; the file was written by "
        "version 99.1.0: install vad-toolkit>=99.1.0"
    )
    with pytest.raises(InputError, match=r"recipe field tail: .*; the file was written by version"):
        parse_recipe(json.dumps(fields | {"tail": "mirror"}), written_by="99.1")
    for same in (__version__, None, "unknown"):
        with pytest.raises(InputError, match="field sharpen: unknown; available: snippet_frames, "):
            parse_recipe(text, written_by=same)


@pytest.mark.parametrize("name", list_recipes())
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
    recipes = {name: load_recipe(name, {"weights": digests(name)}) for name in list_recipes()}
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
    with pytest.raises(InputError, match=r"crops.count: unknown; only flow and weights"):
        load_recipe("i3d-rgb-center", {"crops.count": 3})


def test_overrides() -> None:
    assert load_recipe("i3d-rgb-tencrop", {"crops": "center"}) == load_recipe("i3d-rgb-center")
    center = load_recipe("i3d-rgb-center")
    assert load_recipe("i3d-rgb-center", {"step": 8}).sha256 != center.sha256
    assert load_recipe(center, {"crops": "ten"}) == load_recipe("i3d-rgb-tencrop")
    with pytest.raises(InputError, match="step must be <= snippet_frames"):
        load_recipe(center, {"step": 17})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"step": 17}, r"step must be <= snippet_frames \(16\), got 17"),
        ({"crops": "nine"}, r"crops: .*'ten', 'five' or 'center' \(given: 'nine'\)"),
        ({"crops": ["ten"]}, "crops"),
        ({"color": 1}, r"color: unknown; available: snippet_frames, step, "),
        ({"frame_rate": 0}, r"frame_rate.*greater than 0 \(given: 0\)"),
        ({"resize": 200}, r"crop_size must be <= resize \(200\), got 224"),
        ({"resize": [340, 200]}, r"crop_size must be <= resize \(200\), got 224"),
        ({"streams": ["flow", "rgb"]}, r'must be \["rgb"\], \["flow"\] or \["rgb", "flow"\]'),
        ({"streams": ["rgb", "flow"], "weights": BOTH}, "flow must be set when streams has flow"),
        ({"flow": TVL1}, "flow must be set when streams has flow"),
        (
            {"flow": {"algorithm": "guess"}},
            r"flow.algorithm: unknown .*; available: tvl1, tvl1-opencv",
        ),
        ({"streams": ["rgb", "flow"], "flow": TVL1}, "one sha256 for each of rgb"),
        ({"normalisation": "none"}, "normalisation"),
        ({"backbone": "c3d"}, "unknown backbone 'c3d'; available: inception-i3d, i3d-resnet50"),
        (
            {"snippet_frames": 8, "step": 8},
            "recipe: snippet_frames must be >= 9 for the backbone inception",
        ),
        (
            {"backbone": "mvit_v2_s", "crop_size": 112},
            "crop_size must be 224 for the backbone mvit_v2_s, got 112",
        ),
        (
            {"backbone": "i3d-resnet50", "streams": ["flow"], "flow": TVL1},
            "i3d-resnet50 has no weights for flow",
        ),
        ({"weights": {}}, "one sha256 for each of rgb"),
        ({"snippet_frames": "16"}, "snippet_frames"),
        ({"crop_order": ["center", "top-left"], "crops": "five"}, "crop_order must name"),
        ({"crop_order": ["center"]}, "crop_order must name 10 crops when crops is 'ten', got 1"),
    ],
)
def test_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_recipe("i3d-rgb-tencrop", fields)
    assert "\n" not in str(caught.value)


def test_weights_by_a_name_that_nobody_knows() -> None:
    with pytest.raises(WeightsError, match="unknown weights 'abc'; available: i3d-rgb-k400, "):
        load_recipe("i3d-rgb-center", {"weights.rgb": "abc"})


@pytest.mark.parametrize(
    ("content", "message"),
    [("not = [toml", "is not a recipe"), ("[1, 2]", "is not a recipe"), ("", "unknown recipe")],
)
def test_bad_files(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "recipe.json"
    if content:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_recipe(str(file))


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"unknown recipe 'i3d'; give .* i3d-rgb-tencrop, i3d-rgb-fivecrop"
    ):
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
