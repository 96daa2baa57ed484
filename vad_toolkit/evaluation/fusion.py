"""Late fusion: scores of several checkpoints, averaged frame by frame and evaluated as one.

RGB and flow are the usual pair; checkpoints may take different streams and packs, as long as their
labels are the same. Weights are given, never chosen here: what chose them on test videos would fit
the test set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vad_toolkit.core.files import check_unused
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.evaluation.bootstrap import RESAMPLES
from vad_toolkit.evaluation.evaluate import (
    ALONE,
    Which,
    checkpoint_file,
    runs_by_name,
    write_results,
)
from vad_toolkit.evaluation.ground_truth import TruthSource
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.result import RunsResult
from vad_toolkit.evaluation.score import Scored, TestSet, describe_video, score_test_set


def fuse_runs(
    runs: Sequence[Path],
    weights: Sequence[float],
    packs: Sequence[Path],
    manifest: str | Path,
    out: Path,
    *,
    which: Which = "best",
    truth: TruthSource | None = None,
    resamples: int = RESAMPLES,
    device: str = "auto",
    plots: bool = True,
    progress: ProgressCallback = silent,
) -> RunsResult:
    """Evaluate the weighted mean of several runs' frame scores, as `evaluate_runs` does one run.

    Args:
        runs: two or more, each a checkpoint file, the folder of one run, or one with `seed-*`
            folders: all have the same seeds then, and those of one seed are fused.
        weights: one a run, at least 0; divided by their sum.
        packs: one a run, or one for all.
        out: a new or empty folder.

    Raises:
        InputError: numbers of runs, weights, packs or seeds that do not go together, or weights
            that are no weights.
        ManifestError: the packs give a video different frames or labels; names it.
        VadError: what `evaluate_runs` raises for any of the runs.
    """
    check_unused(out)
    shares = normalise_weights(weights, len(runs))
    if len(packs) not in (1, len(runs)):
        raise InputError(f"{len(packs)} packs for {len(runs)} runs: give one for all, or one each")
    tests = [
        TestSet(pack, str(manifest), truth, device)
        for pack in (packs if len(packs) > 1 else list(packs) * len(runs))
    ]
    fused = {
        name: fuse(
            [
                score_test_set(checkpoint_file(path, which), test, progress)
                for path, test in zip(paths, tests, strict=True)
            ],
            shares,
        )
        for name, paths in pair_by_seed(runs).items()
    }
    return write_results(fused, out, out, resamples=resamples, plots=plots)


def normalise_weights(weights: Sequence[float], runs: int) -> tuple[float, ...]:
    """Weights that sum to 1.

    Raises:
        InputError: another number than there are runs, one that is negative or not finite, or all
            of them 0.
    """
    shown = ",".join(f"{weight:g}" for weight in weights)
    if len(weights) != runs or runs < 2:
        raise InputError(
            f"weights {shown} for {runs} run{'' if runs == 1 else 's'}: a fusion takes two or more "
            "runs, and a weight for each, as in 0.5,0.5"
        )
    total = sum(weights)
    if min(weights) < 0 or not 0 < total < math.inf:
        raise InputError(f"weights {shown}: have to be 0 or more, and at least one above 0")
    return tuple(weight / total for weight in weights)


def pair_by_seed(runs: Sequence[Path]) -> Mapping[str, list[Path]]:
    """The runs to fuse, by the name of their seed's folder, or all as `ALONE` where each is one.

    Raises:
        InputError: some have seeds that others lack.
    """
    named = [runs_by_name(Path(run)) for run in runs]
    first = named[0]
    for run, others in zip(runs, named, strict=True):
        unpaired = first.keys() ^ others.keys()
        if unpaired:
            lacks = "one has no seeds" if ALONE in unpaired else f"only one has {min(unpaired)}"
            raise InputError(
                f"{runs[0]} and {run} do not have the same seeds ({lacks}): runs are fused seed by "
                "seed; name the folders of single runs, or train the seeds that are missing"
            )
    return {name: [others[name] for others in named] for name in first}


def fuse(members: Sequence[Scored], weights: Sequence[float]) -> Scored:
    """Weighted means of the members' frame scores, (F,) float32 a video.

    Raises:
        ManifestError: a video's frames or labels differ between members.
    """
    _check_truth(members)
    frames, rows = [], []
    for videos, described in zip(
        zip(*(member.frames for member in members), strict=True),
        zip(*(member.videos for member in members), strict=True),
        strict=True,
    ):
        mean = sum(
            weight * video.scores.astype(np.float64)
            for weight, video in zip(weights, videos, strict=True)
        )
        fused = replace(videos[0], scores=np.asarray(mean, dtype=np.float32))
        snippets = {row.snippets for row in described}
        frames.append(fused)
        rows.append(
            describe_video(fused, snippets.pop() if len(snippets) == 1 else None, described[0].fps)
        )
    return Scored(
        members=tuple(
            replace(member.members[0], weight=weight)
            for member, weight in zip(members, weights, strict=True)
        ),
        videos=tuple(rows),
        frames=tuple(frames),
    )


def _check_truth(members: Sequence[Scored]) -> None:
    """Refuse to average scores of different frames."""
    first, *rest = members
    for other in rest:
        for video, twin in zip(first.frames, other.frames, strict=True):
            if len(video.labels) != len(twin.labels):
                raise ManifestError(
                    f"{_named(first)} has {len(video.labels)} frames of video {video.id!r}, and "
                    f"{_named(other)} {len(twin.labels)}: scores of the same frames can be fused; "
                    "name a rule that decides them by --rule, or take packs of the same videos"
                )
            if not _same_labels(video, twin):
                raise ManifestError(
                    f"video {video.id!r} has other labels with {_named(first)} than with "
                    f"{_named(other)}: name the rule for both by --rule"
                )


def _same_labels(video: ScoredVideo, twin: ScoredVideo) -> bool:
    return (
        np.array_equal(video.labels, twin.labels)
        and video.class_labels.keys() == twin.class_labels.keys()
        and all(
            np.array_equal(labels, twin.class_labels[name])
            for name, labels in video.class_labels.items()
        )
    )


def _named(scored: Scored) -> str:
    return scored.members[0].checkpoint.file
