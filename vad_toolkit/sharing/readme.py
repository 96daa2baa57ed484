"""README.md of a dataset card, with the YAML front matter that dataset hubs read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from vad_toolkit.core.crops import order_name
from vad_toolkit.datasets.dataset_info import NOT_KNOWN
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.sharing.facts import Facts
from vad_toolkit.sharing.origin import (
    RECIPE_FILE,
    command,
    hub_license,
    license_slug,
    weights_facts,
)

# Size categories of the Hugging Face hub: an upper bound, and the name for sizes below it.
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)

LOADING = """\
import csv
import h5py

with open("videos.csv", newline="", encoding="utf-8") as table:
    videos = {row["id"]: row for row in csv.DictReader(table)}
for id, row in videos.items():
    with h5py.File(row["file"]) as pack:
        features = pack[f"videos/{id}/STREAM"][:]  # float16 (snippets, crops, dimensions)
    print(id, features.shape)
"""


def render_readme(facts: Facts) -> str:
    """Return the card: Markdown with front matter, always the same for the same packs."""
    parts = [
        _front_matter(facts),
        f"# {_plain(facts.title)}",
        _summary(facts),
        "## Origin",
        _origin(facts),
        "## Terms",
        _terms(facts),
        "## Files",
        _files(facts),
        "## Loading",
        _loading(facts),
    ]
    return "\n\n".join(parts) + "\n"


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
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _summary(facts: Facts) -> str:
    recipe = facts.recipe
    if isinstance(recipe, ImportedRecipe):
        kind = f"Published features (network and preprocessing: {_quoted(recipe.features)})"
    else:
        kind = f"{recipe.backbone} features"
    widths = ", ".join(f"{stream} {width}" for stream, width in facts.widths.items())
    rows = {
        "videos": f"{len(facts.videos):,}",
        "snippets": f"{facts.snippets:,} of {recipe.snippet_frames} frames, "
        f"one every {recipe.step}",
        "frames": f"{facts.frames:,}",
        "crops": f"{recipe.crop_count}: {', '.join(recipe.crop_order)}",
        "dimensions": widths,
        "bytes": f"{facts.bytes:,} in {len(facts.files)} {'packs' if facts.files[1:] else 'pack'}",
        "content digest": _mono(facts.content_sha256),
    }
    if isinstance(recipe, ImportedRecipe) and recipe.spans == "segments":
        rows["snippets"] = f"{facts.snippets:,}, equal parts of each video"
    if facts.joined:
        rows["videos"] += f", {facts.joined:,} of them joined from the features of clips"
    text = (
        f"{kind} of the videos of {_plain(facts.dataset)}, for weakly-supervised video anomaly "
        "detection. The packs contain features only, neither videos nor labels."
    )
    return f"{text}\n\n{_table(('', ''), rows.items())}{_about(facts)}"


def _about(facts: Facts) -> str:
    """Return citation and homepage of the videos' dataset."""
    if facts.info is None:
        return ""
    lines = [
        f"{label}: {_plain(value)}"
        for label, value in (
            ("Homepage of the videos", facts.info.homepage),
            ("Citation", facts.info.citation),
        )
        if value != NOT_KNOWN
    ]
    return "".join(f"\n\n{line}" for line in lines)


def _origin(facts: Facts) -> str:
    recipe = facts.recipe
    fields = recipe.model_dump(mode="json")
    fields["crop_order"] = order_name(recipe.crop_order) or ", ".join(recipe.crop_order)
    rows = {name: _value(value) for name, value in fields.items()}
    rows["sha256 of the recipe"] = _mono(recipe.sha256)
    line = command(recipe, facts.files[0].name if len(facts.files) == 1 else "features.h5")
    if isinstance(recipe, ImportedRecipe):
        how = (
            "The features were published by others, and it is not known how to reproduce them. "
            "This vad-toolkit command imports their files into such a pack:"
        )
    else:
        how = "This vad-toolkit command reproduces the pack from the videos:"
    parts = [_table(("recipe", ""), rows.items()), how, _code(line, "sh")]
    if f" {RECIPE_FILE} " in line:
        parts += [f"with this `{RECIPE_FILE}`:", _code(recipe.canonical_json(), "json")]
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    parts.append(f"Packed {_plain(facts.created)} with {_plain(versions)}.")
    weights = weights_facts(recipe)
    if weights:
        names = ("stream", "name", "title", "origin", "license")
        table = [
            [*(_plain(facts[name]) for name in names), _mono(facts["sha256"])] for facts in weights
        ]
        parts += ["Weights of the network:", _table((*names, "sha256"), table)]
    else:
        parts.append("The digest of the network's weights is not known.")
    return "\n\n".join(parts)


def _terms(facts: Facts) -> str:
    owners = NOT_KNOWN if facts.info is None else facts.info.license
    rows = [
        ("features (these files)", facts.license),
        ("videos, according to their owners", owners),
    ]
    rows += [(f"weights, {w['stream']}", w["license"]) for w in weights_facts(facts.recipe)]
    return _table(("", "license"), [(name, _plain(value)) for name, value in rows])


def _files(facts: Facts) -> str:
    rows = [
        (_mono(file.name), f"{file.videos:,}", f"{file.bytes:,}", _mono(file.sha256))
        for file in facts.files
    ]
    text = (
        "`videos.csv` lists the videos, and `croissant.json` is machine-readable metadata. "
        "`sha256sum -c SHA256SUMS` checks a download; `vad pack verify` checks a pack video by "
        "video."
    )
    if len(facts.files) > 1:
        text += " `vad pack merge` merges all packs into one."
    return f"{_table(('pack', 'videos', 'bytes', 'sha256'), rows)}\n\n{text}"


def _loading(facts: Facts) -> str:
    streams = list(facts.widths)
    text = "Packs are plain HDF5 files (`vad-feature-pack`, version 1)."
    if len(streams) > 1:
        text += f" Modalities: {', '.join(streams)}."
    return f"{text}\n\n{_code(LOADING.replace('STREAM', streams[0]).rstrip(), 'python')}"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_value(item)}" for name, item in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return "-" if value is None else _plain(str(value))


def _quoted(text: str) -> str:
    return text if text == "not stated" else f'"{_plain(text)}"'


def _plain(text: str) -> str:
    """Escape a text from a pack or a manifest for Markdown and HTML."""
    text = "".join(char if char.isprintable() else " " for char in text)
    for char in "\\`*_[]|":
        text = text.replace(char, f"\\{char}")
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _mono(text: str) -> str:
    """Return a text as code in a table."""
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str, language: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
