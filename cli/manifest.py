"""`vad manifest`: make, describe and check manifests."""

from __future__ import annotations

from pathlib import Path

import click

from .common import EXISTING_FILE, EXISTING_FOLDER, json_option, print_json, print_pairs
from .manifest_build import build


@click.group()
def manifest() -> None:
    """Make, describe and check manifests: which videos there are, with labels and events."""


manifest.add_command(build)


@manifest.command()
@click.argument("file", type=EXISTING_FILE)
@json_option
def info(file: Path, as_json: bool) -> None:
    """Count a manifest's videos by label and class, its sources, frames and events.

    \b
    Example:
      vad manifest info manifests/cctv/test.jsonl
    """
    import dataclasses

    from vad_toolkit.datasets.manifest import read_manifest
    from vad_toolkit.datasets.summary import summarise

    values = dataclasses.asdict(summarise(read_manifest(file)))
    if as_json:
        print_json(values)
        return
    classes = values.pop("classes")
    pairs = {name.replace("_", " "): value for name, value in values.items()}
    print_pairs(pairs | {f"class {name}": count for name, count in classes.items()})


@manifest.command()
@click.argument("file", type=EXISTING_FILE)
@click.option(
    "--root", type=EXISTING_FOLDER, help="Check that each video is a file in this folder."
)
@click.option(
    "--pack",
    type=EXISTING_FILE,
    help="Check that the videos fit this pack.",
)
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["train", "test"]),
    help="A test needs the events of its abnormal videos.  [default: train for a file train.jsonl, "
    "else test]",
)
@json_option
def check(
    file: Path, root: Path | None, pack: Path | None, purpose: str | None, as_json: bool
) -> None:
    """Check a manifest: its lines, and whether its videos are there and fit a pack.

    Each video that does not fit is named on a line; the exit code is 1 when there is any.

    \b
    Example:
      vad manifest check manifests/cctv/test.jsonl --root cctv_fights --pack cctv.h5
    """
    from vad_toolkit.datasets.fit import missing_files
    from vad_toolkit.datasets.manifest import read_manifest

    loaded = read_manifest(file)
    problems: list[str] = []
    if root is not None:
        problems += missing_files(loaded, root)
    if pack is not None:
        from vad_toolkit.features.pack import FeaturePack
        from vad_toolkit.fitting import pack_problems

        is_test = (purpose or file.stem) != "train"
        with FeaturePack.open(pack) as opened:
            problems += pack_problems(loaded, opened, needs_events=is_test)
    if as_json:
        print_json({"videos": len(loaded), "sha256": loaded.sha256, "problems": problems})
    else:
        for problem in problems:
            click.echo(problem)
        click.echo(f"{len(loaded)} videos, {len(problems)} problems", err=True)
    if problems:
        raise SystemExit(1)
