"""`vad train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import (
    ANY_PATH,
    EXISTING_FILE,
    device_option,
    json_option,
    parse_settings,
    print_json,
    print_table,
    progress_reporter,
    settings_option,
)

COLUMNS = (
    *("run", "method", "seed", "training_videos", "validation_videos", "steps", "best_step"),
    *("best_auc", "last_auc"),
)


class ConfigOption(click.Option):
    """An option whose help lists the configs, also those of plugins, when it is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from vad_toolkit.training.load_config import config_names

        self.help = f"{', '.join(config_names())}, or a .toml or .json file.  [default: clav-como]"
        return super().get_help_record(ctx)


@click.command("train")
@click.option("--pack", type=EXISTING_FILE, required=True, help="Feature pack (vad extract).")
@click.option(
    "--manifest",
    metavar="DATASET-or-FILE",
    required=True,
    help="Training videos and labels: a file, or the name of a dataset.",
)
@click.option(
    "--out", type=ANY_PATH, required=True, help="Run folder: new, or of this run, to resume it."
)
@click.option("--config", cls=ConfigOption, metavar="NAME-or-FILE")
@settings_option("A config key, as in head.activate=gate or steps=500; may be repeated.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the run.  [default: 0]")
@click.option("--seeds", type=click.IntRange(min=1), help="Train seeds 0 to N-1 into OUT/seed-N.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Seeds that are trained in parallel, each in its own process.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="CPU threads of each run, which decide the last bits of a result.  [default: all, divided "
    "by --jobs]",
)
@device_option
@json_option
def train(
    pack: Path, manifest: str, out: Path, settings: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Train a head on a pack's features and a manifest's video labels.

    The run folder gets best.safetensors (chosen on held-out training videos, never on test data),
    last.safetensors, the config and the logs. Config keys: docs/training.md.

    The same command resumes a run that was stopped, and gives the same bytes as a run that was not.
    Finished runs and seeds are kept.

    \b
    Example:
      vad train --pack train.h5 --manifest train.jsonl --out runs/first --config clav-como-small
      vad train --pack train.h5 --manifest train.jsonl --out runs/gate --seeds 4 \\
                --jobs 2 --set head.activate=gate
      vad train --pack ucf-train.h5 --manifest ucf-crime --out runs/ucf --config ucf-crime
    """
    from vad_toolkit.training.train import train as train_runs

    with progress_reporter() as progress:
        overrides = parse_settings(settings)
        result = train_runs(pack, manifest, out, overrides=overrides, progress=progress, **options)
    kept = [str(run.run) for run in result.runs if run.reused]
    if kept:
        click.echo(f"Note: already finished, and kept: {', '.join(kept)}", err=True)
    for notice in dict.fromkeys(run.notice for run in result.runs if run.notice):
        click.echo(f"Note: {notice}", err=True)
    rows = [{**vars(run), "run": str(run.run)} for run in result.runs]
    if as_json:
        print_json([{name: row[name] for name in COLUMNS} for row in rows])
    else:
        print_table(rows, COLUMNS)
