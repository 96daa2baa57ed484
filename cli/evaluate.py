"""`vad eval`: metrics and plots of a checkpoint, a run of several seeds, or a fusion of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    ANY_PATH,
    EXISTING,
    EXISTING_FILE,
    device_option,
    json_option,
    print_controls,
    print_json,
    print_pairs,
    print_table,
    progress_reporter,
)

if TYPE_CHECKING:
    from vad_toolkit.evaluation.result import CheckpointResult, EvaluationResult


@click.command("eval")
@click.argument("runs", metavar="CHECKPOINT-or-RUN...", nargs=-1, required=True, type=EXISTING)
@click.option(
    "--pack",
    "packs",
    type=EXISTING_FILE,
    required=True,
    multiple=True,
    help="Features of the test videos; with --fuse one pack for all runs, or one per run in their "
    "order.",
)
@click.option(
    "--manifest",
    metavar="DATASET-or-FILE",
    required=True,
    help="Test videos and events: a manifest file, or the name of a dataset.",
)
@click.option(
    "--rule",
    metavar="RULE-or-FILE",
    help="Ground-truth rule of the labels (vad gt rules).  [default: the rule of imported "
    "features, else the events over decoded frames]",
)
@click.option("--gt", type=EXISTING_FILE, help="Array of all labels (.npy) instead of a rule.")
@click.option("--order", type=EXISTING_FILE, help="List of the videos in the order of --gt.")
@click.option(
    "--out", type=ANY_PATH, help="New or empty folder.  [default: RUN/eval-001, eval-002, ...]"
)
@click.option(
    "--which",
    type=click.Choice(("best", "last")),
    default="best",
    show_default=True,
    help="Checkpoint of a run: the best in validation, or the last.",
)
@click.option(
    "--bootstrap",
    "resamples",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="Resamples of the test videos for 95 % confidence intervals; 0 for none.",
)
@click.option(
    "--fuse",
    metavar="WEIGHT,WEIGHT,...",
    help="Average the frame scores of several runs with these weights and evaluate the result.",
)
@click.option("--no-plots", is_flag=True, help="Do not write plots, except those of --figures.")
@click.option(
    "--figures",
    is_flag=True,
    help="Also draw the similarity of normal and abnormal features before and after training, and "
    "the attention of the interaction space.",
)
@click.option(
    "--compare",
    type=EXISTING,
    metavar="RUN",
    help="With --figures: another run whose similarities are drawn too.",
)
@click.option(
    "--video",
    "videos",
    metavar="ID",
    multiple=True,
    help="With --figures: a video whose interaction is drawn; repeatable.  [default: the three "
    "longest abnormal videos]",
)
@device_option
@json_option
def evaluate(
    runs: tuple[Path, ...],
    packs: tuple[Path, ...],
    manifest: str,
    fuse: str | None,
    no_plots: bool,
    figures: bool,
    compare: Path | None,
    videos: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Evaluate a checkpoint on the videos of a test manifest.

    Prints frame-level AUC and AP (over all videos, and over abnormal videos only), false-alarm
    rates, video-level AUC and the metrics of each class, with confidence intervals. A run of
    several seeds gives one row per seed, mean and standard deviation. Metrics, scores and plots
    are written into a new folder; see docs/evaluation.md.

    --fuse evaluates several runs as one, such as RGB and flow.

    \b
    Examples:
      vad eval runs/first --pack test.h5 --manifest test.jsonl
      vad eval runs/first/last.safetensors --pack test.h5 --manifest test.jsonl --out results --json
      vad eval runs/rtfm --pack ucf-rtfm.h5 --manifest ucf-crime --gt gt-ucf.npy --order ucf.list
      vad eval runs/rgb runs/flow --fuse 0.5,0.5 --pack rgb.h5 --pack flow.h5 \\
               --manifest test.jsonl --out fused
      vad eval runs/full --figures --compare runs/no-distance --pack test.h5 --manifest test.jsonl
    """
    from vad_toolkit.errors import InputError
    from vad_toolkit.evaluation.evaluate import evaluate as evaluate_runs
    from vad_toolkit.experiments.inspection.figures import FigureRequest

    if not figures and (compare is not None or videos):
        raise InputError("--compare and --video need --figures; add it")
    with progress_reporter() as progress:
        result = evaluate_runs(
            runs,
            packs,
            manifest,
            fuse=None if fuse is None else _weights(fuse),
            plots=not no_plots,
            figures=FigureRequest(compare, videos) if figures else None,
            progress=progress,
            **options,
        )
    if as_json:
        print_json(_json(result))
    elif len(result.results) == 1:
        _print_one(result.results[0])
    else:
        _print_seeds(result)
    if not as_json:
        print_controls(result.controls)
    for sentence in result.controls.not_exceeded(result.metrics.values):
        click.echo(f"Note: {sentence}", err=True)
    for note in result.notes:
        click.echo(f"Not drawn: {note}", err=True)
    if result.trained_on_manifest:
        click.echo(
            "Warning: the checkpoint was trained on these very videos, so the metrics say nothing "
            "about new ones",
            err=True,
        )
    click.echo(f"Metrics, scores and plots: {result.out}", err=True)


