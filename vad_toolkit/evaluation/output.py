"""What an evaluation leaves on disk: metrics.json, scores a frame, pictures.

metrics.json       everything that decides the numbers, and the numbers; written last, so that
                   its presence says that the rest is whole
scores/<id>.npy    (frames,) float32
plots/<id>.png     scores against ground truth
roc.png, pr.png    over all frames
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.metrics import DEFINITIONS
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.ranking import average_precision, rank, roc_auc
from vad_toolkit.files import atomic_path, write_json
from vad_toolkit.reports.curves import plot_curve
from vad_toolkit.reports.timeline import plot_scores

FORMAT = "vad-evaluation"
FORMAT_VERSION = 1


def check_unused(folder: Path) -> None:
    """Refuse a folder that has anything in it, or a file. Raises InputError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already: results are not overwritten, name a new one")


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
    folder: Path,
    result: Mapping[str, Any],
    videos: Sequence[ScoredVideo],
    fps: Mapping[str, float | None],
    *,
    plots: bool,
) -> None:
    """Write all files of one evaluation into `folder`.

    Args:
        result: plain values, the body of metrics.json.
        videos: frame scores and ground truth.
        fps: frames a second by video id, None where not known.
    """
    for video in videos:
        path = folder / "scores" / f"{video.id}.npy"
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, video.scores, allow_pickle=False)
        if plots:
            plot_scores(
                folder / "plots" / f"{video.id}.png",
                video.scores,
                labels=video.labels,
                fps=fps[video.id],
                title=video.id,
            )
    if plots:
        _plot_curves(folder, videos)
    write_json(
        folder / "metrics.json",
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "definitions": dict(DEFINITIONS),
            **result,
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
