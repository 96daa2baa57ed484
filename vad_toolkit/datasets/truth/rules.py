"""Ground-truth rules: how published code makes one global array of frame labels of a test set.

A rule is data with four parts: how many frames a video counts, how that is rounded to whole
snippets, how an event's end is read, and what fills the labels after the video's last frame. The
arrays that the rules below rebuild to the last bit are listed in docs/ground-truth.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vad_toolkit.core.files import read_settings
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.datasets.truth.labels import frame_labels
from vad_toolkit.errors import InputError, ManifestError


class Rule(BaseModel):
    """One rule. Immutable and strict."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    count: Literal["decoded", "container"] = Field(
        default="decoded",
        description="Which of a video's frame counts: `frames` or `container_frames`.",
    )
    offset: int = Field(default=0, ge=-16, le=16, description="Added to that count.")
    rounding: Literal["none", "floor", "ceil"] = Field(
        default="none", description="To whole snippets: not at all, down or up."
    )
    snippet_frames: int = Field(default=16, ge=1, le=256)
    end: Literal["exclusive", "inclusive"] = Field(
        default="exclusive",
        description="Whether an event's stop is the first normal frame, or still an abnormal one.",
    )
    tail: Literal["events", "repeat"] = Field(
        default="events",
        description="Labels after the video's last frame: as the events say, which may end there, "
        "or the last frame's label again.",
    )
    dtype: Literal["uint8", "int64", "float32", "float64"] = Field(
        default="uint8", description="Of the array on disk."
    )


RULES: Mapping[str, Rule] = {
    "frames": Rule(),
    "deepmil": Rule(count="container", offset=-1, rounding="floor", dtype="float32"),
    "rtfm": Rule(rounding="ceil", end="inclusive", dtype="float64"),
    "vadclip": Rule(rounding="floor", dtype="float64"),
    "xdviodet": Rule(offset=-1, rounding="floor", dtype="float32"),
    "tevad": Rule(offset=1, rounding="ceil", tail="repeat", dtype="int64"),
}


def load_rule(
    name_or_file: str, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[str, Rule]:
    """A rule's name and the rule: built in, of a dataset, or of a .toml or .json file.

    Args:
        name_or_file: a name in `RULES` or in `changes`, or a file of a rule's fields; its name is
            the file's stem.
        changes: fields by rule name (`DatasetInfo.rules`): what a dataset changes in a built-in
            rule, since its published array reads the same rule in another way; or, under another
            name, a rule of its own. A file is taken as it is.

    Raises:
        InputError: no such rule or file, an unknown field, a value that is not allowed, or a file
            that is named like a rule.
    """
    changes = changes or {}
    known = dict.fromkeys((*RULES, *changes))
    if name_or_file in known:
        name = name_or_file
        fields = RULES.get(name, Rule()).model_dump() | dict(changes.get(name, {}))
    else:
        name = Path(name_or_file).stem
        fields = read_settings(Path(name_or_file), "ground-truth rule", known)
        if name in known:
            raise InputError(
                f"ground-truth rule {name_or_file}: {name} is the name of another rule; name the "
                "file differently"
            )
    try:
        return name, Rule.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"ground-truth rule {name_or_file}: {where} = {first['input']!r}: {first['msg']}; the "
            f"fields are {', '.join(Rule.model_fields)}"
        ) from error


def label_count(entry: Entry, name: str, rule: Rule) -> int:
    """How many labels a video has by a rule; the manifest's `label_counts` come before the rule.

    Raises:
        ManifestError: the count that the rule needs is not known, or leaves no label; names the id.
    """
    published = (entry.label_counts or {}).get(name)
    if published is not None:
        return published
    counted, unit = _counted_frames(entry, name, rule), rule.snippet_frames
    labels = counted + rule.offset
    if rule.rounding == "floor":
        labels = labels // unit * unit
    elif rule.rounding == "ceil":
        labels = -(-labels // unit) * unit
    if labels < 1:
        raise ManifestError(
            f"video {entry.id!r}: its {counted} frames leave no label by rule {name}; leave it "
            "out, or choose another rule"
        )
    return labels


def rule_labels(entry: Entry, name: str, rule: Rule) -> NDArray[np.uint8]:
    """Labels of one video by a rule.

    An event that begins after the last label is in none; one that begins in a padded tail is, where
    the rule's tail is as the events say.

    Returns:
        labels : np.ndarray [shape=(label_count(entry, name, rule),), uint8], 0 or 1.

    Raises:
        ManifestError: a needed frame count or the events are not known; names the id.
    """
    count = label_count(entry, name, rule)
    if rule.end == "inclusive" and entry.events:
        entry = entry.model_copy(
            update={"events": tuple((start, stop + 1) for start, stop in entry.events)}
        )
    if rule.tail == "events" or entry.label == 0:
        return frame_labels(entry, count)
    last = min(count, _counted_frames(entry, name, rule))
    return np.pad(frame_labels(entry, last), (0, count - last), mode="edge")


def _counted_frames(entry: Entry, name: str, rule: Rule) -> int:
    field = "frames" if rule.count == "decoded" else "container_frames"
    counted: int | None = getattr(entry, field)
    if not counted:  # a container may state 0, which says nothing
        raise ManifestError(
            f"video {entry.id!r}: rule {name} counts {rule.count} frames, and its {field} are not "
            "known; add them to its line of the manifest (vad manifest build --count finds them)"
        )
    return counted
