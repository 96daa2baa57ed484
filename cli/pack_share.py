"""`vad pack merge`, `split` and `card`: merging, splitting and describing packs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import ANY_PATH, EXISTING_FILE, json_option, print_json, print_pairs, progress_reporter

PACKS = click.argument("packs", metavar="PACK...", nargs=-1, required=True, type=EXISTING_FILE)


@click.command()
@PACKS
@click.option("--out", required=True, type=ANY_PATH, help="The pack to write (.h5), a new file.")
@click.option("--dataset", help="Dataset of the new pack; required if the packs state several.")
@click.option("--license", help="License of the new pack; required if the packs state several.")
@json_option
def merge(
    packs: tuple[Path, ...], out: Path, dataset: str | None, license: str | None, as_json: bool
) -> None:
    """Merge packs of one recipe into a new pack. The order of the packs has no effect.

    All digests are verified. A video in several packs is taken once if its features are the same,
    and refused if they differ.

    \b
    Examples:
      vad pack merge train.h5 test.h5 --out features.h5
      vad pack merge features-*-of-003.h5 --out features.h5
    """
    from vad_toolkit.packs.merge import merge_packs

    with progress_reporter() as progress:
        merged = merge_packs(packs, out, dataset=dataset, license=license, progress=progress)
    for id in merged.taken_once:
        click.echo(f"video {id!r}: in several packs with the same features; taken once", err=True)
    facts = {"pack": str(out), "videos": merged.videos, "taken_once": len(merged.taken_once)}
    if as_json:
        print_json(facts | {"taken_once": merged.taken_once})
    else:
        print_pairs({name.replace("_", " "): value for name, value in facts.items()})


@click.command()
@click.argument("file", metavar="PACK", type=EXISTING_FILE)
@click.option("--max-size", required=True, help="Size limit per part: 500MB, 2GB, 1.5GiB.")
@click.option("--out-dir", required=True, type=ANY_PATH, help="The folder for the parts.")
@json_option
def split(file: Path, max_size: str, out_dir: Path, as_json: bool) -> None:
    """Split PACK into parts of limited size, for hosts that do not accept larger files.

    Each part, NAME-001-of-003.h5 and so on, is a complete pack. Merging them gives the same content
    digest. All parts appear, or none.

    \b
    Example:
      vad pack split features.h5 --max-size 2GB --out-dir parts
    """
    from vad_toolkit.packs.split import split_pack

    with progress_reporter() as progress:
        parts = split_pack(file, out_dir, max_size, progress=progress)
    if as_json:
        print_json([{"pack": str(part), "bytes": part.stat().st_size} for part in parts])
    else:
        for part in parts:
            click.echo(part)


@click.command()
@PACKS
@click.option("--out", type=ANY_PATH, help="The folder for the card.  [default: the packs']")
@click.option(
    "--manifest",
    metavar="NAME-OR-FILE",
    help="The videos' dataset, for its citation, homepage and license: a name such as ucf-crime, "
    "or a manifest file.",
)
@click.option("--license", help="License of the features, if the packs do not state it.")
@click.option("--url", help="Where the packs will be published.")
@click.option("--creator", help="Who publishes them.")
@click.option("--published", metavar="YYYY-MM-DD", help="The day of publication.")
@json_option
def card(packs: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Write the files that packs need when they are shared, next to them.

    README.md is a dataset card for people and hubs, videos.csv lists the videos, croissant.json is
    metadata for machines, and `sha256sum -c SHA256SUMS` checks a download. The packs are verified
    first. Nothing is overwritten.

    \b
    Examples:
      vad pack card features.h5 --manifest ucf-crime --license CC-BY-4.0
      vad pack card parts/features-*.h5 --url https://example.org/features --creator "A. Person"
    """
    from vad_toolkit.sharing.card import write_card

    with progress_reporter() as progress:
        written = write_card(packs, progress=progress, **options)
    for note in written.notes:
        click.echo(note, err=True)
    files = [str(path) for path in written.files]
    if as_json:
        print_json({"files": files, "notes": written.notes})
    else:
        click.echo("\n".join(files))
