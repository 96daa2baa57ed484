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
from pathlib import Path

import numpy as np

from vad_toolkit.core.files import atomic_path, check_new_folder, write_json
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent
from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.metrics import metric_definitions
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.ranking import average_precision, rank, roc_auc
from vad_toolkit.evaluation.result import CheckpointResult
from vad_toolkit.evaluation.score import Observer
from vad_toolkit.plots.curves import plot_curve
from vad_toolkit.plots.distributions import Distribution, Panel, plot_distributions
from vad_toolkit.plots.timeline import plot_scores

FORMAT = "vad-evaluation"
FORMAT_VERSION = 1
SCORE_BINS = 50


def new_folder(out: Path | None, parent: Path) -> Path:
    """Make `out`, or if it is None, the next free `eval-001`, `eval-002`, ... in `parent`.

    Concurrent evaluations get different folders.

    Raises:
        InputError: If `out` contains files, or the folder cannot be made.
    """
    try:
        if out is not None:
            check_new_folder(out)
            out.mkdir(parents=True, exist_ok=True)
            return out
        number = 1
        while True:
            folder = parent / f"eval-{number:03d}"
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
    except OSError as error:
        raise InputError(
            f"cannot make a folder at {error.filename} ({error.strerror}); choose another --out"
        ) from error


def write_evaluation(
    result: CheckpointResult,
    videos: Sequence[ScoredVideo],
    observer: Observer | None,
    *,
    plots: bool,
    progress: ProgressCallback,
) -> None:
    """Write all files of one evaluation into its folder.

    Args:
        result: The content of metrics.json, and the folder.
        videos: Frame scores and ground truth, in the order of the result's videos.
        observer: Writes further files, if it is not None.
        plots: Whether to write plots.
        progress: Called with the number of plots done, since they may take longer than scoring.
    """
    folder = result.out
    for done, (video, row) in enumerate(zip(videos, result.videos, strict=True), start=1):
        path = folder / "scores" / f"{video.id}.npy"
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, video.scores, allow_pickle=False)
        if plots:
            plot_scores(
                folder / "plots" / f"{video.id}.png",
                video.scores,
                labels=video.labels,
                fps=row.fps,
                title=video.id,
            )
            progress(ProgressEvent("plot", done, len(videos), "videos", video.id))
    if plots:
        _plot_curves(folder, videos)
        _plot_histogram(folder, videos)
    if observer is not None:
        observer.write(folder)
    write_json(
        folder / "metrics.json",
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "definitions": metric_definitions(),
            **result.to_dict(),
        },
    )


def _plot_curves(folder: Path, videos: Sequence[ScoredVideo]) -> None:
    """Plot ROC and precision-recall over all frames, unless they are undefined."""
    ranking = rank(
        np.concatenate([video.scores for video in videos]),
        np.concatenate([video.labels for video in videos]),
    )
    auc, ap = roc_auc(ranking), average_precision(ranking)
    if auc is None or ap is None:
        return
    across, up = ranking.roc_curve()
    plot_curve(
        folder / "roc.png",
        across,
        up,
        x_label="false positive rate",
        y_label="true positive rate",
        title=f"ROC of all frames, AUC {auc:.4f}",
        chance=((0, 0), (1, 1)),
    )
    recall, precision = ranking.precision_recall_curve()
    share = ranking.positives / (ranking.positives + ranking.negatives)
    plot_curve(
        folder / "pr.png",
        recall,
        precision,
        x_label="recall",
        y_label="precision",
        title=f"Precision-recall of all frames, AP {ap:.4f}",
        chance=((0, share), (1, share)),
    )


def _plot_histogram(folder: Path, videos: Sequence[ScoredVideo]) -> None:
    """Plot the scores of normal and of abnormal frames, over [0, 1] or wider if scores need it."""
    low = min(0.0, *(float(video.scores.min()) for video in videos))
    high = max(1.0, *(float(video.scores.max()) for video in videos))
    edges = np.linspace(low, high, SCORE_BINS + 1)
    counts = np.zeros((2, SCORE_BINS), np.int64)
    for video in videos:
        for label in (0, 1):
            counts[label] += np.histogram(video.scores[video.labels == label], edges)[0]
    normal, abnormal = counts
    kinds = (
        Distribution(f"{normal.sum():,} normal frames", normal),
        Distribution(f"{abnormal.sum():,} abnormal frames", abnormal),
    )
    plot_distributions(
        folder / "histogram.png",
        edges,
        [Panel("", "", kinds)],
        x_label="anomaly score",
        y_label="share of the frames",
        log=True,
    )
    write_json(
        folder / "histogram.json",
        {
            "edges": edges.tolist(),
            "normal_frames": normal.tolist(),
            "abnormal_frames": abnormal.tolist(),
        },
    )
