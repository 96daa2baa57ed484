"""Scores of a test set by one or more checkpoints, in a single pass over its videos."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from vad_toolkit.core.device import pick_device
from vad_toolkit.core.files import sha256_file
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent
from vad_toolkit.datasets.length_rule import LengthRule
from vad_toolkit.datasets.manifest import Manifest
from vad_toolkit.errors import ManifestError, PackError, VadError
from vad_toolkit.evaluation.fusion import check_same_truth, fuse_scores
from vad_toolkit.evaluation.ground_truth import GroundTruth, TruthSource, load_ground_truth
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.ranking import rank, roc_auc
from vad_toolkit.evaluation.result import CheckpointFacts, Inputs, Member, VideoResult
from vad_toolkit.fit import pack_problems
from vad_toolkit.models.config import Streams
from vad_toolkit.models.early_fusion import PackFeatures, check_streams, join
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.write import creator_versions
from vad_toolkit.scoring.frame_scores import score_video
from vad_toolkit.scoring.snippet_scores import Features
from vad_toolkit.training.checkpoint import Checkpoint, load_checkpoint

LISTED_PROBLEMS = 3  # in an error message; the others are counted
READ_AT_ONCE = 256 << 20  # bytes of a video's features that are kept in memory
Scores = NDArray[np.float32]


class SharedFeatures:
    """The verified features of one video, for all checkpoints and figures of an evaluation.

    A video of up to `READ_AT_ONCE` bytes is read once, and its digest is computed from the bytes
    that are scored. A longer one is verified in blocks, and each checkpoint reads the parts that it
    needs from the pack, so that memory does not grow with its length.
    """

    def __init__(self, pack: FeaturePack, id: str) -> None:
        """Raises PackCorrupt if the features are damaged or not finite."""
        self._pack, self.id, self.fps = pack, id, pack.meta(id).fps
        size = sum(2 * math.prod(pack.shape(id, stream)) for stream in pack.recipe.streams)
        self._arrays = pack.video(id).streams if size <= READ_AT_ONCE else None
        if self._arrays is None:
            pack.check(id)

    def of(self, streams: Streams) -> Features:
        """Return the features that a checkpoint with this `data.streams` takes, (N, C, D)."""
        if self._arrays is None:
            return PackFeatures(self._pack, self.id, streams)
        return join(self._arrays, streams)


class Observer(Protocol):
    """Something that looks at each video of an evaluation while its features are at hand."""

    @property
    def notes(self) -> tuple[str, ...]:
        """After the last video: the requested figures that cannot be drawn, and why."""

    def see(
        self,
        video: ScoredVideo,
        features: SharedFeatures,
        snippet_scores: Scores,
        fps: float | None,
    ) -> None:
        """Look at one scored video; snippet scores are (N,)."""

    def write(self, folder: Path) -> None:
        """Write files into the folder of the results."""


# Takes the folder of a seed ("" without seeds), its checkpoint, the test set with frame labels by
# video id, and the device. Raises InputError if the checkpoint cannot have the figures.
FigureMaker = Callable[
    [str, Checkpoint, FeaturePack, Manifest, Mapping[str, NDArray[np.uint8]], torch.device],
    Observer,
]


@dataclass(frozen=True)
class Scored:
    """Scores of every video by one checkpoint, or by several that were fused."""

    members: tuple[Member, ...]
    observer: Observer | None
    length_rule: LengthRule | None  # of the training videos
    videos: list[VideoResult] = field(default_factory=list)
    frames: list[ScoredVideo] = field(default_factory=list)  # in the same order


def score_test_set(
    runs: Mapping[str, Sequence[Path]],
    packs: Sequence[Path],
    weights: Sequence[float],
    manifest: Manifest,
    source: TruthSource,
    *,
    manifest_name: str,
    device: str,
    figures: FigureMaker | None,
    progress: ProgressCallback,
) -> dict[str, Scored]:
    """Score every video of a manifest, reading its features once for all checkpoints.

    Args:
        runs: By name, the checkpoint files whose scores are fused: one per pack.
        packs: Packs with the features of the videos; one may occur several times.
        weights: Weights of the fusion, one per pack, that sum to 1.
        manifest_name: Name of the manifest for error messages.
        figures: Makes the observers; only without fusion.

    Raises:
        VadError: As `evaluate`.
    """
    place = pick_device(device)
    checkpoints = {
        name: [load_checkpoint(file, place) for file in files] for name, files in runs.items()
    }
    with ExitStack() as opened:
        tests = {
            path: opened.enter_context(FeaturePack.open(path)) for path in dict.fromkeys(packs)
        }
        for members in checkpoints.values():
            for checkpoint, path in zip(members, packs, strict=True):
                check_features(checkpoint, tests[path])
        truths = {
            path: _load_truth(manifest, manifest_name, pack, source) for path, pack in tests.items()
        }
        files = [str(checkpoint.path) for checkpoint in next(iter(checkpoints.values()))]
        check_same_truth(files, [truths[path] for path in packs])
        truth, pack = truths[packs[0]], tests[packs[0]]
        scored = {}
        for name, members in checkpoints.items():
            observer = None
            if figures is not None:
                observer = figures(name, members[0], pack, manifest, truth.labels, place)
            facts = [
                _member(checkpoint, tests[path], manifest, truths[path], place, weight)
                for checkpoint, path, weight in zip(members, packs, weights, strict=True)
            ]
            scored[name] = Scored(tuple(facts), observer, members[0].info.length_rule)

        for done, entry in enumerate(manifest):
            progress(ProgressEvent("evaluate", done, len(manifest), "videos", entry.id))
            fps = pack.meta(entry.id).fps or None
            features = {path: SharedFeatures(test, entry.id) for path, test in tests.items()}
            for name, members in checkpoints.items():
                parts = [features[path] for path in packs]
                snippets, frames = _score_members(members, parts, truth, weights, place)
                video = ScoredVideo(
                    entry.id,
                    entry.label,
                    frames,
                    truth.labels[entry.id],
                    entry.classes,
                    truth.class_labels[entry.id],
                )
                scored[name].frames.append(video)
                scored[name].videos.append(_describe(video, snippets, fps))
                if (observer := scored[name].observer) is not None:
                    observer.see(video, features[packs[0]], snippets[0], fps)
            del features, parts  # before the next video is read
        progress(ProgressEvent("evaluate", len(manifest), len(manifest), "videos"))
    return scored


def _score_members(
    members: Sequence[Checkpoint],
    features: Sequence[SharedFeatures],
    truth: GroundTruth,
    weights: Sequence[float],
    device: torch.device,
) -> tuple[list[Scores], Scores]:
    """Return the snippet scores of each member for one video, and their weighted frame scores."""
    id = features[0].id
    scores = []
    for checkpoint, part in zip(members, features, strict=True):
        selected = part.of(checkpoint.config.data.streams)
        try:
            frames = len(truth.labels[id])
            scores.append(score_video(checkpoint, selected, frames, part.fps, device))
        except VadError as error:
            raise VadError(f"video {id!r}: {error}") from error
    return [of_snippets for of_snippets, _ in scores], fuse_scores([f for _, f in scores], weights)


def _describe(video: ScoredVideo, snippets: Sequence[Scores], fps: float | None) -> VideoResult:
    counts = {len(scores) for scores in snippets}
    return VideoResult(
        id=video.id,
        label=video.label,
        classes=video.classes,
        frames=len(video.labels),
        abnormal_frames=int(video.labels.sum()),
        snippets=counts.pop() if len(counts) == 1 else None,
        fps=fps,
        max_score=float(video.scores.max()),
        mean_score=float(video.scores.mean(dtype="float64")),
        auc=roc_auc(rank(video.scores, video.labels)),
    )


def check_features(checkpoint: Checkpoint, pack: FeaturePack) -> None:
    """Check that a pack has the recipe and the modality that a checkpoint was trained on.

    Raises:
        PackError: If it does not; names the fields that differ.
    """
    if pack.recipe_sha256 == checkpoint.info.recipe_sha256:
        check_streams(pack, checkpoint.config.data.streams)
        return
    theirs, ours = pack.recipe.model_dump(mode="json"), checkpoint.recipe.model_dump(mode="json")
    if theirs.keys() == ours.keys():
        differing = sorted(name for name in ours if theirs[name] != ours[name])
        reason = ", ".join(f"{name}: {theirs[name]}, not {ours[name]}" for name in differing)
    else:
        reason = "one has imported features, the other extracted ones"
    raise PackError(
        f"{pack.path} was made by another recipe than {checkpoint.path} was trained on ({reason}); "
        "evaluate on features of the checkpoint's recipe"
    )


def _load_truth(
    manifest: Manifest, name: str, pack: FeaturePack, source: TruthSource
) -> GroundTruth:
    """Check that manifest and pack fit together, and load the labels."""
    problems = pack_problems(manifest, pack, needs_events=source.gt is None)
    if problems:
        shown, more = problems[:LISTED_PROBLEMS], len(problems) - LISTED_PROBLEMS
        listed = "; ".join([*shown, *([f"and {more} more"] if more > 0 else [])])
        raise ManifestError(f"{name} does not fit {pack.path}: {listed}")
    return load_ground_truth(manifest, pack, source)


def _member(
    checkpoint: Checkpoint,
    pack: FeaturePack,
    manifest: Manifest,
    truth: GroundTruth,
    device: torch.device,
    weight: float,
) -> Member:
    info = checkpoint.info
    facts = CheckpointFacts(
        file=str(checkpoint.path),
        sha256=sha256_file(checkpoint.path),
        method=info.method,
        step=info.step,
        seed=info.seed,
        validation_metric=info.metric,
        pack_sha256=info.pack_sha256,
        manifest_sha256=info.manifest_sha256,
    )
    inputs = Inputs(
        dataset=manifest.dataset,
        step_frames=checkpoint.recipe.step,
        recipe_sha256=info.recipe_sha256,
        pack_sha256=pack.content_sha256,
        manifest_sha256=manifest.sha256,
        ground_truth=truth.source,
        trained_on_manifest=manifest.sha256 == info.manifest_sha256,
        device=str(device),
        versions=dict(creator_versions()),
    )
    return Member(facts, inputs, weight)
