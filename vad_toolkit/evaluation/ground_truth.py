"""Labels of a manifest's videos, as many as a pack's scores are compared with.

Three sources: the events of the manifest over the decoded frames (features that were extracted
here), a ground-truth rule (published features, whose frames are those of the published array), or a
global array with its order list.
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
from vad_toolkit.datasets.truth.labels import frame_labels
from vad_toolkit.datasets.truth.rules import label_count, load_rule, rule_labels
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.recipes.recipe import AnyRecipe

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class TruthSource:
    """Where labels come from: by default the pack's own rule, for extracted features the events.

    Attributes:
        rule: a ground-truth rule's name or file.
        gt: a global array (.npy), together with
        order: the list of its videos.

    Raises:
        InputError: an array without its list, a list without its array, or a rule beside them.
    """

    rule: str | None = None
    gt: Path | None = None
    order: Path | None = None

    def __post_init__(self) -> None:
        if (self.gt is None) != (self.order is None):
            raise InputError("gt and order go together: a global array says nothing of its order")
        if self.gt is not None and self.rule is not None:
            raise InputError("rule and gt: give one of them, either makes all labels")


@dataclass(frozen=True)
class GroundTruth:
    """Labels by video id, and where they come from.

    Attributes:
        source: plain values, for metrics.json.
        labels: (F,) uint8, 0 or 1, by id; F is the number of frames that count.
        class_labels: by id, then by class: (F,) uint8, for videos whose events of each class are
            known.
    """

    source: Mapping[str, Any]
    labels: Mapping[str, Labels]
    class_labels: Mapping[str, Mapping[str, Labels]]


def load_ground_truth(
    manifest: Manifest, pack: FeaturePack, source: TruthSource | None = None
) -> GroundTruth:
    """Labels of every video of the manifest, all of which the pack has.

    Raises:
        InputError: no such rule or file, or it cannot be used.
        ManifestError: labels are not known, or do not fit the pack's snippets; names the video.
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
        >>> export_ground_truth("tad", "frames", "gt.npy").length  # doctest: +SKIP
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
    """Check that a pack's snippets cover as many frames as a rule gives labels.

    Imported features have to cover exactly these. Extracted ones may be up to a snippet off, since
    their scores can be cut, or the last one go on; features of a video's equal parts always fit.

    Raises:
        InputError: no such rule.
        ManifestError: naming the first video that is off, or of which the counts are not known.
    """
    name, fields = load_rule(rule, manifest.rules)
    off = []
    for entry in manifest:
        labels, snippets = label_count(entry, name, fields), pack.shape(entry.id)[0]
        if not _fits(labels, snippets, pack.recipe):
            step = pack.recipe.step
            off.append(
                f"video {entry.id!r} has {labels} labels by rule {name}, and its {snippets} "
                f"snippets of {step} frames in {pack.path} need {snippets * step}"
            )
    if off:
        more = f" (and {len(off) - 1} more videos differ)" if len(off) > 1 else ""
        raise ManifestError(
            f"{off[0]}{more}; choose the rule of these features by --rule, state the counts in the "
            "manifest (label_counts), or give the published array by vad eval --gt and --order"
        )


def _fits(labels: int, snippets: int, recipe: AnyRecipe) -> bool:
    """Whether scores of so many snippets can be compared with so many labels."""
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
    # Whose frames are of which class only the events tell, and an array may read their ends
    # differently: what it says is abnormal is never more than cut.
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
    """How many labels of an array each video gets: as the list states, else those of its snippets.

    Raises:
        InputError: the list states none, and features of a video's equal parts do not tell it.
        ManifestError: it states another number than the snippets allow; names the video.
    """
    recipe = pack.recipe
    counts = {}
    for id in ids:
        snippets = pack.shape(id)[0]
        if id not in stated and isinstance(recipe, ImportedRecipe) and recipe.spans == "segments":
            raise InputError(
                f"{order} states no label count of video {id!r}, and features of a video's equal "
                "parts do not tell it: write the list as vad gt export --list does"
            )
        counts[id] = stated.get(id, snippets * recipe.step)
        if not _fits(counts[id], snippets, recipe):
            raise ManifestError(
                f"{order}: video {id!r} has {counts[id]} labels, and its {snippets} snippets in "
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
    """The abnormal frames that are of each class; nothing where its events are not known."""
    if entry.class_events is None:
        return {}
    return {
        name: labels & label(entry.model_copy(update={"events": entry.events_of(name)}))
        for name in entry.classes
    }
