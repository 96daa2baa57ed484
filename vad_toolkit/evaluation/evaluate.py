"""Evaluation of a checkpoint, or of a run of several seeds, on a pack and a test manifest.

Everything is checked and scored before the first file is written: an evaluation that is refused
leaves nothing behind.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.shipped import find_manifest
from vad_toolkit.device import pick_device
from vad_toolkit.errors import InputError, ManifestError, PackError, VadError
from vad_toolkit.evaluation.bootstrap import RESAMPLES, Interval
from vad_toolkit.evaluation.frames import frame_scores
from vad_toolkit.evaluation.ground_truth import GroundTruth, TruthSource, load_ground_truth
from vad_toolkit.evaluation.metrics import METRIC_NAMES, Metrics, compute_metrics
from vad_toolkit.evaluation.output import check_unused, new_folder, write_evaluation
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.ranking import rank, roc_auc
from vad_toolkit.features.pack import FeaturePack, creator_versions
from vad_toolkit.files import sha256_file, write_json
from vad_toolkit.fitting import pack_problems
from vad_toolkit.models.scoring import score_snippets
from vad_toolkit.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.training.checkpoint import LAST, Checkpoint, find_runs, load_checkpoint
from vad_toolkit.training.streams import PackFeatures, check_streams

Which = Literal["best", "last"]
NAMED_PROBLEMS = 3  # that an error lists before it only counts


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
class VideoResult:
    """One video. `auc` is that of its own frames, None where they are all of one kind."""

    id: str
    label: int
    classes: tuple[str, ...]
    frames: int  # that count: the video's labels
    abnormal_frames: int
    snippets: int
    fps: float | None
    max_score: float
    mean_score: float
    auc: float | None


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics of one checkpoint, and everything that decides them.

    `out` is the folder of metrics.json, scores and plots.
    """

    out: Path
    checkpoint: CheckpointFacts
    inputs: Inputs
    metrics: Metrics
    videos: tuple[VideoResult, ...]

    @property
    def intervals(self) -> Mapping[str, Interval | None]:
        """Confidence intervals by metric; nothing where there was no bootstrap."""
        return self.metrics.bootstrap.intervals if self.metrics.bootstrap else {}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without `out`: equal evaluations are equal files."""
        return {name: value for name, value in asdict(self).items() if name != "out"}


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
            "runs": [
                {
                    "checkpoint": result.checkpoint.file,
                    "seed": result.checkpoint.seed,
                    "step": result.checkpoint.step,
                    **{name: getattr(result.metrics, name) for name in METRIC_NAMES},
                    "intervals": {
                        name: interval and asdict(interval)
                        for name, interval in result.intervals.items()
                    },
                }
                for result in self.results
            ],
            "spread": {name: asdict(spread) for name, spread in self.spread.items()},
            "std": "sample standard deviation (n - 1)",
        }


def evaluate(
    checkpoint: Path,
    pack: Path,
    manifest: str | Path,
    out: Path | None = None,
    *,
    which: Which = "best",
    truth: TruthSource | None = None,
    resamples: int = RESAMPLES,
    device: str = "auto",
    plots: bool = True,
    progress: ProgressCallback = silent,
) -> EvaluationResult:
    """Score every video of `manifest` with one checkpoint and take all metrics.

    Writes `metrics.json`, `scores/<id>.npy` (float32, one a frame) and, with `plots`,
    `plots/<id>.png`, `roc.png` and `pr.png`.

    Args:
        checkpoint: a .safetensors file, or the folder of one run.
        manifest: a file, or the name of a shipped dataset, whose test side it then is.
        out: a new or empty folder; by default the next free `eval-001` beside the checkpoint.
        which: a run's best step in validation, or its last one; a file is taken as it is.
        truth: where labels come from (`ground_truth`); by default the rule that an imported pack
            names, and the events over decoded frames for a pack that was extracted here.
        resamples: of the bootstrap that gives confidence intervals; 0 for none.

    Raises:
        InputError: no such checkpoint, or files in `out`.
        PackError, ManifestError: one of them cannot be used, they do not fit (names the videos), or
            the pack was made by another recipe.
    """
    if out is not None:
        check_unused(out)
    inputs = _Request(pack, str(manifest), truth, resamples, device)
    scored = _score(_checkpoint_file(checkpoint, which), inputs, progress)
    return _write(scored, new_folder(out, scored.folder), plots)


def evaluate_runs(
    run: Path,
    pack: Path,
    manifest: str | Path,
    out: Path | None = None,
    *,
    which: Which = "best",
    truth: TruthSource | None = None,
    resamples: int = RESAMPLES,
    device: str = "auto",
    plots: bool = True,
    progress: ProgressCallback = silent,
) -> RunsResult:
    """As `evaluate`, for every seed of `run`, with mean and standard deviation over them.

    A run with `seed-*` folders gives one folder a seed inside `out` (by default the next free
    `eval-001` inside `run`), and `summary.json` beside them. A single run or checkpoint file gives
    what `evaluate` gives.
    """
    run = Path(run)
    runs = find_runs(run)
    if runs == [run]:
        result = evaluate(
            run,
            pack,
            manifest,
            out,
            which=which,
            truth=truth,
            resamples=resamples,
            device=device,
            plots=plots,
            progress=progress,
        )
        return RunsResult(result.out, (result,), _spread([result.metrics]))
    if out is not None:
        check_unused(out)
    inputs = _Request(pack, str(manifest), truth, resamples, device)
    scored = [_score(_checkpoint_file(path, which), inputs, progress) for path in runs]
    folder = new_folder(out, run)
    results = tuple(
        _write(one, folder / path.name, plots) for path, one in zip(runs, scored, strict=True)
    )
    summary = RunsResult(folder, results, _spread([one.metrics for one in scored]))
    write_json(folder / "summary.json", summary.to_dict())
    return summary


def _checkpoint_file(path: Path, which: Which) -> Path:
    path = Path(path)
    if which not in ("best", "last"):
        raise InputError(f"which {which!r}: has to be best or last")
    return path / LAST if which == "last" and path.is_dir() else path


@dataclass(frozen=True)
class _Request:
    """What checkpoints are evaluated on and how."""

    pack: Path
    manifest: str
    truth: TruthSource | None
    resamples: int
    device: str


@dataclass(frozen=True)
class _Scored:
    """An evaluation of which nothing is written yet."""

    checkpoint: CheckpointFacts
    inputs: Inputs
    metrics: Metrics
    videos: tuple[VideoResult, ...]
    frames: tuple[ScoredVideo, ...]  # of each video, in the same order

    @property
    def folder(self) -> Path:
        """Where the checkpoint lies."""
        return Path(self.checkpoint.file).parent


def _score(file: Path, request: _Request, progress: ProgressCallback) -> _Scored:
    place = pick_device(request.device)
    checkpoint = load_checkpoint(file, place)
    listed = find_manifest(request.manifest)
    with FeaturePack.open(request.pack) as opened:
        _check_recipe(checkpoint, opened)
        check_streams(opened, checkpoint.config.data.streams)
        truth = _truth(listed, opened, request)
        frames, videos = [], []
        for done, entry in enumerate(listed):
            note = f"seed {checkpoint.seed}, {entry.id}"
            progress(ProgressEvent("evaluate", done, len(listed), "videos", note))
            scored, row = _score_video(checkpoint, opened, entry, truth, place)
            frames.append(scored)
            videos.append(row)
        progress(ProgressEvent("evaluate", len(listed), len(listed), "videos"))
        pack_sha256 = opened.content_sha256
    return _Scored(
        checkpoint=CheckpointFacts(
            file=str(checkpoint.path),
            sha256=sha256_file(checkpoint.path),
            method=checkpoint.method,
            step=checkpoint.step,
            seed=checkpoint.seed,
            validation_metric=checkpoint.metric,
            pack_sha256=checkpoint.pack_sha256,
            manifest_sha256=checkpoint.manifest_sha256,
        ),
        inputs=Inputs(
            dataset=listed.dataset,
            step_frames=checkpoint.recipe.step,
            recipe_sha256=checkpoint.recipe_sha256,
            pack_sha256=pack_sha256,
            manifest_sha256=listed.sha256,
            ground_truth=truth.source,
            trained_on_manifest=listed.sha256 == checkpoint.manifest_sha256,
            device=str(place),
            versions=dict(creator_versions()),
        ),
        metrics=compute_metrics(frames, resamples=request.resamples),
        videos=tuple(videos),
        frames=tuple(frames),
    )


def _check_recipe(checkpoint: Checkpoint, pack: FeaturePack) -> None:
    if pack.recipe_sha256 == checkpoint.recipe_sha256:
        return
    theirs, ours = pack.recipe.model_dump(mode="json"), checkpoint.recipe.model_dump(mode="json")
    if theirs.keys() == ours.keys():
        differing = sorted(name for name in ours if theirs[name] != ours[name])
        what = ", ".join(f"{name}: {theirs[name]}, not {ours[name]}" for name in differing)
    else:
        what = "features that were imported on one side, and extracted here on the other"
    raise PackError(
        f"{pack.path} was made by another recipe than {checkpoint.path} was trained on ({what}): "
        "evaluate on features of the checkpoint's recipe"
    )


def _truth(manifest: Manifest, pack: FeaturePack, request: _Request) -> GroundTruth:
    """The labels, once manifest and pack are known to fit."""
    needs_events = request.truth is None or request.truth.gt is None
    problems = pack_problems(manifest, pack, needs_events=needs_events)
    if problems:
        more = len(problems) - NAMED_PROBLEMS
        raise ManifestError(
            f"{request.manifest} does not fit {pack.path}: {'; '.join(problems[:NAMED_PROBLEMS])}"
            + (f"; and {more} more" if more > 0 else "")
        )
    return load_ground_truth(manifest, pack, request.truth)


def _score_video(
    checkpoint: Checkpoint,
    pack: FeaturePack,
    entry: Entry,
    truth: GroundTruth,
    device: torch.device,
) -> tuple[ScoredVideo, VideoResult]:
    pack.check(entry.id)
    labels = truth.labels[entry.id]
    features = PackFeatures(pack, entry.id, checkpoint.config.data.streams)  # (N, C, D)
    try:
        snippet_scores = score_snippets(checkpoint.model, features, device)
        scores = frame_scores(snippet_scores, checkpoint.recipe, len(labels))
    except VadError as error:
        raise VadError(f"video {entry.id!r}: {error}") from error
    row = VideoResult(
        id=entry.id,
        label=entry.label,
        classes=entry.classes,
        frames=len(labels),
        abnormal_frames=int(labels.sum()),
        snippets=features.shape[0],
        fps=pack.meta(entry.id).fps or None,
        max_score=float(scores.max()),
        mean_score=float(scores.mean(dtype="float64")),
        auc=roc_auc(rank(scores, labels)),
    )
    scored = ScoredVideo(
        entry.id, entry.label, scores, labels, entry.classes, truth.class_labels[entry.id]
    )
    return scored, row


def _write(scored: _Scored, folder: Path, plots: bool) -> EvaluationResult:
    result = EvaluationResult(
        out=folder,
        checkpoint=scored.checkpoint,
        inputs=scored.inputs,
        metrics=scored.metrics,
        videos=scored.videos,
    )
    fps = {video.id: video.fps for video in scored.videos}
    write_evaluation(folder, result.to_dict(), scored.frames, fps, plots=plots)
    return result


def _spread(metrics: Sequence[Metrics]) -> Mapping[str, Spread]:
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
