"""`vad pack merge`, `split` and `card`: packs put together, cut for upload, and described."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from .common import ANY_PATH, EXISTING_FILE, json_option, print_json, print_pairs, progress_reporter

PACKS = click.argument("packs", metavar="PACK...", nargs=-1, required=True, type=EXISTING_FILE)


@click.command()
@PACKS
@click.option("--out", required=True, type=ANY_PATH, help="The pack to write (.h5); a new file.")
@click.option("--dataset", help="Of the new pack; needed where the packs state several.")
@click.option("--license", "licence", help="Of the new pack; needed where the packs state several.")
@json_option
def merge(
    packs: tuple[Path, ...], out: Path, dataset: str | None, licence: str | None, as_json: bool
) -> None:
    """Merge packs of one recipe into a new one. Their order changes nothing.

    Every digest is compared on the way. A video that stands in several packs is taken once where
    its features are the same, and refused where they are not.

    \b
    Examples:
      vad pack merge train.h5 test.h5 --out features.h5
      vad pack merge features-*-of-003.h5 --out features.h5
    """
    from vad_toolkit.packs.merge import merge_packs

    with progress_reporter() as progress:
        merged = merge_packs(packs, out, dataset=dataset, license=licence, progress=progress)
    for id in merged.taken_once:
        click.echo(f"video {id!r}: in several packs, the same; taken once", err=True)
    facts = {"pack": str(out), "videos": merged.videos, "taken_once": len(merged.taken_once)}
    if as_json:
        print_json(facts | {"taken_once": merged.taken_once})
    else:
        print_pairs({name.replace("_", " "): value for name, value in facts.items()})


@click.command()
@click.argument("file", metavar="PACK", type=EXISTING_FILE)
@click.option("--max-size", required=True, help="Of a part's file: 500MB, 2GB, 1.5GiB.")
@click.option("--out-dir", required=True, type=ANY_PATH, help="The folder for the parts.")
@json_option
def split(file: Path, max_size: str, out_dir: Path, as_json: bool) -> None:
    """Cut PACK into parts of limited size, for hosts that take no larger files.

    Each part, NAME-001-of-003.h5 and so on, is a whole pack; merging them gives the same content
    digest. All parts appear, or none does.

    \b
    Example:
      vad pack split features.h5 --max-size 2GB --out-dir parts
    """
    from vad_toolkit.packs.split import parse_size, split_pack

    limit = parse_size(max_size)
    with progress_reporter() as progress:
        parts = split_pack(file, out_dir, limit, progress=progress)
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
    help="The videos' dataset, for its citation, homepage and licence: a shipped one by name, such "
    "as ucf-crime, or a manifest file.",
)
@click.option("--license", "licence", help="Of the features, where the packs do not state it.")
@click.option("--url", help="Where the packs will be published.")
@click.option("--creator", help="Who publishes them.")
@click.option(
    "--published",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="The day of publication.",
)
@json_option
def card(
    packs: tuple[Path, ...],
    out: Path | None,
    manifest: str | None,
    licence: str | None,
    url: str | None,
    creator: str | None,
    published: datetime | None,
    as_json: bool,
) -> None:
    """Write what packs need when they are shared, beside them.

    README.md is a dataset card for people and hubs, videos.csv lists the videos, croissant.json is
    metadata for machines, and `sha256sum -c SHA256SUMS` checks a download. All digests of the packs
    are compared first. Nothing is overwritten.

    \b
    Examples:
      vad pack card features.h5 --manifest ucf-crime --license CC-BY-4.0
      vad pack card parts/features-*.h5 --url https://example.org/features --creator "A. Person"
    """
    from vad_toolkit.sharing.card import check_folder, write_card
    from vad_toolkit.sharing.facts import Publication, read_facts

    home = packs[0].resolve().parent
    folder = packs[0].parent if out is None else out
    check_folder(folder)
    date = None if published is None else published.date().isoformat()
    with progress_reporter() as progress:
        facts = read_facts(
            packs,
            manifest=manifest,
            license=licence,
            publication=Publication(url, creator, date),
            progress=progress,
        )
    paths = write_card(facts, folder)
    for note in facts.notes():
        click.echo(note, err=True)
    if folder.resolve() != home:
        click.echo(f"put the card and the packs in {home} into one folder to share them", err=True)
    if as_json:
        print_json({"files": [str(path) for path in paths], "notes": facts.notes()})
    else:
        for path in paths:
            click.echo(path)
