"""Frame labels of a test set, as many per video as there are frame scores.

They come from one of three sources: the events of the manifest over the decoded frames (extracted
features), a ground-truth rule (imported features, whose frames are those of the published array),
or an array of the labels of all videos with its order list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.files import AnyPath, sha256_file
from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.datasets.truth.global_labels import (
    global_labels,
    read_global_labels,
    read_order,
    split_labels,
    write_global_labels,
)
from vad_toolkit.datasets.truth.rules import frame_labels, label_count, load_rule, rule_labels
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.recipes.recipe import AnyRecipe

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class TruthSource:
    """Source of frame labels: by default the rule of imported features, else the events.

    Attributes:
        rule: Name or file of a ground-truth rule.
        gt: Array of the labels of all videos (.npy).
        order: List of the videos in the order of `gt`.

    Raises:
        InputError: If only one of `gt` and `order` is given, or both `rule` and `gt`.
    """

    rule: str | None = None
    gt: Path | None = None
    order: Path | None = None

    def __post_init__(self) -> None:
        if (self.gt is None) != (self.order is None):
            raise InputError(
                "--gt requires --order and vice versa: an array does not record the order of videos"
            )
        if self.gt is not None and self.rule is not None:
            raise InputError("--rule and --gt exclude each other; give one source of the labels")


@dataclass(frozen=True)
class GroundTruth:
    """Frame labels by video id, and their source.

    Attributes:
        source: Plain values that describe the source in metrics.json.
        labels: (F,) uint8, 0 or 1, by id; F is the number of evaluated frames.
        class_labels: By id, then by class: (F,) uint8, for videos with known events per class.
    """

    source: Mapping[str, Any]
    labels: Mapping[str, Labels]
    class_labels: Mapping[str, Mapping[str, Labels]]


def load_ground_truth(
    manifest: Manifest, pack: FeaturePack, source: TruthSource | None = None
) -> GroundTruth:
    """Load the labels of every video of a manifest, all of which the open pack contains.

    Raises:
        InputError: If the rule or file does not exist or cannot be used.
        ManifestError: If labels are not known or do not fit the snippets; names the video.
    """
    source = source or TruthSource()
    if source.gt is not None and source.order is not None:
        return _of_array(manifest, pack, source.gt, source.order)
    imported = pack.recipe.rule if isinstance(pack.recipe, ImportedRecipe) else None
    rule = source.rule or imported
    if rule is None:
        facts: dict[str, Any] = {"kind": "events"}

        def label(entry: Entry) -> Labels:
            return frame_labels(entry, pack.meta(entry.id).frames)

    else:
        check_label_counts(manifest, pack, rule)
        name, fields = load_rule(rule, manifest.rules)
        facts = {"kind": "rule", "rule": name, "fields": fields.model_dump(mode="json")}

        def label(entry: Entry) -> Labels:
            return rule_labels(entry, name, fields)

    labels = {entry.id: label(entry) for entry in manifest}
    return GroundTruth(facts, labels, _class_labels(manifest, labels, label))


@dataclass(frozen=True)
class ExportedLabels:
    """The labels of all videos in one .npy file, and the list of the videos with their counts."""

    out: Path
    order: Path | None
    videos: int
    length: int  # number of labels
    abnormal: int  # number of labels that are 1
    dtype: str
    sha256: str  # of the .npy file


def export_ground_truth(
    manifest: AnyPath | Manifest,
    rule: AnyPath,
    out: AnyPath,
    *,
    order: AnyPath | None = None,
    pack: AnyPath | None = None,
    side: str = "test",
) -> ExportedLabels:
    """Write the frame labels of all videos as one array, in the manifest's order.

    Args:
        manifest: A manifest, its file, or a dataset's name.
        rule: The name of a ground-truth rule, or a file with one (`rules.load_rule`).
        out: The new .npy file.
        order: A new text file for the id and the label count of each video.
        pack: A pack whose snippets must cover exactly these labels (`check_label_counts`).
        side: The side of a named dataset.

    Raises:
        InputError: If there is no such manifest or rule, or a file to write already exists.
        ManifestError: If labels are not known or do not fit the pack; the message names the video.

    Example:
        >>> export_ground_truth("tad", "frames", "gt.npy").length
        84086
    """
    listed = find_manifest(manifest, side)
    if pack is not None:
        with FeaturePack.open(Path(pack)) as opened:
            check_label_counts(listed, opened, str(rule))
    array = global_labels(listed, str(rule))
    out, order = Path(out), None if order is None else Path(order)
    digest = write_global_labels(array, out, order)
    counts = (len(array.ids), len(array.labels), array.abnormal)
    return ExportedLabels(out, order, *counts, str(array.labels.dtype), digest)


def check_label_counts(manifest: Manifest, pack: FeaturePack, rule: str) -> None:
    """Check that the snippets of a pack cover as many frames as a rule gives labels.

    Imported features must cover exactly these frames. Extracted ones may differ by up to one
    snippet, since scores can be cut or the last one repeated. Features of a fixed number of equal
    segments always fit.

    Raises:
        InputError: If the rule does not exist.
        ManifestError: If a video does not fit, or its counts are not known; names the first one.
    """
    name, fields = load_rule(rule, manifest.rules)
    off = []
    for entry in manifest:
        labels, snippets = label_count(entry, name, fields), pack.shape(entry.id)[0]
        if not _fits(labels, snippets, pack.recipe):
            step = pack.recipe.step
            off.append(
                f"video {entry.id!r} has {labels} labels by rule {name}, but its {snippets} "
                f"snippets of {step} frames in {pack.path} need {snippets * step}"
            )
    if off:
        more = f" (and {len(off) - 1} more videos differ)" if len(off) > 1 else ""
        raise ManifestError(
            f"{off[0]}{more}; choose the rule of these features with --rule, add the counts to the "
            "manifest (label_counts), or use the published array with vad eval --gt and --order"
        )


def _fits(labels: int, snippets: int, recipe: AnyRecipe) -> bool:
    """Return whether scores of this many snippets fit this many labels."""
    if isinstance(recipe, ImportedRecipe):
        return recipe.spans == "segments" or labels == snippets * recipe.step
    return abs(labels - snippets * recipe.step) <= recipe.snippet_frames


def _of_array(manifest: Manifest, pack: FeaturePack, gt: Path, order: Path) -> GroundTruth:
    listed, recipe = read_order(order, manifest), pack.recipe
    counts = {}  # labels per video: as in the order list, else those of its snippets
    for id in listed.ids:
        stated, snippets = listed.counts.get(id), pack.shape(id)[0]
        if stated is None and isinstance(recipe, ImportedRecipe) and recipe.spans == "segments":
            raise InputError(
                f"{order} has no label count for video {id!r}, and features of equal segments do "
                "not imply it; write the list with vad gt export --list"
            )
        counts[id] = snippets * recipe.step if stated is None else stated
        if not _fits(counts[id], snippets, recipe):
            raise ManifestError(
                f"{order}: video {id!r} has {counts[id]} labels, but its {snippets} snippets in "
                f"{pack.path} need {snippets * recipe.step}"
            )
    labels = split_labels(read_global_labels(gt), listed.ids, counts, manifest)
    # Only the events give the class of a frame. The array may differ from them at the ends of
    # events, so the labels of a class are limited to frames that the array labels abnormal.
    classes = _class_labels(manifest, labels, lambda entry: frame_labels(entry, counts[entry.id]))
    source = {"kind": "array", "sha256": sha256_file(gt), "order_sha256": sha256_file(order)}
    return GroundTruth(source, labels, classes)


def _class_labels(
    manifest: Manifest, labels: Mapping[str, Labels], label: Callable[[Entry], Labels]
) -> Mapping[str, Mapping[str, Labels]]:
    """Return the abnormal frames of each class of each video, if the events per class are known."""
    return {
        entry.id: {
            name: labels[entry.id]
            & label(entry.model_copy(update={"events": entry.events_of(name)}))
            for name in (() if entry.class_events is None else entry.classes)
        }
        for entry in manifest
    }
