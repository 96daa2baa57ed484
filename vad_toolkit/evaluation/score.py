"""A checkpoint's scores of the frames of a test set, beside their ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from vad_toolkit.core.device import pick_device
from vad_toolkit.core.files import sha256_file
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent
from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.errors import ManifestError, PackError, VadError
from vad_toolkit.evaluation.ground_truth import GroundTruth, TruthSource, load_ground_truth
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.ranking import rank, roc_auc
from vad_toolkit.evaluation.result import CheckpointFacts, Inputs, Member, VideoResult
from vad_toolkit.experiments.inspection.figures import FigureRequest, Figures, Inspector
from vad_toolkit.fit import pack_problems
from vad_toolkit.models.early_fusion import PackFeatures, check_streams
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.write import creator_versions
from vad_toolkit.scoring.frame_scores import frame_scores
from vad_toolkit.scoring.snippet_scores import score_snippets
from vad_toolkit.training.checkpoint import Checkpoint, load_checkpoint

NAMED_PROBLEMS = 3  # that an error lists before it only counts


@dataclass(frozen=True)
class TestSet:
    """What checkpoints are evaluated on and how. `manifest`: a file or a shipped dataset's name."""

    __test__ = False  # no test, whatever pytest makes of the name

    pack: Path
    manifest: str
    truth: TruthSource | None
    device: str


@dataclass(frozen=True)
class Scored:
    """Scores of every video, by one checkpoint or by several that were fused."""

    members: tuple[Member, ...]
    videos: tuple[VideoResult, ...]
    frames: tuple[ScoredVideo, ...]  # of each video, in the same order
    figures: Figures | None = None


def score_test_set(
    file: Path,
    test: TestSet,
    progress: ProgressCallback,
    figures: FigureRequest | None = None,
) -> Scored:
    """Score every video of a test set by the checkpoint at `file`.

    Args:
        file: a .safetensors file, or the folder of one run (its best step).
        figures: what is to be measured for figures beside the scores.

    Raises:
        InputError: no such checkpoint, or figures of videos that are not there.
        PackError, ManifestError: one of them cannot be used, they do not fit (names the videos), or
            the pack was made by another recipe.
    """
    place = pick_device(test.device)
    checkpoint = load_checkpoint(file, place)
    listed = find_manifest(test.manifest)
    with FeaturePack.open(test.pack) as pack:
        _check_features(checkpoint, pack)
        truth = _truth(listed, pack, test)
        inspector = None
        if figures is not None:
            inspector = Inspector(figures, checkpoint, listed, truth.labels, place)
            if inspector.compared is not None:
                _check_features(inspector.compared, pack)
        frames, videos = [], []
        for done, entry in enumerate(listed):
            note = f"seed {checkpoint.seed}, {entry.id}"
            progress(ProgressEvent("evaluate", done, len(listed), "videos", note))
            scored, row = _score_video(checkpoint, pack, entry, truth, place, inspector)
            frames.append(scored)
            videos.append(row)
        progress(ProgressEvent("evaluate", len(listed), len(listed), "videos"))
        inputs = Inputs(
            dataset=listed.dataset,
            step_frames=checkpoint.recipe.step,
            recipe_sha256=checkpoint.recipe_sha256,
            pack_sha256=pack.content_sha256,
            manifest_sha256=listed.sha256,
            ground_truth=truth.source,
            trained_on_manifest=listed.sha256 == checkpoint.manifest_sha256,
            device=str(place),
            versions=dict(creator_versions()),
        )
    return Scored(
        members=(Member(_facts(checkpoint), inputs),),
        videos=tuple(videos),
        frames=tuple(frames),
        figures=None if inspector is None else inspector.figures(),
    )


def describe_video(video: ScoredVideo, snippets: int | None, fps: float | None) -> VideoResult:
    """The row of a scored video."""
    return VideoResult(
        id=video.id,
        label=video.label,
        classes=video.classes,
        frames=len(video.labels),
        abnormal_frames=int(video.labels.sum()),
        snippets=snippets,
        fps=fps,
        max_score=float(video.scores.max()),
        mean_score=float(video.scores.mean(dtype="float64")),
        auc=roc_auc(rank(video.scores, video.labels)),
    )


def _facts(checkpoint: Checkpoint) -> CheckpointFacts:
    return CheckpointFacts(
        file=str(checkpoint.path),
        sha256=sha256_file(checkpoint.path),
        method=checkpoint.method,
        step=checkpoint.step,
        seed=checkpoint.seed,
        validation_metric=checkpoint.metric,
        pack_sha256=checkpoint.pack_sha256,
        manifest_sha256=checkpoint.manifest_sha256,
    )


def _check_features(checkpoint: Checkpoint, pack: FeaturePack) -> None:
    """Refuse a pack of another recipe, or without the streams that the checkpoint takes."""
    if pack.recipe_sha256 == checkpoint.recipe_sha256:
        check_streams(pack, checkpoint.config.data.streams)
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


def _truth(manifest: Manifest, pack: FeaturePack, test: TestSet) -> GroundTruth:
    """The labels, once manifest and pack are known to fit."""
    needs_events = test.truth is None or test.truth.gt is None
    problems = pack_problems(manifest, pack, needs_events=needs_events)
    if problems:
        more = len(problems) - NAMED_PROBLEMS
        raise ManifestError(
            f"{test.manifest} does not fit {pack.path}: {'; '.join(problems[:NAMED_PROBLEMS])}"
            + (f"; and {more} more" if more > 0 else "")
        )
    return load_ground_truth(manifest, pack, test.truth)


def _score_video(
    checkpoint: Checkpoint,
    pack: FeaturePack,
    entry: Entry,
    truth: GroundTruth,
    device: torch.device,
    inspector: Inspector | None,
) -> tuple[ScoredVideo, VideoResult]:
    pack.check(entry.id)
    labels = truth.labels[entry.id]
    features = PackFeatures(pack, entry.id, checkpoint.config.data.streams)  # (N, C, D)
    try:
        snippet_scores = score_snippets(checkpoint.model, features, device)
        fps = pack.meta(entry.id).fps
        scores = frame_scores(snippet_scores, checkpoint.recipe, len(labels), fps)
    except VadError as error:
        raise VadError(f"video {entry.id!r}: {error}") from error
    scored = ScoredVideo(
        entry.id, entry.label, scores, labels, entry.classes, truth.class_labels[entry.id]
    )
    row = describe_video(scored, features.shape[0], fps or None)
    if inspector is not None:
        inspector.see(scored, pack.video(entry.id).streams, snippet_scores, row.fps)
    return scored, row
