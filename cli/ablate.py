"""`vad ablate`: a table of settings, trained over seeds, tested once a run, compared in pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

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

if TYPE_CHECKING:
    from vad_toolkit.experiments.ablation.source import Source


@click.command()
@click.option("--pack", type=EXISTING_FILE, help="Features of the training videos.")
@click.option("--manifest", metavar="DATASET-or-FILE", help="Training videos and labels.")
@click.option("--test", metavar="DATASET-or-FILE", help="Test videos and events.")
@click.option("--test-pack", type=EXISTING_FILE, help="Their features.  [default: --pack]")
@click.option(
    "--context-motion",
    "level",
    type=click.Choice(LEVELS),
    help="Draw the benchmark of vad context-motion vectors instead, at this level.",
)
@click.option(
    "--data-seed",
    metavar="per-seed|N",
    help="Of --context-motion: a dataset for each seed, or one for all.  [default: per-seed]",
)
@click.option("--out", type=ANY_PATH, required=True, help="Folder; may hold a part of the same.")
@click.option(
    "--table",
    "table_name",
    metavar="NAME-or-FILE",
    default="parts",
    show_default=True,
    help="parts, interaction, margin, k, activate, streams, methods, all, or a .toml file.",
)
@click.option(
    "--config", metavar="NAME-or-FILE", help="What rows begin with.  [default: clav-como]"
)
@settings_option("A config key for all rows, as in steps=500; a row's own settings come first.")
@click.option(
    "--seeds", default=10, show_default=True, type=click.IntRange(min=1), help="Seeds 0 to N-1."
)
@click.option(
    "--metric",
    type=click.Choice(("auc", "ap")),
    default="auc",
    show_default=True,
    help="Which frame-level metric is compared.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Runs side by side.  [default: one a core, on a GPU one]",
)
@click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(min=1), help="Of each run."
)
@device_option
@json_option
def ablate(
    pack: Path | None,
    manifest: str | None,
    test: str | None,
    test_pack: Path | None,
    level: str | None,
    data_seed: str | None,
    out: Path,
    table_name: str,
    config: str | None,
    settings: tuple[str, ...],
    seeds: int,
    metric: Literal["auc", "ap"],
    jobs: int | None,
    threads: int,
    device: str,
    as_json: bool,
) -> None:
    """Train every row of a table over several seeds, test each run once, compare rows in pairs.

    Gives mean and standard deviation over seeds, and differences between rows with 95 % intervals,
    as Markdown, CSV, JSON and plot. Steps are chosen on validation videos, never on test videos.
    The same command again keeps what is finished and goes on with the rest; see docs/ablation.md.

    \b
    Examples:
      vad ablate --pack train.h5 --manifest train.jsonl --test test.jsonl --out ablation
      vad ablate --context-motion far --table parts --config context-motion --out far-parts
      vad ablate --pack ucf.h5 --manifest ucf-train.jsonl --test xd-violence --test-pack xd.h5 \\
                 --table methods --seeds 5 --metric ap --out cross
    """
    from vad_toolkit.experiments.ablation.ablate import plan_ablation, run_ablation
    from vad_toolkit.experiments.ablation.tables import load_table

    source = _source(pack, manifest, test, test_pack, level, data_seed, out)
    plan = plan_ablation(
        source,
        load_table(table_name),
        base=config,
        overrides=parse_settings(settings),
        seeds=range(seeds),
        metric=metric,
        device=device,
        threads=threads,
    )
    with progress_reporter() as progress:
        results = run_ablation(plan, out, jobs=jobs, progress=progress)
    if as_json:
        print_json(
            {
                "rows": results.table(),
                "differences": results.comparison_table(),
                "effects": results.effect_table(),
                "failures": results.failures,
                "out": str(out),
            }
        )
    else:
        print_table(results.table())
        click.echo()
        print_table(results.comparison_table())
        if results.effects:
            click.echo()
            print_table(results.effect_table())
    for run, reason in results.failures.items():
        click.echo(f"Failed: {run}: {reason}", err=True)
    click.echo(f"Tables, plot and results: {out}", err=True)
    if results.failures:
        raise SystemExit(1)


def _source(
    pack: Path | None,
    manifest: str | None,
    test: str | None,
    test_pack: Path | None,
    level: str | None,
    data_seed: str | None,
    out: Path,
) -> Source:
    from vad_toolkit.datasets.registry import manifest_file
    from vad_toolkit.errors import InputError
    from vad_toolkit.experiments.ablation.source import ContextMotionSource, Data, PackSource
    from vad_toolkit.experiments.context_motion.courses import Level

    given = {"--pack": pack, "--manifest": manifest, "--test": test, "--test-pack": test_pack}
    if level is not None:
        named = [name for name, value in given.items() if value is not None]
        if named:
            raise InputError(f"{named[0]} and --context-motion: give data, or have them drawn")
        return ContextMotionSource(Level(level), out / "data", _data_seed(data_seed))
    if data_seed is not None:
        raise InputError("--data-seed goes with --context-motion: a pack's data are what they are")
    if pack is None or manifest is None or test is None:
        missing = next(name for name, value in given.items() if value is None)
        raise InputError(
            f"{missing} is missing: give --pack, --manifest and --test, or --context-motion LEVEL"
        )
    return PackSource(Data(pack, manifest_file(manifest, "train"), test, test_pack or pack))


def _data_seed(text: str | None) -> int | None:
    from vad_toolkit.errors import InputError

    if text in (None, "per-seed"):
        return None
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--data-seed {text!r}: has to be per-seed or a number") from None
