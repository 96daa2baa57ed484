"""Evaluation of a checkpoint, or of a run of several seeds, on a pack and a test manifest.

Everything is checked and scored before the first file is written: an evaluation that is refused
leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from vad_toolkit.core.files import check_unused, write_json
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.bootstrap import RESAMPLES
from vad_toolkit.evaluation.ground_truth import TruthSource
from vad_toolkit.evaluation.metrics import compute_metrics
from vad_toolkit.evaluation.output import new_folder, write_evaluation
from vad_toolkit.evaluation.result import EvaluationResult, RunsResult, spread_of
from vad_toolkit.evaluation.score import Scored, TestSet, score_test_set
from vad_toolkit.experiments.inspection.figures import FigureRequest
from vad_toolkit.training.checkpoint import LAST, find_runs

Which = Literal["best", "last"]
ALONE = ""  # the name of the one run that is evaluated, whose folder is that of the results


def evaluate(
    checkpoint: Path,
    pack: Path,
    manifest: str | Path,
    out: Path | None = None,
    *,
    which: Which = "best",
    truth: TruthSource | None = None,
    resamples: int = RESAMPLES,
    device: str = "auto",
    plots: bool = True,
    figures: FigureRequest | None = None,
    progress: ProgressCallback = silent,
) -> EvaluationResult:
    """Score every video of `manifest` with one checkpoint and take all metrics.

    Writes what `output` lists.

    Args:
        checkpoint: a .safetensors file, or the folder of one run.
        manifest: a file, or the name of a shipped dataset, whose test side it then is.
        out: a new or empty folder; by default the next free `eval-001` beside the checkpoint.
        which: a run's best step in validation, or its last one; a file is taken as it is.
        truth: where labels come from (`ground_truth`); by default the rule that an imported pack
            names, and the events over decoded frames for a pack that was extracted here.
        resamples: of the bootstrap that gives confidence intervals; 0 for none.
        plots: whether to write the pictures that cost nothing beside the scores.
        figures: those that take another pass (`figures`); None for none.

    Raises:
        InputError: no such checkpoint, or files in `out`.
        PackError, ManifestError: one of them cannot be used, they do not fit (names the videos), or
            the pack was made by another recipe.
    """
    if out is not None:
        check_unused(out)
    file = checkpoint_file(checkpoint, which)
    scored = score_test_set(file, TestSet(pack, str(manifest), truth, device), progress, figures)
    beside = Path(scored.members[0].checkpoint.file).parent
    return write_results({ALONE: scored}, out, beside, resamples=resamples, plots=plots).results[0]


def evaluate_runs(
    run: Path,
    pack: Path,
    manifest: str | Path,
    out: Path | None = None,
    *,
    which: Which = "best",
    truth: TruthSource | None = None,
    resamples: int = RESAMPLES,
    device: str = "auto",
    plots: bool = True,
    figures: FigureRequest | None = None,
    progress: ProgressCallback = silent,
) -> RunsResult:
    """As `evaluate`, for every seed of `run`, with mean and standard deviation over them.

    A run with `seed-*` folders gives one folder a seed inside `out` (by default the next free
    `eval-001` inside `run`), and `summary.json` beside them. A single run or checkpoint file gives
    what `evaluate` gives.
    """
    if out is not None:
        check_unused(out)
    runs = runs_by_name(Path(run))
    test = TestSet(pack, str(manifest), truth, device)
    scored = {
        name: score_test_set(
            checkpoint_file(path, which), test, progress, figures and figures.of_seed(name)
        )
        for name, path in runs.items()
    }
    alone = scored.get(ALONE)
    beside = Path(run) if alone is None else Path(alone.members[0].checkpoint.file).parent
    return write_results(scored, out, beside, resamples=resamples, plots=plots)


def runs_by_name(run: Path) -> Mapping[str, Path]:
    """The seeds of a run by their folders' names, or a single run or checkpoint as `ALONE`."""
    runs = find_runs(run)
    return {ALONE: run} if runs == [run] else {path.name: path for path in runs}


def checkpoint_file(path: Path, which: Which) -> Path:
    """Of a run's folder its best or last checkpoint; a file as it is."""
    path = Path(path)
    if which not in ("best", "last"):
        raise InputError(f"which {which!r}: has to be best or last")
    return path / LAST if which == "last" and path.is_dir() else path


def write_results(
    scored: Mapping[str, Scored], out: Path | None, beside: Path, *, resamples: int, plots: bool
) -> RunsResult:
    """Take the metrics of scored runs and write all files.

    Args:
        scored: by name: `ALONE`, or several, each of which gets a folder of its name, and
            `summary.json` stands beside them.
        out, beside: where to; see `output.new_folder`.
    """
    metrics = {
        name: compute_metrics(run.frames, resamples=resamples) for name, run in scored.items()
    }
    folder = new_folder(out, beside)
    results = []
    for name, run in scored.items():
        result = EvaluationResult(
            out=folder / name,
            members=run.members,
            metrics=metrics[name],
            videos=run.videos,
            notes=run.figures.notes if run.figures else (),
        )
        write_evaluation(result, run.frames, run.figures, plots=plots)
        results.append(result)
    summary = RunsResult(folder, tuple(results), spread_of(list(metrics.values())))
    if ALONE not in scored:
        write_json(folder / "summary.json", summary.to_dict())
    return summary
