"""`vad ablate`: a table of settings, trained over seeds, tested once per run, compared in pairs."""

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
from .context_motion import LEVELS


def _data_seed(context: click.Context, option: click.Parameter, text: str | None) -> int | None:
    from vad_toolkit.errors import InputError

    try:
        return None if text in (None, "per-seed") else int(text)
    except ValueError:
        raise InputError(f"--data-seed must be per-seed or an integer, got {text!r}") from None


@click.command()
@click.option("--pack", type=EXISTING_FILE, help="Features of the training videos.")
@click.option("--manifest", metavar="DATASET-or-FILE", help="Training videos and labels.")
@click.option("--test", metavar="DATASET-or-FILE", help="Test videos and events.")
@click.option(
    "--test-pack", type=EXISTING_FILE, help="Features of the test videos.  [default: --pack]"
)
@click.option(
    "--context-motion",
    "level",
    type=click.Choice(LEVELS),
    help="Instead of a pack, draw the vectors of vad context-motion at this level.",
)
@click.option(
    "--data-seed",
    metavar="per-seed|N",
    callback=_data_seed,
    help="With --context-motion: one dataset per seed, or one for all.  [default: per-seed]",
)
@click.option(
    "--out", type=ANY_PATH, required=True, help="New folder, or one of the same data to continue."
)
@click.option(
    "--table",
    metavar="NAME-or-FILE",
    default="parts",
    show_default=True,
    help="parts, interaction, margin, k, activate, streams, methods, all, or a .toml file.",
)
@click.option(
    "--config", metavar="NAME-or-FILE", help="Base config of the rows.  [default: clav-como]"
)
@settings_option("Config key of all rows, such as steps=500; a row's own settings replace it.")
@click.option(
    "--seeds", default=10, show_default=True, type=click.IntRange(min=1), help="Seeds 0 to N-1."
)
@click.option(
    "--metric",
    type=click.Choice(("auc", "ap")),
    default="auc",
    show_default=True,
    help="Frame-level metric to compare.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Runs in parallel.  [default: one per core; 1 on a GPU]",
)
@click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="CPU threads of each run.",
)
@device_option
@json_option
def ablate(out: Path, settings: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Train every row of a table over several seeds, test each run once, compare rows in pairs.

    Reports mean and standard deviation over seeds, and differences between rows with 95 %
    intervals, as Markdown, CSV, JSON and a plot. Steps are chosen on validation videos, never on
    test videos. The same command again keeps finished runs and continues; see docs/ablation.md.

    \b
    Examples:
      vad ablate --pack train.h5 --manifest train.jsonl --test test.jsonl --out ablation
      vad ablate --context-motion far --table parts --config context-motion --out far-parts
      vad ablate --pack ucf.h5 --manifest ucf-train.jsonl --test xd-violence --test-pack xd.h5 \\
                 --table methods --seeds 5 --metric ap --out cross
    """
    from vad_toolkit.experiments.ablation.ablate import run_ablation
    from vad_toolkit.experiments.ablation.source import choose_source

    data = ("pack", "manifest", "test", "test_pack", "level", "data_seed")
    source = choose_source(out / "data", **{name: options.pop(name) for name in data})
    with progress_reporter() as progress:
        results = run_ablation(
            source, out=out, overrides=parse_settings(settings), progress=progress, **options
        )
    tables = results.tables()
    if as_json:
        print_json({**tables, "failures": results.failures, "out": str(out)})
    else:
        for number, table in enumerate(filter(None, tables.values())):
            if number:
                click.echo()
            print_table(table)
    for run, reason in results.failures.items():
        click.echo(f"Failed: {run}: {reason}", err=True)
    click.echo(f"Tables, plot and results: {out}", err=True)
    if results.failures:
        raise SystemExit(1)
