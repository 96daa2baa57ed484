"""`vad demo`: every stage on a small rendered dataset."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from .common import ANY_PATH, device_option, json_option, print_json, print_table, progress_reporter

SHOWN = ("auc", "ap", "auc_abnormal", "ap_abnormal", "far_normal", "video_auc")


@click.command()
@click.option(
    "--out", type=ANY_PATH, default="demo", show_default=True, help="Folder of all results."
)
@click.option(
    "--seeds",
    default=3,
    show_default=True,
    type=click.IntRange(1, 100),
    help="Number of training runs.",
)
@device_option
@json_option
def demo(out: Path, seeds: int, device: str, as_json: bool) -> None:
    """Render a small labeled dataset and run every stage on it, from pixels to frame-level AUC.

    Walking is normal in the street and abnormal on the sports field; for running it is the reverse.
    Training uses one label per video; metrics are over the frames of test videos that it never saw.
    Takes a few minutes on two CPU cores; a second run reuses finished stages.

    \b
    Example:
      vad demo --out demo
    """
    from vad_toolkit.experiments.demo.demo import run_demo

    say = partial(click.echo, err=True)
    with progress_reporter() as progress:
        result = run_demo(out, seeds=range(seeds), device=device, progress=progress, say=say)
    rows = [{"seed": str(seed), **metrics} for seed, metrics in result.seeds.items()]
    rows += [{"seed": "mean", **result.mean}, {"seed": "std", **result.std}]
    if as_json:
        print_json({"rows": rows, "plots": str(result.plots), "seconds": round(result.seconds, 1)})
        return
    print_table(rows, ("seed", *(name for name in SHOWN if name in rows[0])))
    auc, count = result.mean["auc"], len(result.seeds)
    click.echo(f"frame-level AUC {auc:.4f}, mean of {count} seeds, on test videos")
    click.echo(f"plots: {result.plots}")
    click.echo(f"videos scored by `vad predict`: {result.prediction}")
