"""`vad eval`: metrics and plots of a checkpoint, a run's seeds, or several fused, on a test set."""

from __future__ import annotations

from collections.abc import Mapping
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
    from vad_toolkit.evaluation.result import EvaluationResult, RunsResult
    from vad_toolkit.experiments.inspection.figures import FigureRequest


@click.command("eval")
@click.argument("runs", metavar="CHECKPOINT-or-RUN...", nargs=-1, required=True, type=EXISTING)
@click.option(
    "--pack",
    "packs",
    type=EXISTING_FILE,
    required=True,
    multiple=True,
    help="Features of the test videos; with --fuse one for all runs, or one each, in their order.",
)
@click.option(
    "--manifest",
    metavar="DATASET-or-FILE",
    required=True,
    help="Test videos and events: a file, or a shipped dataset.",
)
@click.option(
    "--rule",
    metavar="RULE-or-FILE",
    help="Labels by this ground-truth rule (vad gt rules).  [default: of imported features their "
    "own, else the events over decoded frames]",
)
@click.option("--gt", type=EXISTING_FILE, help="Labels of a global array (.npy) instead.")
@click.option("--order", type=EXISTING_FILE, help="The list of that array's videos.")
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
@click.option(
    "--bootstrap",
    "resamples",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="Resamples of the test videos, for 95 % confidence intervals; 0 for none.",
)
@click.option(
    "--fuse",
    metavar="WEIGHT,WEIGHT,...",
    help="Average the frame scores of several runs with these weights, and evaluate that.",
)
@click.option("--no-plots", is_flag=True, help="Write no pictures but those of --figures.")
@click.option(
    "--figures",
    is_flag=True,
    help="Also measure and draw the similarity of normal and abnormal features before and after "
    "training, and what the interaction space attends to.",
)
@click.option(
    "--compare",
    type=EXISTING,
    metavar="RUN",
    help="Of --figures: similarity in this run too, as one trained without relative distance.",
)
@click.option(
    "--video",
    "videos",
    metavar="ID",
    multiple=True,
    help="Of --figures: a video whose interaction is drawn; may be given again.  [default: the "
    "three longest abnormal ones]",
)
@device_option
@json_option
def evaluate(
    runs: tuple[Path, ...],
    packs: tuple[Path, ...],
    manifest: str,
    rule: str | None,
    gt: Path | None,
    order: Path | None,
    out: Path | None,
    which: Literal["best", "last"],
    resamples: int,
    fuse: str | None,
    no_plots: bool,
    figures: bool,
    compare: Path | None,
    videos: tuple[str, ...],
    device: str,
    as_json: bool,
) -> None:
    """Measure a checkpoint on the videos of a test manifest.

    Gives frame-level AUC and AP, both again on abnormal videos only, false-alarm rates on normal
    videos and on all, video-level AUC, and every class, with confidence intervals over the choice
    of test videos. A run of several seeds gives a row a seed, mean and standard deviation. Metrics,
    scores and plots go into a new folder; see docs/evaluation.md.

    Several runs, as of RGB and of flow, are evaluated as one by --fuse.

    \b
    Examples:
      vad eval runs/first --pack test.h5 --manifest test.jsonl
      vad eval runs/first/last.safetensors --pack test.h5 --manifest test.jsonl --out results --json
      vad eval runs/rtfm --pack ucf-rtfm.h5 --manifest ucf-crime --gt gt-ucf.npy --order ucf.list
      vad eval runs/rgb runs/flow --fuse 0.5,0.5 --pack rgb.h5 --pack flow.h5 \\
               --manifest test.jsonl --out fused
      vad eval runs/full --figures --compare runs/no-distance --pack test.h5 --manifest test.jsonl
    """
    from vad_toolkit.evaluation.evaluate import evaluate_runs
    from vad_toolkit.evaluation.fusion import fuse_runs
    from vad_toolkit.evaluation.ground_truth import TruthSource

    request = _figures(figures, compare, videos)
    options: dict[str, Any] = {
        "which": which,
        "truth": TruthSource(rule, gt, order),
        "resamples": resamples,
        "device": device,
        "plots": not no_plots,
    }
    with progress_reporter() as progress:
        options["progress"] = progress
        if fuse is None:
            run, pack = _single(runs, packs)
            summary = evaluate_runs(run, pack, manifest, out, figures=request, **options)
        else:
            folder = _fused_folder(out, request)
            summary = fuse_runs(runs, _weights(fuse), packs, manifest, folder, **options)
    if as_json:
        print_json(_json(summary))
    elif len(summary.results) == 1:
        _print_one(summary.results[0])
    else:
        _print_seeds(summary)
    for note in dict.fromkeys(note for result in summary.results for note in result.notes):
        click.echo(f"Not drawn: {note}", err=True)
    if summary.results[0].trained_on_manifest:
        click.echo(
            "Warning: these are the videos that the checkpoint was trained on: the metrics say "
            "nothing of new ones",
            err=True,
        )
    click.echo(f"Metrics, scores and plots: {summary.out}", err=True)


