"""Files of an evaluation: metrics.json, scores per frame, plots.

metrics.json        the metrics and everything that determines them; written last, so that its
                    presence means that the other files are complete
scores/<id>.npy     (frames,) float32
plots/<id>.png      scores and ground truth over time
roc.png, pr.png     ROC and precision-recall curve over all frames
histogram.png       scores of normal and of abnormal frames of all videos
histogram.json      its counts

An observer of the evaluation adds its own, such as `figures/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.files import atomic_path, write_json
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent
from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.metrics import metric_definitions
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.ranking import average_precision, rank, roc_auc
from vad_toolkit.evaluation.result import CheckpointResult
from vad_toolkit.evaluation.score import Observer
from vad_toolkit.plots.distributions import Distribution, Panel, plot_curve, plot_distributions
from vad_toolkit.plots.timeline import plot_scores

SCORE_BINS = 50


def new_folder(out: Path | None, parent: Path) -> Path:
    """Make `out`, or if it is None, the next free `eval-001`, `eval-002`, ... in `parent`.

    Concurrent evaluations get different folders. Raises InputError if it cannot be made.
    """
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            return out
        for number in count(1):
            folder = parent / f"eval-{number:03d}"
            with suppress(FileExistsError):
                folder.mkdir()
                break
    except OSError as error:
        raise InputError(
            f"cannot make a folder at {error.filename} ({error.strerror}); choose another --out"
        ) from error
    return folder


def write_evaluation(
    result: CheckpointResult,
    videos: Sequence[ScoredVideo],
    observer: Observer | None,
    *,
    plots: bool,
    progress: ProgressCallback,
) -> None:
    """Write all files of one evaluation into its folder; videos are in the order of the result.

    Plots may take longer than scoring, so `progress` is called with the number of those done.
    """
    folder = result.out
    for done, (video, row) in enumerate(zip(videos, result.videos, strict=True), start=1):
        path = folder / "scores" / f"{video.id}.npy"
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, video.scores, allow_pickle=False)
        if plots:
            path = folder / "plots" / f"{video.id}.png"
            plot_scores(path, video.scores, labels=video.labels, fps=row.fps, title=video.id)
            progress(ProgressEvent("plot", done, len(videos), "videos", video.id))
    if plots:
        scores = np.concatenate([video.scores for video in videos])
        labels = np.concatenate([video.labels for video in videos])
        _plot_curves(folder, scores, labels)
        _plot_histogram(folder, scores, labels)
    if observer is not None:
        observer.write(folder)
    header = {"format": "vad-evaluation", "format_version": 1}
    facts = {**header, "definitions": metric_definitions(), **result.to_dict()}
    write_json(folder / "metrics.json", facts)


def _plot_curves(folder: Path, scores: NDArray[Any], labels: NDArray[Any]) -> None:
    """Plot ROC and precision-recall over all frames, unless they are undefined."""
    ranking = rank(scores, labels)
    auc, ap = roc_auc(ranking), average_precision(ranking)
    if auc is None or ap is None:
        return
    plot_curve(
        folder / "roc.png",
        *ranking.roc_curve(),
        x_label="false positive rate",
        y_label="true positive rate",
        title=f"ROC of all frames, AUC {auc:.4f}",
        chance=((0, 0), (1, 1)),
    )
    share = ranking.positives / (ranking.positives + ranking.negatives)
    plot_curve(
        folder / "pr.png",
        *ranking.precision_recall_curve(),
        x_label="recall",
        y_label="precision",
        title=f"Precision-recall of all frames, AP {ap:.4f}",
        chance=((0, share), (1, share)),
    )


def _plot_histogram(folder: Path, scores: NDArray[Any], labels: NDArray[Any]) -> None:
    """Plot the scores of normal and of abnormal frames, over [0, 1] or wider if scores need it."""
    low, high = min(0.0, float(scores.min())), max(1.0, float(scores.max()))
    edges = np.linspace(low, high, SCORE_BINS + 1)
    kinds = {
        kind: np.histogram(scores[labels == label], edges)[0]
        for label, kind in enumerate(("normal", "abnormal"))
    }
    shown = [Distribution(f"{n.sum():,} {kind} frames", n) for kind, n in kinds.items()]
    plot_distributions(
        folder / "histogram.png",
        edges,
        [Panel("", "", tuple(shown))],
        x_label="anomaly score",
        y_label="share of the frames",
        log=True,
    )
    counts = {f"{kind}_frames": counts.tolist() for kind, counts in kinds.items()}
    write_json(folder / "histogram.json", {"edges": edges.tolist(), **counts})
