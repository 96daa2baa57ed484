"""Commands that reproduce a recipe, and licenses as hubs and SPDX name them."""

from __future__ import annotations

import pytest

from vad_toolkit.recipes.recipe import Recipe, load_recipe
from vad_toolkit.sharing.origin import command, hub_license, license_slug, license_url
from vad_toolkit.weights.catalogue import CATALOGUE


@pytest.mark.parametrize(
    ("text", "hub", "spdx"),
    [
        ("MIT", "mit", "MIT"),
        ("CC BY 4.0", "cc-by-4.0", "CC-BY-4.0"),
        ("CC0-1.0", "cc0-1.0", "CC0-1.0"),
        ("not stated", "unknown", None),
        ("not known", "unknown", None),
        ("research only", "other", None),
    ],
)
def test_licenses(text: str, hub: str, spdx: str | None) -> None:
    assert hub_license(text) == hub
    assert license_url(text) == (spdx and f"https://spdx.org/licenses/{spdx}.html")


def test_names_of_other_licenses() -> None:
    assert license_slug("Academic research only; no sale!") == "academic-research-only-no-sale"
    assert license_slug("…") == "other"


@pytest.mark.parametrize("preset", ["i3d-rgb-tencrop", "i3d-rgb-fivecrop", "i3d-rgb-center"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tail": "drop", "step": 8},
        {"resize": 300, "crop_size": 256, "precision": "bfloat16"},
        {"weights": {"rgb": CATALOGUE["i3d-rgb-random"].sha256}, "snippet_frames": 32},
    ],
)
def test_the_command_makes_the_same_recipe(preset: str, changes: dict[str, object]) -> None:
    from vad_cli.common import parse_settings

    recipe = load_recipe(preset, changes)
    words = command(recipe, "p.h5").split()
    assert words[words.index("--recipe") + 1] == preset
    settings = parse_settings([words[i + 1] for i, word in enumerate(words) if word == "--set"])
    if "weights" in settings:
        settings["weights"] = {"rgb": CATALOGUE[str(settings["weights"])].sha256}
    again = load_recipe(preset, settings)
    assert isinstance(again, Recipe)
    assert again == recipe