def _figures(wanted: bool, compare: Path | None, videos: tuple[str, ...]) -> FigureRequest | None:
    from vad_toolkit.errors import InputError
    from vad_toolkit.experiments.inspection.figures import FigureRequest

    if wanted:
        return FigureRequest(compare, videos)
    if compare is not None or videos:
        raise InputError("--compare and --video go with --figures: add it")
    return None


def _single(runs: tuple[Path, ...], packs: tuple[Path, ...]) -> tuple[Path, Path]:
    from vad_toolkit.errors import InputError

    if len(runs) > 1:
        even = ",".join([f"{1 / len(runs):.3g}"] * len(runs))
        raise InputError(
            f"{len(runs)} runs: evaluate them one by one, or average their scores by --fuse {even}"
        )
    if len(packs) > 1:
        raise InputError(
            f"{len(packs)} packs for one run: give one, or merge them (vad pack merge)"
        )
    return runs[0], packs[0]


def _fused_folder(out: Path | None, figures: FigureRequest | None) -> Path:
    from vad_toolkit.errors import InputError

    if figures is not None:
        raise InputError("--figures are of one network: evaluate each run without --fuse for them")
    if out is None:
        raise InputError("--fuse goes with --out: name the folder, since it belongs to no one run")
    return out


def _weights(text: str) -> list[float]:
    from vad_toolkit.errors import InputError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--fuse {text!r}: has to be numbers, as in 0.5,0.5") from None


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
            **_members(result),
            "videos": f"{counts.normal_videos} normal, {counts.abnormal_videos} abnormal",
            "frames": f"{counts.frames}, {counts.abnormal_frames} abnormal",
            "ground truth": _source(result.inputs.ground_truth),
            **{name: _measured(result, name) for name in METRIC_NAMES},
        }
    )
    _tell_bootstrap(result)
    if metrics.classes:
        click.echo()
        columns = ("videos", "auc", "ap", "auc_abnormal", "ap_abnormal")
        print_table(
            [
                {"class": name, **{column: getattr(values, column) for column in columns}}
                for name, values in metrics.classes.items()
            ]
        )


def _members(result: EvaluationResult) -> dict[str, str]:
    names = [
        f"{member.checkpoint.file} (step {member.checkpoint.step}, seed {member.checkpoint.seed})"
        for member in result.members
    ]
    if len(names) == 1:
        return {"checkpoint": names[0]}
    return {
        f"checkpoint {number}": f"{member.weight:.4f} of {name}"
        for number, (name, member) in enumerate(zip(names, result.members, strict=True), start=1)
    }


def _source(truth: Mapping[str, Any]) -> str:
    if truth["kind"] == "rule":
        return f"rule {truth['rule']}"
    if truth["kind"] == "array":
        return f"array with sha256 {truth['sha256']}"
    return "events over decoded frames"


def _measured(result: EvaluationResult, name: str) -> str:
    if name in result.metrics.undefined:
        return f"not defined: {result.metrics.undefined[name]}"
    value = f"{getattr(result.metrics, name):.4f}"
    return f"{value} {_interval(result, name, 4)}".rstrip()


def _interval(result: EvaluationResult, name: str, digits: int) -> str:
    interval = result.intervals.get(name)
    return f"[{interval.low:.{digits}f}, {interval.high:.{digits}f}]" if interval else ""


def _tell_bootstrap(result: EvaluationResult) -> None:
    made = result.metrics.bootstrap
    if made:
        click.echo(
            f"[low, high]: {made.confidence:.0%} interval over {made.resamples} resamples of the "
            "test videos",
            err=True,
        )


def _print_seeds(summary: RunsResult) -> None:
    from vad_toolkit.evaluation.metrics import METRIC_NAMES

    rows: list[dict[str, Any]] = [
        {
            "seed": result.checkpoint.seed,
            "step": ", ".join(str(member.checkpoint.step) for member in result.members),
            **{name: getattr(result.metrics, name) for name in METRIC_NAMES},
        }
        for result in summary.results
    ]
    for label in ("mean", "std"):
        values = {name: getattr(spread, label) for name, spread in summary.spread.items()}
        rows.append({"seed": label, **values})
    print_table(rows)
    if any(result.intervals for result in summary.results):
        click.echo()
        print_table(
            [
                {
                    "seed": result.checkpoint.seed,
                    **{name: _interval(result, name, 3) or None for name in METRIC_NAMES},
                }
                for result in summary.results
            ]
        )
        _tell_bootstrap(summary.results[0])
    click.echo("std: sample standard deviation (n - 1)", err=True)
