"""What an evaluation came to: metrics, and everything that decides them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vad_toolkit.evaluation.bootstrap import Interval
from vad_toolkit.evaluation.metrics import METRIC_NAMES, Metrics


@dataclass(frozen=True)
class CheckpointFacts:
    """Which checkpoint was evaluated, and what it says of its training."""

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
    """What the checkpoint was evaluated on and with.

    `ground_truth` says where the labels come from: the manifest's events over decoded frames, a
    rule with its fields, or a global array and its order list by their digests.
    `trained_on_manifest`: the checkpoint was trained on this very manifest, so that its metrics say
    nothing of new videos.
    """

    dataset: str
    step_frames: int  # frames that a snippet's score covers
    recipe_sha256: str
    pack_sha256: str
    manifest_sha256: str
    ground_truth: Mapping[str, Any]
    trained_on_manifest: bool
    device: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Member:
    """A checkpoint, what it scored, and its share in the scores: 1, but in a fusion."""

    checkpoint: CheckpointFacts
    inputs: Inputs
    weight: float = 1.0


@dataclass(frozen=True)
class VideoResult:
    """One video. `auc` is that of its own frames, None where they are all of one kind."""

    id: str
    label: int
    classes: tuple[str, ...]
    frames: int  # that count: the video's labels
    abnormal_frames: int
    snippets: int | None  # None where the members of a fusion differ
    fps: float | None
    max_score: float
    mean_score: float
    auc: float | None


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics of one checkpoint, or of several whose scores were fused.

    Attributes:
        out: the folder of metrics.json, scores and plots.
        members: whose scores they are: one checkpoint, of a fusion several, weights summing to 1.
        notes: which figures that were asked for could not be drawn, and why.
    """

    out: Path
    members: tuple[Member, ...]
    metrics: Metrics
    videos: tuple[VideoResult, ...]
    notes: tuple[str, ...] = ()

    @property
    def checkpoint(self) -> CheckpointFacts:
        """The checkpoint; of a fusion the first."""
        return self.members[0].checkpoint

    @property
    def inputs(self) -> Inputs:
        """What it was evaluated on; of a fusion the first's, with the same videos and labels."""
        return self.members[0].inputs

    @property
    def trained_on_manifest(self) -> bool:
        """Whether any checkpoint was trained on the very videos that it was evaluated on."""
        return any(member.inputs.trained_on_manifest for member in self.members)

    @property
    def intervals(self) -> Mapping[str, Interval | None]:
        """Confidence intervals by metric; nothing where there was no bootstrap."""
        return self.metrics.bootstrap.intervals if self.metrics.bootstrap else {}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without `out`: equal evaluations are equal files."""
        return {
            **self._origin(),
            "metrics": asdict(self.metrics),
            "videos": [asdict(video) for video in self.videos],
        }

    def _origin(self) -> dict[str, Any]:
        if len(self.members) > 1:
            return {"fusion": [asdict(member) for member in self.members]}
        return {"checkpoint": asdict(self.checkpoint), "inputs": asdict(self.inputs)}

    def row(self) -> dict[str, Any]:
        """Which checkpoints these are, and all metrics with their intervals: a row of a summary."""
        names = [
            {
                "checkpoint": member.checkpoint.file,
                "seed": member.checkpoint.seed,
                "step": member.checkpoint.step,
            }
            for member in self.members
        ]
        fused = [
            {**name, "weight": member.weight}
            for name, member in zip(names, self.members, strict=True)
        ]
        return {
            **(names[0] if len(names) == 1 else {"seed": self.checkpoint.seed, "fusion": fused}),
            **{name: getattr(self.metrics, name) for name in METRIC_NAMES},
            "intervals": {
                name: interval and asdict(interval) for name, interval in self.intervals.items()
            },
        }


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1) over runs; None where undefined, or n is 1."""

    mean: float | None
    std: float | None


@dataclass(frozen=True)
class RunsResult:
    """Evaluations of all seeds of a run, in their order, and the spread of each metric."""

    out: Path
    results: tuple[EvaluationResult, ...]
    spread: Mapping[str, Spread]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: one row a seed, then mean and standard deviation."""
        return {
            "runs": [result.row() for result in self.results],
            "spread": {name: asdict(spread) for name, spread in self.spread.items()},
            "std": "sample standard deviation (n - 1)",
        }


def spread_of(metrics: Sequence[Metrics]) -> Mapping[str, Spread]:
    """Mean and deviation of each metric over runs, which are at least one."""
    spread = {}
    for name in METRIC_NAMES:
        values = [getattr(one, name) for one in metrics]
        known = [value for value in values if value is not None]
        whole = len(known) == len(values)
        spread[name] = Spread(
            mean=statistics.fmean(known) if whole else None,
            std=statistics.stdev(known) if whole and len(known) > 1 else None,
        )
    return spread
