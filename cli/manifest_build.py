"""`vad manifest build`: train and test manifests out of raw videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .common import ANY_PATH, EXISTING_FILE, EXISTING_FOLDER, print_table, progress_reporter

if TYPE_CHECKING:
    from vad_toolkit.datasets.build import BuiltDataset

Function = TypeVar("Function", bound=Callable[..., Any])

root_option = click.option(
    "--root", required=True, type=EXISTING_FOLDER, help="The folder of raw videos."
)
out_option = click.option(
    "--out", required=True, type=ANY_PATH, help="The folder to write the manifests into."
)
count_option = click.option(
    "--count", is_flag=True, help="Decode every video and count its frames: slow and exact."
)
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
    """Write train.jsonl, test.jsonl and dataset.toml for a dataset."""


@build.command("cctv-fights")
@root_option
@out_option
@count_option
@click.option(
    "--allow-missing",
    is_flag=True,
    help="Leave out clips that are missing, unreadable or of another length.",
)
def cctv_fights(root: Path, out: Path, count: bool, allow_missing: bool) -> None:
    """The Surveillance Camera Fight Dataset, with the split that comes with this toolkit.

    ROOT holds the folders fight and noFight. Each clip is looked for and its length compared.

    \b
    Example:
      vad manifest build cctv-fights --root cctv_fights --out manifests/cctv
    """
    from vad_toolkit.datasets.build import refuse_existing
    from vad_toolkit.datasets.cctv_fights import bind_cctv_fights

    refuse_existing(out)
    with progress_reporter() as progress:
        binding = bind_cctv_fights(root, count=count, progress=progress)
    for line in binding.lines():
        click.echo(line, err=True)
    _write(binding.build(allow_missing), out)


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
    from vad_toolkit.datasets.build import refuse_existing
    from vad_toolkit.datasets.folder import build_folder_manifest

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
    _write(built, out)


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
    from vad_toolkit.datasets.build import refuse_existing
    from vad_toolkit.datasets.csv_file import build_csv_manifest

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
    _write(built, out)


def _write(built: BuiltDataset, out: Path) -> None:
    """Write a dataset and say what it holds; exit with 1 where videos were left out."""
    from vad_toolkit.datasets.build import write_dataset
    from vad_toolkit.datasets.manifest import read_manifest
    from vad_toolkit.datasets.summary import summarise

    for line in (*built.notes, *(f"left out: {failure}" for failure in built.failures)):
        click.echo(line, err=True)
    rows: list[dict[str, Any]] = []
    for path in write_dataset(built, out)[1:]:  # the first is dataset.toml
        summary = summarise(read_manifest(path))
        rows.append(
            {
                "manifest": path,
                "videos": summary.videos,
                "normal": summary.normal,
                "abnormal": summary.abnormal,
                "sources": summary.sources,
                "events": summary.events,
            }
        )
    print_table(rows)
    if built.failures:
        raise SystemExit(1)
