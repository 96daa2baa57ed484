"""`vad manifest`: make, describe and check manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import (
    EXISTING_FILE,
    EXISTING_FOLDER,
    json_option,
    print_json,
    print_pairs,
    print_table,
)
from .manifest_build import build


@click.group()
def manifest() -> None:
    """Make, describe and check manifests: which videos there are, with labels and events."""


manifest.add_command(build)


@manifest.command()
@click.argument("name_or_file", metavar="DATASET|FILE")
@json_option
def info(name_or_file: str, as_json: bool) -> None:
    """Count the videos, classes, sources, frames and events of a shipped dataset or of a FILE.

    A DATASET is given by its name, such as ucf-crime, and printed with its terms, its traps, each
    of its sides and the arrays of frame labels that published code evaluates with.

    \b
    Examples:
      vad manifest info ucf-crime
      vad manifest info manifests/cctv/test.jsonl --json
    """
    import dataclasses

    from vad_toolkit.datasets.registry import find_manifest, shipped_dataset, shipped_names
    from vad_toolkit.datasets.summary import summarise

    if name_or_file in shipped_names():
        dataset = shipped_dataset(name_or_file)
        sides = {side: summarise(manifest) for side, manifest in dataset.sides.items()}
        _print_dataset(
            dataset.info.model_dump(mode="json"),
            {side: dataclasses.asdict(summary) for side, summary in sides.items()},
            as_json,
        )
        return
    values = dataclasses.asdict(summarise(find_manifest(name_or_file)))
    if as_json:
        print_json(values)
        return
    classes = values.pop("classes")
    print_pairs(
        {name.replace("_", " "): value for name, value in values.items()}
        | {f"class {name}": count for name, count in classes.items()}
    )


def _print_dataset(info: dict[str, Any], sides: dict[str, dict[str, Any]], as_json: bool) -> None:
    """What is known of a dataset, then its counts with a column a side, then published arrays."""
    if as_json:
        print_json(info | {"sides": sides})
        return
    arrays, traps = info.pop("arrays"), info.pop("traps")
    info["rules"] = "; ".join(  # what this dataset changes in ground-truth rules
        f"{rule}: " + ", ".join(f"{field} {value}" for field, value in fields.items())
        for rule, fields in info["rules"].items()
    )
    info |= {f"sha256 of {side}": values.pop("sha256") for side, values in sides.items()}
    print_pairs({name.replace("_", " "): value or None for name, value in info.items()})
    for trap in traps:
        click.echo(f"trap: {trap}")
    click.echo()
    classes = {side: values.pop("classes") for side, values in sides.items()}
    rows: list[dict[str, Any]] = []
    for name in next(iter(sides.values())):
        if name != "dataset":
            counts = {side: values[name] for side, values in sides.items()}
            rows.append({"": name.replace("_", " ")} | counts)
    for name in sorted(set().union(*classes.values())):
        counts = {side: videos.get(name, 0) for side, videos in classes.items()}
        rows.append({"": f"class {name}"} | counts)
    print_table(rows)
    if arrays:
        click.echo()
        print_table([{"array": name} | values for name, values in arrays.items()])


@manifest.command()
@click.argument("file", type=EXISTING_FILE)
@click.option("--root", type=EXISTING_FOLDER, help="Check that each video is in this folder.")
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
    from vad_toolkit.datasets.manifest import places, read_manifest
    from vad_toolkit.datasets.video_files import missing_files

    loaded = read_manifest(file)
    problems: list[str] = []
    if root is not None:
        missing = missing_files(loaded, root)
        where = places(file, missing)
        problems += [f"{where[id]}: video {id!r}: {reason}" for id, reason in missing.items()]
    if pack is not None:
        from vad_toolkit.fit import pack_problems
        from vad_toolkit.packs.pack import FeaturePack

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
