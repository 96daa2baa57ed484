"""`vad manifest build`: train and test manifests for raw videos."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click

from .common import ANY_PATH, EXISTING_FILE, EXISTING_FOLDER, print_table, progress_reporter

Function = TypeVar("Function", bound=Callable[..., Any])

MATCHING = """Videos may be in other folders than published, have another suffix, or be folders of
numbered images. Videos that are missing, renamed, ambiguous, damaged or of another length, and
files that are not listed, are reported one per line."""


BUILD = (
    click.option("--root", required=True, type=EXISTING_FOLDER, help="Folder of raw videos."),
    click.option("--out", required=True, type=ANY_PATH, help="Folder to write the manifests into."),
    click.option(
        "--count", is_flag=True, help="Decode every video and count its frames: slow and exact."
    ),
)
SPLIT = (
    click.option(
        "--test-fraction",
        default=0.3,
        show_default=True,
        help="Fraction of each label's videos for test; with 0 only train.jsonl is written.",
    ),
    click.option(
        "--seed",
        default=0,
        show_default=True,
        help="Seed of the split; the same seed gives the same split.",
    ),
    click.option("--name", help="Name of the dataset."),
)
BINDING = (
    click.option(
        "--allow-missing",
        is_flag=True,
        help="Leave out videos that cannot be used, and note the consequences for results.",
    ),
    click.option(
        "--masks",
        type=EXISTING_FOLDER,
        help="Take events from the masks in this folder: VIDEO.npy, NUMBER_label.mat or folders "
        "VIDEO_annotations.",
    ),
)


def add_options(*options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Return a decorator that adds these options, in this order."""
    return lambda function: reduce(lambda done, option: option(done), reversed(options), function)


class BuildGroup(click.Group):
    """The commands below, and one command per dataset, built in or registered by a plugin."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of all commands."""
        from vad_toolkit.datasets.registry import DATASETS

        return [*sorted(DATASETS), *super().list_commands(context)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return a command, made from its `dataset.toml` if it is a dataset's."""
        from vad_toolkit.datasets.dataset_info import INFO_FILE, read_dataset_info
        from vad_toolkit.datasets.registry import DATASETS

        command = super().get_command(context, name)
        if command is not None or name not in DATASETS:
            return command
        info = read_dataset_info(DATASETS[name] / INFO_FILE)

        @add_options(*BUILD, *BINDING)
        def run(**options: Any) -> None:
            write_manifests(name, **options)

        example = f"vad manifest build {name} --root videos --out manifests/{name}"
        command = click.command(
            name,
            short_help=info.title,
            help=f"{info.title}.\n\n{MATCHING} `vad manifest info {name}` prints its license and "
            f"known traps.\n\n\b\nExample:\n  {example}",
        )(run)
        command.params += self.params  # options that all commands take
        return command


@click.group(cls=BuildGroup)
def build() -> None:
    """Write train.jsonl, test.jsonl and dataset.toml for a dataset.

    Benchmark datasets have a command each, which finds their videos in a folder. Any other dataset
    is a folder with one sub-folder per class, a CSV file, or manifests that somebody shared.
    """


@build.command()
@add_options(*BUILD)
@click.option(
    "--normal",
    multiple=True,
    metavar="CLASS",
    help="A normal class; may be repeated.  [default: found by name, such as normal or NonFight]",
)
@add_options(*SPLIT)
@click.option(
    "--source-pattern",
    metavar="REGEX",
    help="Regular expression, searched in the id, whose first group names the source video. Videos "
    "of one source stay on one side of the split.",
)
@click.option("--trimmed", is_flag=True, help="All frames of abnormal videos are abnormal.")
@click.option(
    "--events",
    type=EXISTING_FILE,
    help="CSV file with columns id,start,end: abnormal frames [start, end).",
)
def folder(**options: Any) -> None:
    """Use a folder with one sub-folder per class, or train and test folders that hold these.

    \b
    Examples:
      vad manifest build folder --root videos --out manifests/mine --trimmed
      vad manifest build folder --root RWF-2000 --out manifests/rwf --trimmed \\
          --source-pattern '/([^/]+)_[0-9]+$'
    """
    write_manifests("folder", **options)


@build.command("csv")
@click.argument("file", type=EXISTING_FILE)
@add_options(*BUILD, *SPLIT)
def csv_file(file: Path, **options: Any) -> None:
    """Use a CSV file with one video per row: path,label[,id,split,classes,events,source].

    label is 0 or 1, split is train or test, classes are separated by ; and events look like
    10-40;80-95, in frames [start, stop).

    \b
    Example:
      vad manifest build csv videos.csv --root videos --out manifests/mine
    """
    write_manifests(file, **options)


@build.command()
@click.argument("folder", type=EXISTING_FOLDER)
@add_options(*BUILD, *BINDING)
def shared(folder: Path, **options: Any) -> None:
    """Use manifests that somebody shared: dataset.toml, train.jsonl and test.jsonl in FOLDER.

    Their videos are found in ROOT like those of a benchmark dataset: they may be in other folders,
    have another suffix, or be folders of numbered images.

    \b
    Example:
      vad manifest build shared theirs --root videos --out manifests/theirs
    """
    write_manifests(folder, **options)


def write_manifests(dataset: str | Path, root: Path, out: Path, **options: Any) -> None:
    """Build, print the counts of each side, and exit with 1 if videos were left out."""
    from vad_toolkit.datasets.building.builder import build_manifest
    from vad_toolkit.datasets.manifest import read_manifest
    from vad_toolkit.datasets.summary import summarize

    with progress_reporter() as progress:
        built = build_manifest(
            dataset,
            root,
            out,
            report=lambda line: click.echo(line, err=True),
            progress=progress,
            **options,
        )
    columns = ("videos", "normal", "abnormal", "sources", "events")
    rows: list[dict[str, Any]] = []
    for path in built.manifests.values():
        summary = summarize(read_manifest(path))
        rows.append({"manifest": path} | {name: getattr(summary, name) for name in columns})
    print_table(rows)
    if built.failures:
        raise SystemExit(1)
