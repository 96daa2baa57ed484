"""Audit of a dataset: what scores that look at no features achieve on it, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from vad_toolkit.core.files import AnyPath
from vad_toolkit.datasets.length_rule import learn_length
from vad_toolkit.datasets.manifest import UNLISTED, Entry, Manifest
from vad_toolkit.datasets.registry import find_manifest, is_dataset
from vad_toolkit.datasets.truth.rules import load_rule, rule_labels
from vad_toolkit.evaluation.controls import Controls, measure_controls
from vad_toolkit.evaluation.metrics import Counts, video_metrics
from vad_toolkit.evaluation.pools import ScoredVideo

NOTABLE_AUC = 0.65  # of a control: less is common by chance in a small test set


@dataclass(frozen=True)
class Audit:
    """Controls of a test set, and the properties of the dataset that explain them."""

    dataset: str
    rule: str  # of the frame labels
    counts: Counts  # of the test set
    controls: Controls
    confounds: tuple[str, ...]  # what tells abnormal from normal without any anomaly

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "controls": self.controls.to_dict()}


def audit_manifest(
    manifest: AnyPath | Manifest, *, train: AnyPath | Manifest | None = None, rule: str = "frames"
) -> Audit:
    """Report what scores that look at no video achieve on a test set, and name confounds.

    Args:
        manifest: Name of a dataset, whose test side is audited, a manifest file, or a manifest.
            Every video needs known frames, and every abnormal one known events.
        train: The training manifest, from which the relation of length and label is learned. If
            None, the training side of the dataset; for other manifests, it is learned from the
            test set, which favors that control.
        rule: Ground-truth rule of the frame labels, by name or file.

    Raises:
        InputError: If there is no such manifest or rule.
        ManifestError: If frames or events of a video are not known; names the video.

    Example:
        >>> audit = audit_manifest("tad")
        >>> round(audit.controls.values["length"]["auc"], 3)
        0.881
    """
    test = find_manifest(manifest)
    if train is None and not isinstance(manifest, Manifest) and is_dataset(manifest):
        train = find_manifest(manifest, "train")
    trained = None if train is None else find_manifest(train, "train")
    name, fields = load_rule(rule, test.rules)
    videos = []
    for entry in test:
        labels = rule_labels(entry, name, fields)
        videos.append(ScoredVideo(entry.id, entry.label, labels.astype(float), labels))
    length = None
    if trained is not None:
        length = learn_length([entry.length for entry in trained], [e.label for e in trained])
    controls = measure_controls(videos, length)
    confounds = tuple(_confounds(test, trained, controls))
    return Audit(test.dataset, name, video_metrics(videos).counts, controls, confounds)


def _confounds(test: Manifest, train: Manifest | None, controls: Controls) -> Iterable[str]:
    for side, manifest in (("test", test), ("training", train)):
        if manifest is not None:
            yield from _telling_files(manifest, side)
    if train is not None:
        sources = [{entry.source for entry in side} - {None, UNLISTED} for side in (test, train)]
        both = sorted(filter(None, set.intersection(*sources)))
        if both:
            shown = ", ".join(both[:3])
            yield f"sources with videos on both sides: {len(both)}, such as {shown}"
    length = controls.length
    if length is not None and length.video_auc >= NOTABLE_AUC:
        yield (
            f"abnormal videos are {'shorter' if length.shorter else 'longer'}: length alone has an "
            f"AUC of {length.video_auc:.3f} over the {length.videos} "
            f"{'test' if controls.length_from_test else 'training'} videos"
        )
    middle = controls.values["middle"]["auc_abnormal"]
    if middle is not None and middle >= NOTABLE_AUC:
        yield (
            "events lie near the middle of their videos: nearness to it has an AUC of "
            f"{middle:.3f} on the abnormal test videos"
        )


def _telling_files(manifest: Manifest, side: str) -> Iterable[str]:
    """Yield a property of the files that tells the label, unless it is named after a class."""
    properties: dict[str, Callable[[Entry], str]] = {
        "folder": lambda entry: next(iter(PurePosixPath(entry.path).parts[:-1]), ""),
        "type of file": lambda entry: PurePosixPath(entry.path).suffix or "folder of frames",
    }
    classes = {name.casefold() for entry in manifest for name in entry.classes}
    for kind, value_of in properties.items():
        labels: dict[str, set[int]] = defaultdict(set)
        for entry in manifest:
            labels[value_of(entry)].add(entry.label)
        names = {name.casefold() for name in labels}
        if len(labels) < 2 or any(len(seen) > 1 for seen in labels.values()):
            continue
        if names & classes or any("normal" in name for name in names):
            return
        normal, abnormal = (
            " or ".join(sorted(name for name, seen in labels.items() if seen == {label}))
            for label in (0, 1)
        )
        yield (
            f"the {kind} tells the label: {normal} for all {len(manifest.normal)} normal {side} "
            f"videos, {abnormal} for all {len(manifest.abnormal)} abnormal ones"
        )
        return  # the other property is a consequence
