"""Metrics of anomaly scores: the registered ones, those of each class, and confidence intervals."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.bootstrap import Bootstrap, bootstrap
from vad_toolkit.evaluation.pools import Sample, ScoredSet, ScoredVideo
from vad_toolkit.evaluation.registry import METRICS, measure

CLASS_METRICS = ("auc", "ap", "auc_abnormal", "ap_abnormal")


@dataclass(frozen=True)
class Counts:
    """Number of videos and frames of a test set."""

    videos: int
    normal_videos: int
    abnormal_videos: int
    frames: int
    normal_video_frames: int
    abnormal_frames: int


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class of anomaly (`classes.*` in `metric_definitions`); None if undefined."""

    auc: float | None
    ap: float | None
    auc_abnormal: float | None
    ap_abnormal: float | None
    videos: int
    frames: int  # of its videos, without frames that are abnormal by other classes alone
    abnormal_frames: int
    undefined: Mapping[str, str]


@dataclass(frozen=True)
class Metrics:
    """All metrics of a test set.

    Each registered metric is an attribute too: `metrics.auc` is `metrics.values["auc"]`.

    Attributes:
        values: Each registered metric by name, None (never NaN) if it is undefined.
        counts: Number of videos and frames.
        classes: Metrics of each class of anomaly, by its name.
        undefined: Why a metric has no value, by its name.
        bootstrap: Confidence intervals; None without resamples.
    """

    values: Mapping[str, float | None]
    counts: Counts
    classes: Mapping[str, ClassMetrics]
    undefined: Mapping[str, str]
    bootstrap: Bootstrap | None = None

    def __getattr__(self, name: str) -> float | None:
        values: Mapping[str, float | None] = self.__dict__.get("values", {})
        if name not in values:
            raise AttributeError(f"no metric {name!r}; available: {', '.join(values)}")
        return values[name]

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self.values]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        stored = asdict(self)
        return {**stored.pop("values"), **stored}


def compute_metrics(
    scores: ArrayLike | Mapping[str, ArrayLike],
    labels: ArrayLike | Mapping[str, ArrayLike],
    *,
    video_labels: Mapping[str, int] | None = None,
    classes: Mapping[str, str | Sequence[str]] | None = None,
    resamples: int = 0,
    seed: int = 0,
) -> Metrics:
    """Compute all metrics of frame scores, wherever they come from.

    Args:
        scores: (F,) floats, the score of each frame of one video, higher is more abnormal; or such
            arrays by video id.
        labels: (F,) 0 or 1, the ground truth of each frame, in the same form as `scores`.
        video_labels: 0 (normal) or 1 (abnormal) by video id. If None, a video is abnormal if any of
            its frames is.
        classes: The class of anomaly of a video, or several, by video id; only for class metrics.
        resamples: Number of bootstrap resamples of the videos for confidence intervals; 0 for none.
        seed: Seed of the bootstrap.

    Raises:
        InputError: If scores and labels do not fit together, or a label is not 0 or 1.
        VadError: If a score is NaN or infinite.

    Example:
        >>> scores, labels = {"a": [0.1, 0.2], "b": [0.3, 0.9]}, {"a": [0, 0], "b": [0, 1]}
        >>> metrics = compute_metrics(scores, labels)
        >>> metrics.auc, metrics.far_normal
        (1.0, 0.0)
    """
    if isinstance(scores, Mapping) != isinstance(labels, Mapping):
        raise InputError("scores and labels must both be arrays, or both be mappings by video id")
    by_id = scores if isinstance(scores, Mapping) else {"video": scores}
    truth = labels if isinstance(labels, Mapping) else {"video": labels}
    for id in by_id.keys() ^ truth.keys():
        found, missing = ("scores", "labels") if id in by_id else ("labels", "scores")
        raise InputError(f"video {id!r} has {found} but no {missing}; give both for every video")
    videos = []
    for id in by_id:
        frame_labels = np.asarray(truth[id])
        label = int(frame_labels.any()) if video_labels is None else video_labels.get(id, -1)
        of_video = (classes or {}).get(id, ())
        names = (of_video,) if isinstance(of_video, str) else tuple(of_video)
        videos.append(ScoredVideo(id, label, np.asarray(by_id[id]), frame_labels, names))
    return video_metrics(videos, resamples=resamples, seed=seed)


