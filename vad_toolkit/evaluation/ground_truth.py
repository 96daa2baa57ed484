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

from vad_toolkit.core.files import sha256_file
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
    """Load the labels of every video of a manifest.

    Args:
        manifest: The videos; the pack contains all of them.
        pack: An open pack, whose snippets determine how many labels fit.
        source: Source of the labels. If None, the default of `TruthSource`.

    Raises:
        InputError: If the rule or file does not exist or cannot be used.
        ManifestError: If labels are not known or do not fit the snippets; names the video.
    """
    source = source or TruthSource()
    if source.gt is not None and source.order is not None:
        return _of_array(manifest, pack, source.gt, source.order)
    recipe = pack.recipe
    name = source.rule or (recipe.rule if isinstance(recipe, ImportedRecipe) else None)
    if name is not None:
        return _by_rule(manifest, pack, name)

    def of_events(entry: Entry) -> Labels:
        return frame_labels(entry, pack.meta(entry.id).frames)

    return _label_all(manifest, {"kind": "events"}, of_events)


@dataclass(frozen=True)
class ExportedLabels:
    """A global array of frame labels that was written to a file.

    Attributes:
        out: The .npy file.
        order: The list of videos with their label counts, if one was written.
        videos: Number of videos.
        length: Number of labels.
        abnormal: Number of labels that are 1.
        dtype: NumPy dtype of the array.
        sha256: Digest of the .npy file.
    """

    out: Path
    order: Path | None
    videos: int
    length: int
    abnormal: int
    dtype: str
    sha256: str


def export_ground_truth(
    manifest: str | Path | Manifest,
    rule: str | Path,
    out: str | Path,
    *,
    order: str | Path | None = None,
    pack: str | Path | None = None,
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
    return ExportedLabels(
        out,
        order,
        videos=len(array.ids),
        length=len(array.labels),
        abnormal=array.abnormal,
        dtype=str(array.labels.dtype),
        sha256=digest,
    )


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


def _by_rule(manifest: Manifest, pack: FeaturePack, rule: str) -> GroundTruth:
    check_label_counts(manifest, pack, rule)
    name, fields = load_rule(rule, manifest.rules)
    return _label_all(
        manifest,
        {"kind": "rule", "rule": name, "fields": fields.model_dump(mode="json")},
        lambda entry: rule_labels(entry, name, fields),
    )


def _of_array(manifest: Manifest, pack: FeaturePack, gt: Path, order: Path) -> GroundTruth:
    listed = read_order(order, manifest)
    counts = _needed_counts(pack, order, listed.ids, listed.counts)
    labels = split_labels(read_global_labels(gt), listed.ids, counts, manifest)
    # Only the events give the class of a frame. The array may differ from them at the ends of
    # events, so the labels of a class are limited to frames that the array labels abnormal.
    classes = {
        entry.id: _class_labels(
            entry, labels[entry.id], lambda entry: frame_labels(entry, counts[entry.id])
        )
        for entry in manifest
    }
    source = {"kind": "array", "sha256": sha256_file(gt), "order_sha256": sha256_file(order)}
    return GroundTruth(source, labels, classes)


def _needed_counts(
    pack: FeaturePack, order: Path, ids: tuple[str, ...], stated: Mapping[str, int]
) -> Mapping[str, int]:
    """Return the number of labels per video: as in the order list, else those of its snippets.

    Raises:
        InputError: If the list has no counts, and features of equal segments do not imply them.
        ManifestError: If a count does not fit the snippets; names the video.
    """
    recipe = pack.recipe
    counts = {}
    for id in ids:
        snippets = pack.shape(id)[0]
        if id not in stated and isinstance(recipe, ImportedRecipe) and recipe.spans == "segments":
            raise InputError(
                f"{order} has no label count for video {id!r}, and features of equal segments do "
                "not imply it; write the list with vad gt export --list"
            )
        counts[id] = stated.get(id, snippets * recipe.step)
        if not _fits(counts[id], snippets, recipe):
            raise ManifestError(
                f"{order}: video {id!r} has {counts[id]} labels, but its {snippets} snippets in "
                f"{pack.path} need {snippets * recipe.step}"
            )
    return counts


def _label_all(
    manifest: Manifest, source: Mapping[str, Any], label: Callable[[Entry], Labels]
) -> GroundTruth:
    labels = {entry.id: label(entry) for entry in manifest}
    classes = {entry.id: _class_labels(entry, labels[entry.id], label) for entry in manifest}
    return GroundTruth(source, labels, classes)


def _class_labels(
    entry: Entry, labels: Labels, label: Callable[[Entry], Labels]
) -> Mapping[str, Labels]:
    """Return the abnormal frames of each class, if the events per class are known."""
    if entry.class_events is None:
        return {}
    return {
        name: labels & label(entry.model_copy(update={"events": entry.events_of(name)}))
        for name in entry.classes
    }
