"""Results of an evaluation: metrics, and everything that determines them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vad_toolkit.evaluation.bootstrap import Interval
from vad_toolkit.evaluation.controls import Controls
from vad_toolkit.evaluation.metrics import Metrics, mean, mean_metrics


@dataclass(frozen=True)
class CheckpointFacts:
    """Identity of an evaluated checkpoint and of its training data."""

    file: str
    sha256: str
    method: str
    step: int
    seed: int
    validation_metric: float | None
    pack_sha256: str  # of the training pack
    manifest_sha256: str  # of the training manifest


@dataclass(frozen=True)
class Inputs:
    """The test set, the device and the versions that a checkpoint was evaluated with."""

    dataset: str
    step_frames: int  # per snippet score
    recipe_sha256: str
    pack_sha256: str
    manifest_sha256: str
    ground_truth: Mapping[str, Any]  # source of the labels, with the digests of its files
    trained_on_manifest: bool  # if so, the metrics say nothing about new videos
    device: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Member:
    """A checkpoint, its test set, and its weight: 1 unless it is part of a fusion."""

    checkpoint: CheckpointFacts
    inputs: Inputs
    weight: float = 1.0


@dataclass(frozen=True)
class VideoResult:
    """Facts and scores of one video."""

    id: str
    label: int
    classes: tuple[str, ...]
    frames: int  # labeled frames
    abnormal_frames: int
    snippets: int | None  # None if the members of a fusion differ
    fps: float | None
    max_score: float
    mean_score: float
    auc: float | None  # over the video's own frames; None if all have one label


@dataclass(frozen=True)
class CheckpointResult:
    """Metrics of one checkpoint, or of several whose scores were fused."""

    out: Path  # folder with metrics.json, scores and plots
    members: tuple[Member, ...]  # the checkpoint; of a fusion several, with weights that sum to 1
    metrics: Metrics
    videos: tuple[VideoResult, ...]  # in the order of the manifest
    controls: Controls  # scores that look at no features, on the same frames
    notes: tuple[str, ...] = ()  # the requested figures that could not be drawn, and why

    @property
    def checkpoint(self) -> CheckpointFacts:
        """The checkpoint; for a fusion the first one."""
        return self.members[0].checkpoint

    @property
    def inputs(self) -> Inputs:
        """The test set; for a fusion that of the first checkpoint, with the same labels."""
        return self.members[0].inputs

    @property
    def intervals(self) -> Mapping[str, Interval | None]:
        """Confidence intervals by metric; empty without a bootstrap."""
        return self.metrics.bootstrap.intervals if self.metrics.bootstrap else {}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without `out`: equal evaluations give equal files."""
        members = [asdict(member) for member in self.members]
        if len(members) == 1:
            del members[0]["weight"]
        return {
            **(members[0] if len(members) == 1 else {"fusion": members}),
            "metrics": self.metrics.to_dict(),
            "controls": self.controls.to_dict(),
            "videos": [asdict(video) for video in self.videos],
        }

    def row(self) -> dict[str, Any]:
        """Return checkpoints, metrics and intervals as one row of summary.json."""
        members = [
            {
                "checkpoint": member.checkpoint.file,
                "seed": member.checkpoint.seed,
                "step": member.checkpoint.step,
                "weight": member.weight,
            }
            for member in self.members
        ]
        if len(members) == 1:
            del members[0]["weight"]
        return {
            **(
                members[0] if len(members) == 1 else {"seed": members[0]["seed"], "fusion": members}
            ),
            **self.metrics.values,
            "intervals": {
                name: interval and asdict(interval) for name, interval in self.intervals.items()
            },
        }


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1) over seeds; None if undefined, or if n is 1."""

    mean: float | None
    std: float | None


@dataclass(frozen=True)
class EvaluationResult:
    """Result of `evaluate`: one checkpoint, one fusion, or one of them per seed."""

    out: Path
    results: tuple[CheckpointResult, ...]  # one per seed, in their order; a single one without

    @property
    def metrics(self) -> Metrics:
        """Metrics of the checkpoint; with several seeds, the mean of each metric over them."""
        first = self.results[0].metrics
        return first if len(self.results) == 1 else mean_metrics([r.metrics for r in self.results])

    @property
    def spread(self) -> Mapping[str, Spread]:
        """Mean and standard deviation of each metric over the seeds."""
        spread = {}
        for name in self.results[0].metrics.values:
            values = [result.metrics.values[name] for result in self.results]
            known = [value for value in values if value is not None]
            whole = len(known) == len(values) > 1
            spread[name] = Spread(mean(values), statistics.stdev(known) if whole else None)
        return spread

    @property
    def controls(self) -> Controls:
        """Controls of the test set, which all seeds share."""
        return self.results[0].controls

    @property
    def notes(self) -> tuple[str, ...]:
        """The requested figures that could not be drawn, and why."""
        return tuple(dict.fromkeys(note for result in self.results for note in result.notes))

    @property
    def trained_on_manifest(self) -> bool:
        """True if a checkpoint was trained on the very videos that it was evaluated on."""
        members = [member for result in self.results for member in result.members]
        return any(member.inputs.trained_on_manifest for member in members)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: one row per seed, then mean and standard deviation."""
        return {
            "runs": [result.row() for result in self.results],
            "spread": {name: asdict(spread) for name, spread in self.spread.items()},
            "std": "sample standard deviation (n - 1)",
        }
