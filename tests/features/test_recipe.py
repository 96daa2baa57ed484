"""A recipe is one value with one hash, however it is written down."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad_toolkit.errors import InputError
from vad_toolkit.features.recipe import PRESETS, Recipe, load_recipe, parse_recipe


def test_hashes_are_fixed() -> None:
    """Packs and checkpoints on disk carry these: they may never change."""
    assert {name: load_recipe(name).sha256[:16] for name in PRESETS} == {
        "i3d-rgb-tencrop": "e574b6977d1fb2ce",
        "i3d-rgb-fivecrop": "ccb10bbc4879ca69",
        "i3d-rgb-center": "3ca223265c4a6f0f",
    }


@pytest.mark.parametrize("name", PRESETS)
def test_json_and_file_round_trip(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert parse_recipe(recipe.canonical_json()) == recipe
    file = tmp_path / "recipe.json"
    file.write_text(recipe.canonical_json(), encoding="utf-8")
    assert load_recipe(str(file)).sha256 == recipe.sha256
    (tmp_path / "recipe.toml").write_text(f'crops = "{recipe.crops}"\n', encoding="utf-8")
    assert load_recipe(str(tmp_path / "recipe.toml")) == recipe


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
        ({"frame_rate": 25}, r"frame_rate: .*None \(given: 25\)"),
        ({"resize": 200}, "crop_size 224 is larger than resize 200"),
        ({"streams": ["rgb", "flow"]}, "flow is not supported"),
        ({"weights": {"rgb": "abc"}}, "weights.rgb"),
        ({"weights": {}}, "one sha256 for each stream"),
        ({"snippet_frames": "16"}, "snippet_frames"),
        ({"crop_order": ["center", "top-left"], "crops": "five"}, "crop_order has to be"),
    ],
)
def test_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_recipe("i3d-rgb-tencrop", fields)
    assert "\n" not in str(caught.value)


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
