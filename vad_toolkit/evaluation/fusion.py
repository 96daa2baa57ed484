"""Late fusion: frame scores of several checkpoints, averaged with given weights.

RGB and flow are the usual pair. Checkpoints may use different modalities and packs, as long as the
labels are the same. Weights are given and never tuned here, since weights that are tuned on test
videos overfit the test set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.evaluation.ground_truth import GroundTruth
from vad_toolkit.training.checkpoint import find_runs

ALONE = ""  # name of a run without seeds, whose results are written directly into the output folder


def normalise_weights(weights: Sequence[float], runs: int) -> tuple[float, ...]:
    """Return weights that sum to 1, one for each of two or more runs, or raise InputError."""
    shown = ",".join(f"{weight:g}" for weight in weights)
    if len(weights) != runs or runs < 2:
        raise InputError(
            f"a fusion needs two or more runs and one weight per run, such as 0.5,0.5; got weights "
            f"{shown} for {runs} run{'' if runs == 1 else 's'}"
        )
    total = sum(weights)
    if min(weights) < 0 or not 0 < total < math.inf:
        raise InputError(f"weights must be >= 0 and at least one > 0, got {shown}")
    return tuple(weight / total for weight in weights)


def pair_by_seed(runs: Sequence[Path]) -> Mapping[str, list[Path]]:
    """Return the runs to fuse by the name of their seed's folder, `ALONE` for runs without seeds.

    Raises:
        InputError: If some runs have seeds that others lack.
    """
    named = []
    for run in runs:
        found = find_runs(run)
        named.append({ALONE: run} if found == [run] else {path.name: path for path in found})
    first = named[0]
    for run, others in zip(runs, named, strict=True):
        unpaired = first.keys() ^ others.keys()
        if unpaired:
            lacks = "one has no seeds" if ALONE in unpaired else f"only one has {min(unpaired)}"
            raise InputError(
                f"{runs[0]} and {run} do not have the same seeds ({lacks}); runs are fused seed by "
                "seed, so give the folders of single runs, or train the missing seeds"
            )
    return {name: [others[name] for others in named] for name in first}


def fuse_scores(
    scores: Sequence[NDArray[np.float32]], weights: Sequence[float]
) -> NDArray[np.float32]:
    """Return the weighted mean of frame scores, (F,) float32; those of a single run unchanged."""
    if len(scores) == 1:
        return scores[0]
    mean = sum(w * one.astype(np.float64) for w, one in zip(weights, scores, strict=True))
    return np.asarray(mean, dtype=np.float32)


def check_same_truth(names: Sequence[str], truths: Sequence[GroundTruth]) -> None:
    """Check that all runs of a fusion, by their checkpoint files, have the same frames and labels.

    Raises:
        ManifestError: If the frames or labels of a video differ.
    """
    first = truths[0]
    for name, other in zip(names, truths, strict=True):
        for id, labels in first.labels.items() if other is not first else ():
            if len(labels) != len(other.labels[id]):
                raise ManifestError(
                    f"{names[0]} has {len(labels)} frames of video {id!r}, and {name} has "
                    f"{len(other.labels[id])}; a fusion needs the same frames, so set a rule for "
                    "both with --rule, or use packs of the same videos"
                )
            ours, theirs = ({"": t.labels[id], **t.class_labels[id]} for t in (first, other))
            if ours.keys() != theirs.keys() or any(
                not np.array_equal(array, theirs[key]) for key, array in ours.items()
            ):
                raise ManifestError(
                    f"the labels of video {id!r} differ between {names[0]} and {name}; set a rule "
                    "for both with --rule"
                )
