"""`vad demo`."""

from __future__ import annotations

from pathlib import Path

import click

from .common import (
    ANY_PATH,
    device_option,
    json_option,
    print_json,
    print_table,
    progress_reporter,
)

SHOWN = ("auc", "ap", "auc_abnormal", "ap_abnormal", "far_normal", "video_auc")


@click.command()
@click.option(
    "--out", type=ANY_PATH, default="demo", show_default=True, help="Folder of all results."
)
@click.option(
    "--seeds", default=3, show_default=True, type=click.IntRange(1, 100), help="Trainings."
)
@device_option
@json_option
def demo(out: Path, seeds: int, device: str, as_json: bool) -> None:
    """Render a small labelled dataset and run every stage on it, from pixels to frame-level AUC.

    Walking is normal in the street and abnormal on the sports field, running the other way round.
    Training sees a label a video; the metrics are of frames of test videos that it never saw. On
    two CPU cores it takes a few minutes; a second run uses again what is there.

    \b
    Example:
      vad demo --out demo
    """
    from vad_toolkit.experiments.demo.demo import run_demo

    with progress_reporter() as progress:
        result = run_demo(
            out,
            seeds=range(seeds),
            device=device,
            progress=progress,
            say=lambda line: click.echo(line, err=True),
        )
    rows = [{"seed": str(one.seed), **one.metrics} for one in result.seeds]
    rows += [{"seed": "mean", **result.mean}, {"seed": "std", **result.std}]
    if as_json:
        print_json({"rows": rows, "plots": str(result.plots), "seconds": round(result.seconds, 1)})
        return
    print_table(rows, ("seed", *(name for name in SHOWN if name in rows[0])))
    auc, count = result.mean["auc"], len(result.seeds)
    click.echo(f"frame-level AUC {auc:.4f}, mean of {count} seeds, on test videos")
    click.echo(f"plots: {result.plots}")
    click.echo(f"videos scored by `vad predict`: {result.prediction}")
