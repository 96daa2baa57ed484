"""Scores of a test set by one or more checkpoints, in a single pass over its videos."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
from vad_toolkit.datasets.manifest import Entry, Manifest
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


class SharedFeatures:
    """The verified features of one video, for all checkpoints and figures of an evaluation.

    A video of up to `READ_AT_ONCE` bytes is read once, and its digest is computed from the bytes
    that are scored. A longer one is verified in blocks, and each checkpoint reads the parts that it
    needs from the pack, so that memory does not grow with its length.
    """

    def __init__(self, pack: FeaturePack, id: str) -> None:
        """Raises PackCorrupt if the features are damaged or not finite."""
        self._pack, self._id = pack, id
        size = sum(2 * math.prod(pack.shape(id, stream)) for stream in pack.recipe.streams)
        self._arrays = pack.video(id).streams if size <= READ_AT_ONCE else None
        if self._arrays is None:
            pack.check(id)

    def of(self, streams: Streams) -> Features:
        """Return the features that a checkpoint with this `data.streams` takes, (N, C, D)."""
        if self._arrays is None:
            return PackFeatures(self._pack, self._id, streams)
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
        snippet_scores: NDArray[np.float32],
        fps: float | None,
    ) -> None:
        """Look at one scored video; snippet scores are (N,)."""

    def write(self, folder: Path) -> None:
        """Write files into the folder of the results."""


class FigureMaker(Protocol):
    """Source of one observer per evaluated checkpoint."""

    def observe(
        self,
        name: str,
        checkpoint: Checkpoint,
        pack: FeaturePack,
        manifest: Manifest,
        labels: Mapping[str, NDArray[np.uint8]],
        device: torch.device,
    ) -> Observer:
        """Return the observer of a checkpoint.

        Args:
            name: Name of its seed's folder; "" if there are no seeds.
            labels: Frame labels by video id.

        Raises:
            InputError: If the figures cannot be made of this checkpoint and test set.
        """


@dataclass(frozen=True)
class Scored:
    """Scores of every video by one checkpoint, or by several that were fused."""

    members: tuple[Member, ...]
    observer: Observer | None
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
        manifest: The test videos.
        source: Source of the frame labels.
        manifest_name: Name of the manifest for error messages.
        device: Device of the forward passes.
        figures: Makes the observers; only without fusion.
        progress: Called with the number of videos done.

    Raises:
        InputError: If a checkpoint does not exist, or the figures cannot be made.
        PackError: If a pack cannot be used, or was made by a different recipe.
        ManifestError: If the manifest does not fit a pack, or packs give different labels; names
            the video.
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
        first = next(iter(checkpoints.values()))
        check_same_truth(
            [str(checkpoint.path) for checkpoint in first], [truths[path] for path in packs]
        )
        hashes = {path: pack.content_sha256 for path, pack in tests.items()}
        scored = {}
        for name, members in checkpoints.items():
            observer = None
            if figures is not None:
                pack, labels = tests[packs[0]], truths[packs[0]].labels
                observer = figures.observe(name, members[0], pack, manifest, labels, place)
            facts = [
                _member(checkpoint, hashes[path], manifest, truths[path], place, weight)
                for checkpoint, path, weight in zip(members, packs, weights, strict=True)
            ]
            scored[name] = Scored(tuple(facts), observer)

        def score(entry: Entry) -> None:
            """Score one video; its features are freed at the end."""
            truth = truths[packs[0]]
            labels = truth.labels[entry.id]
            features = {path: SharedFeatures(pack, entry.id) for path, pack in tests.items()}
            for name, members in checkpoints.items():
                each = []
                for checkpoint, path in zip(members, packs, strict=True):
                    part = features[path].of(checkpoint.config.data.streams)
                    fps = tests[path].meta(entry.id).fps
                    try:
                        each.append(score_video(checkpoint, part, len(labels), fps, place))
                    except VadError as error:
                        raise VadError(f"video {entry.id!r}: {error}") from error
                frames = fuse_scores([of_frames for _, of_frames in each], weights)
                of_classes = truth.class_labels[entry.id]
                video = ScoredVideo(
                    entry.id, entry.label, frames, labels, entry.classes, of_classes
                )
                counts = {len(of_snippets) for of_snippets, _ in each}
                rate = tests[packs[0]].meta(entry.id).fps or None
                scored[name].frames.append(video)
                scored[name].videos.append(
                    _describe(video, counts.pop() if len(counts) == 1 else None, rate)
                )
                observer = scored[name].observer
                if observer is not None:
                    observer.see(video, features[packs[0]], each[0][0], rate)

        for done, entry in enumerate(manifest):
            progress(ProgressEvent("evaluate", done, len(manifest), "videos", entry.id))
            score(entry)
        progress(ProgressEvent("evaluate", len(manifest), len(manifest), "videos"))
    return scored


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
        more = len(problems) - LISTED_PROBLEMS
        raise ManifestError(
            f"{name} does not fit {pack.path}: {'; '.join(problems[:LISTED_PROBLEMS])}"
            + (f"; and {more} more" if more > 0 else "")
        )
    return load_ground_truth(manifest, pack, source)


def _member(
    checkpoint: Checkpoint,
    pack_sha256: str,
    manifest: Manifest,
    truth: GroundTruth,
    device: torch.device,
    weight: float,
) -> Member:
    facts = CheckpointFacts(
        file=str(checkpoint.path),
        sha256=sha256_file(checkpoint.path),
        method=checkpoint.info.method,
        step=checkpoint.info.step,
        seed=checkpoint.info.seed,
        validation_metric=checkpoint.info.metric,
        pack_sha256=checkpoint.info.pack_sha256,
        manifest_sha256=checkpoint.info.manifest_sha256,
    )
    inputs = Inputs(
        dataset=manifest.dataset,
        step_frames=checkpoint.recipe.step,
        recipe_sha256=checkpoint.info.recipe_sha256,
        pack_sha256=pack_sha256,
        manifest_sha256=manifest.sha256,
        ground_truth=truth.source,
        trained_on_manifest=manifest.sha256 == checkpoint.info.manifest_sha256,
        device=str(device),
        versions=dict(creator_versions()),
    )
    return Member(facts, inputs, weight)


def _describe(video: ScoredVideo, snippets: int | None, fps: float | None) -> VideoResult:
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
