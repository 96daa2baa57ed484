"""Controls: scores that look at no features, which a result must exceed to mean anything.

A frame-level AUC can be high for reasons that have nothing to do with anomalies: abnormal videos
may be shorter than normal ones, and events tend to lie in the middle of a video. Each control turns
such a reason into a score, and is measured on the same frames as the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.datasets.length_rule import LengthRule, learn_length
from vad_toolkit.evaluation.pools import Sample, ScoredSet, ScoredVideo
from vad_toolkit.evaluation.registry import METRICS, measure

CONTROL_METRICS = ("auc", "ap", "auc_abnormal", "ap_abnormal")
COMPARED = {"auc": "AUC", "auc_abnormal": "AUC on abnormal videos"}
LENGTH = "length"
DEFINITIONS = {
    "labels": "1 in every frame of an abnormal video, 0 in every frame of a normal one",
    "labels x middle": "label of the video times nearness to its middle",
    "middle": "nearness to the middle of the video: 1 there, 0 at both ends",
    LENGTH: "number of frames of the video, negative if abnormal videos are shorter",
}


@dataclass(frozen=True)
class Controls:
    """The metrics of each control on a test set.

    Attributes:
        values: By control (`DEFINITIONS`), then by metric (`CONTROL_METRICS`); None if undefined.
        length: The rule behind the control "length"; None if the test set has a single label.
        length_from_test: Whether it was learned from the test videos, because the lengths of the
            training videos are not known. This favors the control.
    """

    values: Mapping[str, Mapping[str, float | None]]
    length: LengthRule | None
    length_from_test: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        length = self.length and self.length.model_dump()
        return {"definitions": DEFINITIONS, **vars(self), "length": length}

    def not_exceeded(self, metrics: Mapping[str, float | None]) -> list[str]:
        """Return a sentence for each compared metric that a control reaches, unless perfect."""
        sentences = []
        for name, words in COMPARED.items():
            value, reached = metrics.get(name), []
            for control, values in self.values.items():
                area = values[name]
                if value is not None and area is not None and value <= area and value < 1:
                    reached.append(f"{control} ({area:.4f})")
            if reached:
                sentences.append(
                    f"{words} {value:.4f} does not exceed scores that look at no features: "
                    f"{', '.join(reached)}"
                )
        return sentences


def measure_controls(videos: Sequence[ScoredVideo], length: LengthRule | None = None) -> Controls:
    """Measure all controls on the frames of a test set; the videos' own scores are not used.

    Args:
        videos: The test set.
        length: The rule of the training videos; if None, it is learned from the test set.
    """
    from_test = length is None
    if length is None:
        length = learn_length([len(v.labels) for v in videos], [v.label for v in videos])
    scores: dict[str, Callable[[ScoredVideo], NDArray[np.float64]]] = {
        "labels": lambda video: np.full(len(video.labels), float(video.label)),
        "labels x middle": lambda video: video.label * nearness_to_middle(len(video.labels)),
        "middle": lambda video: nearness_to_middle(len(video.labels)),
    }
    if length is not None:
        sign = -1.0 if length.shorter else 1.0
        scores[LENGTH] = lambda video: np.full(len(video.labels), sign * len(video.labels))
    metrics = {name: METRICS[name] for name in CONTROL_METRICS}
    values = {}
    for name, score in scores.items():
        scored = [ScoredVideo(v.id, v.label, score(v), v.labels) for v in videos]
        values[name], _ = measure(Sample(ScoredSet(scored)), metrics)
    return Controls(values, length, from_test)


def nearness_to_middle(frames: int) -> NDArray[np.float64]:
    """Return 1 - |2t - 1| at the center t of each frame, where the video lasts from 0 to 1."""
    nearness: NDArray[np.float64] = 1 - np.abs((2 * np.arange(frames) + 1) / frames - 1)
    return nearness
