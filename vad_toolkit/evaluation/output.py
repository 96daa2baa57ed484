"""What an evaluation leaves on disk: metrics.json, scores a frame, pictures.

metrics.json        everything that decides the numbers, and the numbers; written last, so that
                    its presence says that the rest is whole
scores/<id>.npy     (frames,) float32
plots/<id>.png      scores against ground truth
roc.png, pr.png     over all frames
histogram.png       scores of normal and of abnormal frames, over all frames
histogram.json      its counts
figures/            see `figures`
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vad_toolkit.core.files import atomic_path, check_unused, write_json
from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.metrics import DEFINITIONS
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.ranking import average_precision, rank, roc_auc
from vad_toolkit.evaluation.result import EvaluationResult
from vad_toolkit.experiments.inspection.figures import FOLDER as FIGURES_FOLDER
from vad_toolkit.experiments.inspection.figures import Figures, write_figures
from vad_toolkit.plots.curves import plot_curve
from vad_toolkit.plots.distributions import Distribution, Panel, plot_distributions
from vad_toolkit.plots.timeline import plot_scores

FORMAT = "vad-evaluation"
FORMAT_VERSION = 1
SCORE_EDGES = np.linspace(0, 1, 51)


def new_folder(out: Path | None, beside: Path) -> Path:
    """Make `out`, or else the next free `eval-001`, `eval-002`, ... in `beside`.

    Two evaluations at once get two folders.

    Raises:
        InputError: `out` has files in it, or the folder cannot be made.
    """
    try:
        if out is not None:
            check_unused(out)
            out.mkdir(parents=True, exist_ok=True)
            return out
        number = 1
        while True:
            folder = beside / f"eval-{number:03d}"
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
    except OSError as error:
        raise InputError(
            f"no folder can be made at {error.filename} ({error.strerror}): name another by --out"
        ) from error


def write_evaluation(
    result: EvaluationResult,
    videos: Sequence[ScoredVideo],
    figures: Figures | None,
    *,
    plots: bool,
) -> None:
    """Write all files of one evaluation into its folder.

    Args:
        result: the body of metrics.json, and where to.
        videos: frame scores and ground truth, in the order of the result's videos.
        figures: those that were asked for.
        plots: whether to write the other pictures.
    """
    folder = result.out
    for video, row in zip(videos, result.videos, strict=True):
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
    if plots:
        _plot_curves(folder, videos)
        _plot_histogram(folder, videos)
    if figures is not None:
        write_figures(folder / FIGURES_FOLDER, figures)
    write_json(
        folder / "metrics.json",
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "definitions": dict(DEFINITIONS),
            **result.to_dict(),
        },
    )


def _plot_curves(folder: Path, videos: Sequence[ScoredVideo]) -> None:
    """ROC and precision-recall over all frames; nothing where they are not defined."""
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
    """Scores of normal and of abnormal frames, of all videos; scores lie in [0, 1]."""
    counts = np.zeros((2, len(SCORE_EDGES) - 1), np.int64)
    for video in videos:
        for label in (0, 1):
            counts[label] += np.histogram(video.scores[video.labels == label], SCORE_EDGES)[0]
    normal, abnormal = counts
    plot_distributions(
        folder / "histogram.png",
        SCORE_EDGES,
        [
            Panel(
                "",
                "",
                (
                    Distribution(f"{normal.sum():,} normal frames", normal),
                    Distribution(f"{abnormal.sum():,} abnormal frames", abnormal),
                ),
            )
        ],
        x_label="anomaly score",
        y_label="share of the frames",
        log=True,
    )
    write_json(
        folder / "histogram.json",
        {
            "edges": SCORE_EDGES.tolist(),
            "normal_frames": normal.tolist(),
            "abnormal_frames": abnormal.tolist(),
        },
    )
