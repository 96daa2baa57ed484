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

from vad_toolkit.datasets.groundtruth import frame_labels
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.files import read_settings


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
    """A rule's name and the rule: a built-in one, or one of a .toml or .json file.

    Args:
        name_or_file: a name in `RULES`, or a file of a rule's fields; its name is the file's stem.
        changes: fields that a dataset changes, by rule name (`DatasetInfo.rules`): the published
            array of one rule can be read in another way from dataset to dataset.

    Raises:
        InputError: no such rule or file, an unknown field, or a value that is not allowed.
    """
    if name_or_file in RULES:
        name, fields = name_or_file, RULES[name_or_file].model_dump()
    else:
        name = Path(name_or_file).stem
        fields = read_settings(Path(name_or_file), "ground-truth rule", RULES)
    fields |= (changes or {}).get(name, {})
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
    counted = entry.frames if rule.count == "decoded" else entry.container_frames
    if counted is None:
        field = "frames" if rule.count == "decoded" else "container_frames"
        raise ManifestError(
            f"video {entry.id!r}: rule {name} counts {rule.count} frames, and its {field} are not "
            "known; add them to its line of the manifest (vad manifest build --count finds them)"
        )
    frames, unit = counted + rule.offset, rule.snippet_frames
    if rule.rounding == "floor":
        frames = frames // unit * unit
    elif rule.rounding == "ceil":
        frames = -(-frames // unit) * unit
    if frames < 1:
        raise ManifestError(
            f"video {entry.id!r}: its {counted} frames leave no label by rule {name}"
        )
    return frames


def rule_labels(entry: Entry, name: str, rule: Rule) -> NDArray[np.uint8]:
    """Labels of one video by a rule.

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
    if rule.tail == "events" or entry.frames is None or count <= entry.frames:
        return frame_labels(entry, count)
    labels = frame_labels(entry, entry.frames)
    return np.pad(labels, (0, count - entry.frames), mode="edge")
