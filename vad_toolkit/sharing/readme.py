"""README.md of a dataset card, with the YAML front matter that dataset hubs read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Any

from vad_toolkit.core.crops import order_name
from vad_toolkit.datasets.dataset_info import NOT_KNOWN
from vad_toolkit.recipes.imported import NOT_STATED, ImportedRecipe
from vad_toolkit.sharing.facts import Facts
from vad_toolkit.sharing.origin import (
    RECIPE_FILE,
    command,
    hub_license,
    license_slug,
    weights_facts,
)

TEMPLATE = Template(Path(__file__).with_name("card_template.md").read_text(encoding="utf-8"))
# Size categories of the Hugging Face hub: an upper bound, and the name for sizes below it.
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def render_readme(facts: Facts) -> str:
    """Return the card: Markdown with front matter, always the same for the same packs."""
    recipe, info, streams = facts.recipe, facts.info, list(facts.widths)
    if isinstance(recipe, ImportedRecipe):
        known = NOT_STATED if recipe.features == NOT_STATED else f'"{_plain(recipe.features)}"'
        kind = f"Published features (network and preprocessing: {known})"
        how = (
            "The features were published by others, and it is not known how to reproduce them. "
            "This vad-toolkit command imports their files into such a pack:"
        )
    else:
        kind = f"{recipe.backbone} features"
        how = "This vad-toolkit command reproduces the pack from the videos:"
    line = command(recipe, facts.files[0].name if len(facts.files) == 1 else "features.h5")
    fields = recipe.model_dump(mode="json")
    fields["crop_order"] = order_name(recipe.crop_order) or ", ".join(recipe.crop_order)
    rows = {name: _value(value) for name, value in fields.items()}
    weights = weights_facts(recipe)
    columns = ("stream", "name", "title", "origin", "license")
    terms = {
        "features (these files)": facts.license,
        "videos, according to their owners": info.license if info else NOT_KNOWN,
        **{f"weights, {one['stream']}": one["license"] for one in weights},
    }
    about = {"Homepage of the videos": info.homepage, "Citation": info.citation} if info else {}
    return TEMPLATE.substitute(
        front_matter=_front_matter(facts),
        title=_plain(facts.title),
        kind=kind,
        dataset=_plain(facts.dataset),
        summary=_table(("", ""), _summary(facts).items()),
        about="".join(
            f"\n\n{label}: {_plain(value)}" for label, value in about.items() if value != NOT_KNOWN
        ),
        recipe=_table(
            ("recipe", ""), (rows | {"sha256 of the recipe": _mono(recipe.sha256)}).items()
        ),
        how=how,
        command=_code(line, "sh"),
        recipe_file=f"\n\nwith this `{RECIPE_FILE}`:\n\n{_code(recipe.canonical_json(), 'json')}"
        if f" {RECIPE_FILE} " in line
        else "",
        created=_plain(facts.created),
        versions=_plain(", ".join(f"{name} {v}" for name, v in facts.versions.items())),
        weights="Weights of the network:\n\n"
        + _table(
            (*columns, "sha256"),
            [[*(_plain(one[name]) for name in columns), _mono(one["sha256"])] for one in weights],
        )
        if weights
        else "The digest of the network's weights is not known.",
        terms=_table(("", "license"), [(name, _plain(text)) for name, text in terms.items()]),
        files=_table(
            ("pack", "videos", "bytes", "sha256"),
            [
                (_mono(file.name), f"{file.videos:,}", f"{file.bytes:,}", _mono(file.sha256))
                for file in facts.files
            ],
        ),
        merge=" `vad pack merge` merges all packs into one." if facts.files[1:] else "",
        modalities=f" Modalities: {', '.join(streams)}." if streams[1:] else "",
        stream=streams[0],
    )


def size_category(videos: int) -> str:
    """Return the hub's size category for a number of rows."""
    return next((name for bound, name in SIZES if videos < bound), "n>10M")


def _front_matter(facts: Facts) -> str:
    license = hub_license(facts.license)
    fields: dict[str, Any] = {"license": license}
    if license == "other":
        fields["license_name"] = license_slug(facts.license)
    fields |= {
        "pretty_name": facts.title,
        "tags": ["video-anomaly-detection", "features", "hdf5", "vad-toolkit"],
        "task_categories": ["video-classification"],
        "size_categories": [size_category(len(facts.videos))],
    }
    # JSON strings and lists are valid YAML.
    return "\n".join(f"{key}: {json.dumps(it, ensure_ascii=False)}" for key, it in fields.items())


def _summary(facts: Facts) -> dict[str, str]:
    recipe = facts.recipe
    snippets, frames = (sum(row[key] for row in facts.videos) for key in ("snippets", "frames"))
    size = sum(file.bytes for file in facts.files)
    segments = isinstance(recipe, ImportedRecipe) and recipe.spans == "segments"
    return {
        "videos": f"{len(facts.videos):,}"
        + (f", {facts.joined:,} of them joined from the features of clips" if facts.joined else ""),
        "snippets": f"{snippets:,}, equal parts of each video"
        if segments
        else f"{snippets:,} of {recipe.snippet_frames} frames, one every {recipe.step}",
        "frames": f"{frames:,}",
        "crops": f"{recipe.crop_count}: {', '.join(recipe.crop_order)}",
        "dimensions": ", ".join(f"{stream} {width}" for stream, width in facts.widths.items()),
        "bytes": f"{size:,} in {len(facts.files)} {'packs' if facts.files[1:] else 'pack'}",
        "content digest": _mono(facts.content_sha256),
    }


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_value(item)}" for name, item in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return "-" if value is None else _plain(str(value))


def _plain(text: str) -> str:
    """Escape a text from a pack or a manifest for Markdown and HTML."""
    text = "".join(char if char.isprintable() else " " for char in text)
    return re.sub(r"[\\`*_\[\]|]", r"\\\g<0>", text).replace("&", "&amp;").replace("<", "&lt;")


def _mono(text: str) -> str:
    """Return a text as code in a table."""
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def _code(text: str, language: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
