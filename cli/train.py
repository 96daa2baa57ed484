"""`vad train`."""

from __future__ import annotations

from pathlib import Path

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


@click.command("train")
@click.option("--pack", type=EXISTING_FILE, required=True, help="Feature pack (vad extract).")
@click.option(
    "--manifest",
    metavar="DATASET-or-FILE",
    required=True,
    help="Training videos and labels: a file, or a shipped dataset.",
)
@click.option(
    "--out", type=ANY_PATH, required=True, help="Run folder: new, or of this very run, to go on."
)
@click.option(
    "--config",
    metavar="NAME-or-FILE",
    help="clav-como (the default), clav-como-small, ucf-crime, shanghaitech, xd-violence, "
    "avenue-weak, context-motion, sultani, rtfm, ur-dmu, mgfn, or a .toml or .json file.",
)
@settings_option("A config key, as in head.activate=gate or steps=500; may be repeated.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the run.  [default: 0]")
@click.option("--seeds", type=click.IntRange(min=1), help="Train seeds 0 to N-1 into OUT/seed-N.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Seeds trained side by side, each in a process of its own.  [default: 1]",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="CPU threads of each run; they decide a result's last bits.  [default: all, divided by "
    "--jobs]",
)
@device_option
@json_option
def train(
    pack: Path,
    manifest: str,
    out: Path,
    config: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    seeds: int | None,
    jobs: int | None,
    threads: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Train a head on a pack's features and a manifest's video labels.

    The run folder gets best.safetensors (chosen on videos held out from training, never on test
    data), last.safetensors, the config and the logs. Config keys: docs/training.md.

    After a kill, the same command goes on where the run stopped, and gives the same bytes as one
    that was not killed. Finished runs and seeds are kept.

    \b
    Example:
      vad train --pack train.h5 --manifest train.jsonl --out runs/first --config clav-como-small
      vad train --pack train.h5 --manifest train.jsonl --out runs/gate --seeds 4 \\
                --jobs 2 --set head.activate=gate
      vad train --pack ucf-train.h5 --manifest ucf-crime --out runs/ucf --config ucf-crime
    """
    from vad_toolkit.datasets.registry import manifest_file
    from vad_toolkit.errors import InputError
    from vad_toolkit.training.load_config import load_config
    from vad_toolkit.training.train import train as train_one
    from vad_toolkit.training.train import train_seeds

    if seed is not None and seeds is not None:
        raise InputError("--seed names one run, --seeds N many: give one of them")
    if jobs is not None and seeds is None:
        raise InputError("--jobs is for several seeds: give --seeds N too")
    resolved = load_config(config, parse_settings(settings))
    listed = manifest_file(manifest, "train")
    with progress_reporter() as progress:
        if seeds is None:
            one = train_one(
                pack, listed, out, resolved, seed or 0, device, progress, threads=threads
            )
            results = [one]
        else:
            results = train_seeds(
                pack,
                listed,
                out,
                resolved,
                range(seeds),
                device,
                progress,
                jobs=jobs or 1,
                threads=threads,
            )
    kept = [str(result.run) for result in results if result.reused]
    if kept:
        click.echo(f"Note: finished before, and kept as they are: {', '.join(kept)}", err=True)
    for notice in dict.fromkeys(result.notice for result in results if result.notice):
        click.echo(f"Note: {notice}", err=True)
    rows = [
        {
            "run": str(result.run),
            "method": result.method,
            "seed": result.seed,
            "training_videos": result.training_videos,
            "validation_videos": result.validation_videos,
            "steps": result.steps,
            "best_step": result.best_step,
            "best_auc": result.best_auc,
            "last_auc": result.last_auc,
        }
        for result in results
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows)
