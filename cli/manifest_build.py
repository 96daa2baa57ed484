"""`vad manifest build`: train and test manifests out of raw videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .common import EXISTING_FILE, progress_reporter
from .manifest_binding import binding_commands
from .manifest_options import count_option, out_option, root_option, write_built

Function = TypeVar("Function", bound=Callable[..., Any])

name_option = click.option("--name", help="Name of the dataset.")


def split_options(function: Function) -> Function:
    """`--test-fraction` and `--seed`."""
    function = click.option(
        "--seed", default=0, show_default=True, help="Of the split; the same seed splits the same."
    )(function)
    return click.option(
        "--test-fraction",
        default=0.3,
        show_default=True,
        help="Of each label, for test; 0 makes only a train manifest.",
    )(function)


@click.group()
def build() -> None:
    """Write train.jsonl, test.jsonl and dataset.toml for a dataset.

    Benchmarks come with the toolkit and are bound to raw videos here; any other dataset is a
    folder with a sub-folder a class, a CSV file, or manifests that somebody shared.
    """


for command in binding_commands():
    build.add_command(command)


@build.command()
@root_option
@out_option
@click.option(
    "--normal",
    multiple=True,
    metavar="CLASS",
    help="A class that is normal; may be given again. By default found by name, such as "
    "normal or NonFight.",
)
@split_options
@click.option(
    "--source-pattern",
    metavar="REGEX",
    help="Its first group, searched in the id, names the source video; videos of one source "
    "stay on one side.",
)
@click.option(
    "--trimmed", is_flag=True, help="Abnormal videos are abnormal from first to last frame."
)
@click.option(
    "--events",
    type=EXISTING_FILE,
    help="CSV file with columns id,start,end: abnormal frames [start, end).",
)
@count_option
@name_option
def folder(
    root: Path,
    out: Path,
    normal: tuple[str, ...],
    test_fraction: float,
    seed: int,
    source_pattern: str | None,
    trimmed: bool,
    events: Path | None,
    count: bool,
    name: str | None,
) -> None:
    """A folder with one sub-folder a class, or with train and test folders that have those.

    \b
    Examples:
      vad manifest build folder --root videos --out manifests/mine --trimmed
      vad manifest build folder --root RWF-2000 --out manifests/rwf --trimmed \\
          --source-pattern '/([^/]+)_[0-9]+$'
    """
    from vad_toolkit.datasets.building.build import refuse_existing
    from vad_toolkit.datasets.building.folder import build_folder_manifest

    refuse_existing(out)
    with progress_reporter() as progress:
        built = build_folder_manifest(
            root,
            normal=normal,
            test_fraction=test_fraction,
            seed=seed,
            source_pattern=source_pattern,
            trimmed=trimmed,
            events=events,
            count=count,
            name=name,
            progress=progress,
        )
    write_built(built, out)


@build.command("csv")
@click.argument("file", type=EXISTING_FILE)
@root_option
@out_option
@split_options
@count_option
@name_option
def csv_file(
    file: Path,
    root: Path,
    out: Path,
    test_fraction: float,
    seed: int,
    count: bool,
    name: str | None,
) -> None:
    """A CSV file with a row a video: path,label and, if wanted, id,split,classes,events,source.

    label is 0 or 1, split is train or test, classes have ; between them, and events look like
    10-40;80-95, in frames [start, stop).

    \b
    Example:
      vad manifest build csv videos.csv --root videos --out manifests/mine
    """
    from vad_toolkit.datasets.building.build import refuse_existing
    from vad_toolkit.datasets.building.csv_file import build_csv_manifest

    refuse_existing(out)
    with progress_reporter() as progress:
        built = build_csv_manifest(
            file,
            root,
            test_fraction=test_fraction,
            seed=seed,
            count=count,
            name=name,
            progress=progress,
        )
    write_built(built, out)
