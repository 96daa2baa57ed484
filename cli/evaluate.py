"""`vad eval`: metrics and plots of a checkpoint, or of a run's seeds, on a test manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .common import (
    ANY_PATH,
    EXISTING,
    EXISTING_FILE,
    device_option,
    json_option,
    print_json,
    print_pairs,
    print_table,
    progress_reporter,
)

if TYPE_CHECKING:
    from vad_toolkit.evaluation.evaluate import EvaluationResult, RunsResult


@click.command("eval")
@click.argument("run", metavar="CHECKPOINT-or-RUN", type=EXISTING)
@click.option("--pack", type=EXISTING_FILE, required=True, help="Features of the test videos.")
@click.option("--manifest", type=EXISTING_FILE, required=True, help="Test videos and events.")
@click.option(
    "--out", type=ANY_PATH, help="New or empty folder.  [default: RUN/eval-001, eval-002, ...]"
)
@click.option(
    "--which",
    type=click.Choice(("best", "last")),
    default="best",
    show_default=True,
    help="Of a run: the step that did best in validation, or the last one.",
)
@click.option("--no-plots", is_flag=True, help="Write no pictures.")
@device_option
@json_option
def evaluate(
    run: Path,
    pack: Path,
    manifest: Path,
    out: Path | None,
    which: Literal["best", "last"],
    no_plots: bool,
    device: str,
    as_json: bool,
) -> None:
    """Measure a checkpoint on the videos of a test manifest.

    Gives frame-level AUC and AP, both again on abnormal videos only, the false-alarm rate on
    normal videos, video-level AUC, and every class. A run of several seeds gives a row a seed, mean
    and standard deviation. Metrics, scores and plots go into a new folder; see docs/evaluation.md.

    \b
    Examples:
      vad eval runs/first --pack test.h5 --manifest test.jsonl
      vad eval runs/first/last.safetensors --pack test.h5 --manifest test.jsonl --out results --json
    """
    from vad_toolkit.evaluation.evaluate import evaluate_runs

    with progress_reporter() as progress:
        summary = evaluate_runs(
            run,
            pack,
            manifest,
            out,
            which=which,
            device=device,
            plots=not no_plots,
            progress=progress,
        )
    if as_json:
        print_json(_json(summary))
    elif len(summary.results) == 1:
        _print_one(summary.results[0])
    else:
        _print_seeds(summary)
    if summary.results[0].inputs.trained_on_manifest:
        click.echo(
            "Warning: these are the videos that the checkpoint was trained on: the metrics say "
            "nothing of new ones",
            err=True,
        )
    click.echo(f"Metrics, scores and plots: {summary.out}", err=True)


def _json(summary: RunsResult) -> dict[str, Any]:
    """All but the rows of single videos, which stand in each metrics.json."""
    runs = []
    for result in summary.results:
        values = {"out": str(result.out), **result.to_dict()}
        del values["videos"]
        runs.append(values)
    return {**summary.to_dict(), "out": str(summary.out), "runs": runs}


def _print_one(result: EvaluationResult) -> None:
    from vad_toolkit.evaluation.metrics import METRIC_NAMES

    metrics, counts = result.metrics, result.metrics.counts
    print_pairs(
        {
            "checkpoint": f"{result.checkpoint.file} (step {result.checkpoint.step}, "
            f"seed {result.checkpoint.seed})",
            "videos": f"{counts.normal_videos} normal, {counts.abnormal_videos} abnormal",
            "frames": f"{counts.frames}, {counts.abnormal_frames} abnormal",
            **{
                name: f"not defined: {metrics.undefined[name]}"
                if name in metrics.undefined
                else getattr(metrics, name)
                for name in METRIC_NAMES
            },
        }
    )
    if metrics.classes:
        click.echo()
        columns = ("videos", "auc", "ap", "auc_abnormal", "ap_abnormal")
        print_table(
            [
                {"class": name, **{column: getattr(values, column) for column in columns}}
                for name, values in metrics.classes.items()
            ]
        )


def _print_seeds(summary: RunsResult) -> None:
    from vad_toolkit.evaluation.metrics import METRIC_NAMES

    rows: list[dict[str, Any]] = [
        {
            "seed": result.checkpoint.seed,
            "step": result.checkpoint.step,
            **{name: getattr(result.metrics, name) for name in METRIC_NAMES},
        }
        for result in summary.results
    ]
    for label in ("mean", "std"):
        values = {name: getattr(spread, label) for name, spread in summary.spread.items()}
        rows.append({"seed": label, **values})
    print_table(rows)
    click.echo("std: sample standard deviation (n - 1)", err=True)