def video_metrics(videos: Sequence[ScoredVideo], *, resamples: int = 0, seed: int = 0) -> Metrics:
    """Compute all metrics of scored videos, in any order; the options are of `compute_metrics`.

    Raises:
        InputError: If there are no videos, an id occurs twice, or `resamples` or `seed` is out of
            range.
    """
    if not videos:
        raise InputError("no videos to compute metrics of; give at least one")
    videos = sorted(videos, key=lambda video: video.id)
    for video, following in pairwise(videos):
        if video.id == following.id:
            raise InputError(f"video {video.id!r} occurs twice; give the scores of each video once")
    scored, metrics = ScoredSet(videos), {name: METRICS[name] for name in METRICS}
    sample = Sample(scored)
    values, undefined = measure(sample, metrics)
    abnormal, frames = int(scored.labels.sum()), sample.frames
    return Metrics(
        values=values,
        counts=Counts(
            videos=len(videos),
            normal_videos=len(videos) - abnormal,
            abnormal_videos=abnormal,
            frames=frames.positives + frames.negatives,
            normal_video_frames=sum(len(video.scores) for video in videos if video.label == 0),
            abnormal_frames=frames.positives,
        ),
        classes=_class_metrics(scored),
        undefined=undefined,
        bootstrap=bootstrap(scored, metrics, resamples=resamples, seed=seed) if resamples else None,
    )


def mean_metrics(seeds: Sequence[Metrics]) -> Metrics:
    """Return the mean of each metric over seeds of one test set; None if undefined for one of them.

    Counts and reasons are those of the test set. There are no confidence intervals.
    """
    first = seeds[0]
    values = {name: mean([one.values[name] for one in seeds]) for name in first.values}
    classes = {}
    for name, of_class in first.classes.items():
        areas: dict[str, Any] = {
            area: mean([getattr(one.classes[name], area) for one in seeds])
            for area in CLASS_METRICS
        }
        classes[name] = replace(of_class, **areas)
    return replace(first, values=values, classes=classes, bootstrap=None)


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean, or None if a value is None."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None


def metric_definitions() -> dict[str, str]:
    """Return the definition of each metric in words, by its name in the results."""
    return {
        **{name: METRICS[name].definition for name in METRICS},
        "classes.auc": "auc over the abnormal videos of one class and all normal videos",
        "classes.ap": "ap over the abnormal videos of one class and all normal videos",
        "classes.auc_abnormal": "auc over the abnormal videos of one class only",
        "classes.ap_abnormal": "ap over the abnormal videos of one class only",
        "classes": "a video of several classes counts in each of them: if the events of each are "
        "known, with those of that class, leaving out frames that are abnormal by other classes "
        "alone; else with all its events",
        "bootstrap": "percentile intervals over resamples of the test videos, drawn with "
        "replacement, normal among normal and abnormal among abnormal; they hold for one trained "
        "model and do not include the variance of training; null if there are fewer than two "
        "videos to draw from",
        "undefined": "why a metric is null: one of the two sides that it compares is empty",
    }


def _class_metrics(scored: ScoredSet) -> Mapping[str, ClassMetrics]:
    members = [name for v in scored.videos if v.label == 1 for name in set(v.classes)]
    metrics, result = {name: METRICS[name] for name in CLASS_METRICS}, {}
    for name in sorted(set(members)):
        sample = Sample(scored.of_class(name))
        values, undefined = measure(sample, metrics)
        within = sample.abnormal_video_frames
        result[name] = ClassMetrics(
            **values,
            videos=members.count(name),
            frames=within.positives + within.negatives,
            abnormal_frames=within.positives,
            undefined=undefined,
        )
    return result
