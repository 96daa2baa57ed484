"""Evaluation of a checkpoint, a run of several seeds, or a fusion of runs, on a test manifest.

Everything is checked and scored before the first file is written, so that a refused evaluation
leaves nothing behind.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from vad_toolkit.core.files import AnyPath, check_new_folder, write_json
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.manifest import Manifest
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.bootstrap import RESAMPLES
from vad_toolkit.evaluation.controls import measure_controls
from vad_toolkit.evaluation.fusion import ALONE, normalise_weights, pair_by_seed
from vad_toolkit.evaluation.ground_truth import TruthSource
from vad_toolkit.evaluation.metrics import video_metrics
from vad_toolkit.evaluation.output import new_folder, write_evaluation
from vad_toolkit.evaluation.result import CheckpointResult, EvaluationResult
from vad_toolkit.evaluation.score import FigureMaker, score_test_set
from vad_toolkit.training.checkpoint import LAST


def evaluate(
    run: AnyPath | Sequence[AnyPath],
    pack: AnyPath | Sequence[AnyPath],
    manifest: AnyPath | Manifest,
    *,
    out: AnyPath | None = None,
    which: Literal["best", "last"] = "best",
    rule: str | None = None,
    gt: AnyPath | None = None,
    order: AnyPath | None = None,
    fuse: Sequence[float] | None = None,
    resamples: int = RESAMPLES,
    plots: bool = True,
    figures: FigureMaker | None = None,
    device: str = "auto",
    progress: ProgressCallback = silent,
) -> EvaluationResult:
    """Score the videos of a manifest, compute all metrics and write them with scores and plots.

    The files are listed in `vad_toolkit.evaluation.output`. A run of several seeds gets one folder
    per seed, and `summary.json` next to them. The features of each video are read once, whatever
    the number of checkpoints (`score.SharedFeatures`).

    Args:
        run: A checkpoint (.safetensors), the folder of a run, or of a run with several seeds. With
            `fuse`, two or more of these, all with the same seeds; those of one seed are fused.
        pack: Features of the videos. With `fuse`, one pack for all runs or one per run.
        manifest: Name of a dataset, whose test side is used, a manifest file, or a manifest.
        out: New or empty folder. If None, the next free `eval-001` in the run; required with
            `fuse`.
        which: Which checkpoint of a run to use: "best" in validation, or "last".
        rule: Ground-truth rule, by name or file. If None, the rule of imported features, or the
            events over the decoded frames of extracted ones.
        gt: Array of the labels of all videos (.npy) instead; requires `order`.
        order: List of the videos in the order of that array.
        fuse: Weights of the runs, >= 0, whose frame scores are averaged.
        resamples: Number of bootstrap resamples for confidence intervals; 0 for none.
        plots: Whether to write curves, histograms and a plot per video.
        figures: Further figures, such as `experiments.inspection.figures.FigureRequest`.
        device: "auto", "cpu", "cuda" or "cuda:N".
        progress: Called with the number of videos done.

    Returns:
        The results; `result.metrics.auc` is the AUC, of several seeds the mean.

    Raises:
        InputError: If options do not go together, a checkpoint does not exist, or `out` has files.
        PackError: If a pack cannot be used, or was made by a different recipe.
        ManifestError: If the manifest cannot be used, or does not fit a pack; names the videos.

    Example:
        >>> result = evaluate("run", "features.h5", "manifests/test.jsonl", plots=False)
        >>> [one.checkpoint.seed for one in result.results], result.out.name
        ([0, 1], 'eval-001')
    """
    runs, packs = (
        [Path(path) for path in ([given] if isinstance(given, str | os.PathLike) else given)]
        for given in (run, pack)
    )
    source = TruthSource(rule, *(None if path is None else Path(path) for path in (gt, order)))
    if which not in ("best", "last"):
        raise InputError(f"which must be best or last, got {which!r}")
    weights = _check_runs(runs, packs, fuse, out, figures)
    folder = None if out is None else Path(out)
    if folder is not None:
        check_new_folder(folder)
    files = {
        name: [path / LAST if which == "last" and path.is_dir() else path for path in paths]
        for name, paths in pair_by_seed(runs).items()
    }
    listed = find_manifest(manifest)
    scored = score_test_set(
        files,
        packs if len(packs) == len(runs) else packs * len(runs),
        weights,
        listed,
        source,
        manifest_name=listed.dataset if isinstance(manifest, Manifest) else str(manifest),
        device=device,
        figures=figures,
        progress=progress,
    )
    metrics = {name: video_metrics(one.frames, resamples=resamples) for name, one in scored.items()}
    first = next(iter(scored.values()))
    controls = measure_controls(first.frames, first.length_rule)
    alone = scored.get(ALONE)
    default = runs[0] if alone is None else Path(alone.members[0].checkpoint.file).parent
    folder = new_folder(folder, default)
    results = []
    for name, one in scored.items():
        notes = one.observer.notes if one.observer else ()
        result = CheckpointResult(
            folder / name, one.members, metrics[name], tuple(one.videos), controls, notes
        )
        write_evaluation(result, one.frames, one.observer, plots=plots, progress=progress)
        results.append(result)
    summary = EvaluationResult(folder, tuple(results))
    if alone is None:
        write_json(folder / "summary.json", summary.to_dict())
    return summary


def _check_runs(
    runs: Sequence[Path],
    packs: Sequence[Path],
    fuse: Sequence[float] | None,
    out: AnyPath | None,
    figures: FigureMaker | None,
) -> tuple[float, ...]:
    """Check that runs, packs and options go together, and return the weight of each run."""
    if fuse is None:
        if len(runs) != 1:
            even = ",".join([f"{1 / max(1, len(runs)):.3g}"] * len(runs))
            raise InputError(
                f"expected one run, got {len(runs)}; evaluate them one by one, or average their "
                f"scores with --fuse {even}"
            )
        if len(packs) != 1:
            raise InputError(
                f"expected one pack for one run, got {len(packs)}; merge them with vad pack merge"
            )
        return (1.0,)
    if figures is not None:
        raise InputError("--figures does not go with --fuse; evaluate each run by itself for them")
    if out is None:
        raise InputError("--fuse needs --out, since the result belongs to no single run")
    if len(packs) not in (1, len(runs)):
        raise InputError(f"expected 1 or {len(runs)} packs for {len(runs)} runs, got {len(packs)}")
    return normalise_weights(fuse, len(runs))