def _weights(text: str) -> list[float]:
    from vad_toolkit.errors import InputError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--fuse must be numbers such as 0.5,0.5, got {text!r}") from None


def _json(result: EvaluationResult) -> dict[str, Any]:
    """Return all results, without the rows of single videos, which are in each metrics.json."""
    runs = [{"out": str(one.out), **one.to_dict()} for one in result.results]
    for values in runs:
        del values["videos"]
    return {**result.to_dict(), "out": str(result.out), "runs": runs}


def _print_one(result: CheckpointResult) -> None:
    from vad_toolkit.evaluation.metrics import CLASS_METRICS

    metrics = {name: _measured(result, name) for name in result.metrics.values}
    print_pairs({**_members(result), **_test_set(result), **metrics})
    _explain_bootstrap(result)
    if result.metrics.classes:
        click.echo()
        classes = [{"class": name, **vars(one)} for name, one in result.metrics.classes.items()]
        print_table(classes, ("class", "videos", *CLASS_METRICS))


def _test_set(result: CheckpointResult) -> dict[str, str]:
    counts, truth = result.metrics.counts, result.inputs.ground_truth
    sources = {"rule": "rule {rule}", "array": "array with sha256 {sha256}"}
    return {
        "videos": f"{counts.normal_videos} normal, {counts.abnormal_videos} abnormal",
        "frames": f"{counts.frames}, {counts.abnormal_frames} abnormal",
        "ground truth": sources.get(truth["kind"], "events over decoded frames").format(**truth),
    }


def _members(result: CheckpointResult) -> dict[str, str]:
    names = [
        f"{member.checkpoint.file} (step {member.checkpoint.step}, seed {member.checkpoint.seed})"
        for member in result.members
    ]
    if len(names) == 1:
        return {"checkpoint": names[0]}
    weighted = zip(result.members, names, strict=True)
    shares = [f"{member.weight:.4f} of {name}" for member, name in weighted]
    return {f"checkpoint {number}": share for number, share in enumerate(shares, start=1)}


def _measured(result: CheckpointResult, name: str) -> str:
    value = result.metrics.values[name]
    if value is None:
        return f"not defined: {result.metrics.undefined[name]}"
    return f"{value:.4f} {_interval(result, name, 4)}".rstrip()


def _interval(result: CheckpointResult, name: str, digits: int) -> str:
    interval = result.intervals.get(name)
    return f"[{interval.low:.{digits}f}, {interval.high:.{digits}f}]" if interval else ""


def _explain_bootstrap(result: CheckpointResult) -> None:
    made = result.metrics.bootstrap
    if made:
        click.echo(
            f"[low, high]: {made.confidence:.0%} interval over {made.resamples} resamples of the "
            "test videos",
            err=True,
        )


def _print_seeds(summary: EvaluationResult) -> None:
    rows: list[dict[str, Any]] = [
        {
            "seed": result.checkpoint.seed,
            "step": ", ".join(str(member.checkpoint.step) for member in result.members),
            **result.metrics.values,
        }
        for result in summary.results
    ]
    spread = summary.spread.items()
    for label in ("mean", "std"):
        rows.append({"seed": label, **{name: getattr(one, label) for name, one in spread}})
    print_table(rows)
    if any(result.intervals for result in summary.results):
        click.echo()
        intervals = [
            {"seed": one.checkpoint.seed}
            | {name: _interval(one, name, 3) or None for name in one.metrics.values}
            for one in summary.results
        ]
        print_table(intervals)
        _explain_bootstrap(summary.results[0])
    for name, value in _test_set(summary.results[0]).items():
        click.echo(f"{name}: {value}", err=True)
    click.echo("std: sample standard deviation (n - 1)", err=True)
