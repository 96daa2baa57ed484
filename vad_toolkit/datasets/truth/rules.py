"""Frame-level ground truth from events, as it is and by the rules of published code.

A rule is data with four parts: the number of frames of a video, its rounding to whole snippets, the
interpretation of an event's end, and the labels after the video's last frame. docs/ground-truth.md
lists the published arrays that these rules reproduce bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from vad_toolkit.core.settings import Settings, describe_error, read_settings
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.errors import InputError, ManifestError


class Rule(Settings):
    """A ground-truth rule. Immutable and strict."""

    count: Literal["decoded", "container"] = Field(
        default="decoded", description="The frame count to use: `frames` or `container_frames`."
    )
    offset: int = Field(default=0, ge=-16, le=16, description="Added to that count.")
    rounding: Literal["none", "floor", "ceil"] = Field(
        default="none", description="Rounding to whole snippets: none, down or up."
    )
    snippet_frames: int = Field(default=16, ge=1, le=256)
    end: Literal["exclusive", "inclusive"] = Field(
        default="exclusive",
        description="Whether an event's stop is the first normal or the last abnormal frame.",
    )
    tail: Literal["events", "repeat"] = Field(
        default="events",
        description="Labels after the video's last frame: according to the events, or the last "
        "frame's label repeated.",
    )
    dtype: Literal["uint8", "int64", "float32", "float64"] = Field(
        default="uint8", description="Type of the array on disk."
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
    """Return the name and the fields of a rule: built in, of a dataset, or from a file.

    Args:
        name_or_file: A name in `RULES` or in `changes`, or a .toml or .json file with the fields of
            a rule, whose name is the file's stem.
        changes: Fields by rule name (`DatasetInfo.rules`): a dataset's changes of a built-in rule,
            since its published array applies the rule differently, or a rule of its own. They do
            not apply to files.

    Raises:
        InputError: If there is no such rule or file, a field is unknown or wrong, or the file has
            the name of a rule.

    Example:
        >>> name, rule = load_rule("rtfm")
        >>> rule.rounding, rule.end
        ('ceil', 'inclusive')
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
                f"ground-truth rule {name_or_file}: {name} is the name of another rule; rename the "
                "file"
            )
    try:
        return name, Rule.model_validate(fields)
    except ValidationError as error:
        problem = describe_error(error, Rule, "field")
        raise InputError(f"ground-truth rule {name_or_file}: {problem}") from error


def label_count(entry: Entry, name: str, rule: Rule) -> int:
    """Return a video's number of labels; the manifest's `label_counts` take precedence.

    Raises:
        ManifestError: If the frame count that the rule needs is not known, or leaves no label.
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
            f"video {entry.id!r}: {counted} frames are too few for a label by rule {name}; leave "
            "the video out, or choose another rule"
        )
    return labels


def rule_labels(entry: Entry, name: str, rule: Rule) -> NDArray[np.uint8]:
    """Return the labels of one video by a rule: `label_count` values, 0 or 1.

    An event that begins after the last label has no effect. An event that begins in the padded tail
    has one if the rule's tail is "events".

    Raises:
        ManifestError: If a frame count or the events are needed but not known.
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


def frame_labels(entry: Entry, frames: int) -> NDArray[np.uint8]:
    """Return the labels (frames,) of a video's frames: 1 inside an event [start, stop), else 0.

    A normal video has only zeros. Events are cut at the last frame.

    Raises:
        ManifestError: If the video is abnormal and its events are not known.
        InputError: If `frames` is negative.

    Example:
        >>> entry = Entry(id="a", path="a.mp4", label=1, events=((1, 3),))
        >>> frame_labels(entry, 4)
        array([0, 1, 1, 0], dtype=uint8)
    """
    if frames < 0:
        raise InputError(f"video {entry.id!r}: frames must be 0 or more, got {frames}")
    labels = np.zeros(frames, dtype=np.uint8)
    if entry.label == 0:
        return labels
    if entry.events is None:
        raise ManifestError(
            f"video {entry.id!r} is abnormal, but its events are not known, so its frames have no "
            "ground truth; add events to its line in the manifest"
        )
    for start, stop in entry.events:
        labels[start:stop] = 1
    return labels


def _counted_frames(entry: Entry, name: str, rule: Rule) -> int:
    field = "frames" if rule.count == "decoded" else "container_frames"
    counted: int | None = getattr(entry, field)
    if not counted:  # some containers state 0
        raise ManifestError(
            f"video {entry.id!r}: rule {name} needs {rule.count} frames, but {field} is not known; "
            "add it to its line in the manifest (vad manifest build --count finds it)"
        )
    return counted
