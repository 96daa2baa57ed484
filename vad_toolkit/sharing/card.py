"""Dataset card of feature packs: README.md, videos.csv, croissant.json and SHA256SUMS."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.files import AnyPath, check_new_file, sha256_text, write_text
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.manifest import Manifest
from vad_toolkit.errors import InputError
from vad_toolkit.sharing.croissant import VIDEO_TABLE, croissant
from vad_toolkit.sharing.facts import SharedFile, read_facts
from vad_toolkit.sharing.readme import render_readme

README = "README.md"
CROISSANT = "croissant.json"
CHECKSUMS = "SHA256SUMS"
NAMES = (README, VIDEO_TABLE, CROISSANT, CHECKSUMS)


@dataclass(frozen=True)
class Card:
    """A written dataset card: its four files, and notes for the user, such as missing facts."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def write_card(
    packs: AnyPath | Sequence[AnyPath],
    out: AnyPath | None = None,
    *,
    manifest: AnyPath | Manifest | None = None,
    license: str | None = None,
    url: str | None = None,
    creator: str | None = None,
    published: str | None = None,
    progress: ProgressCallback = silent,
) -> Card:
    """Write the files that packs need when they are shared.

    README.md is a dataset card for people and hubs, videos.csv lists the videos, croissant.json is
    metadata for machines, and SHA256SUMS, the last, covers the packs and the other three. Packs are
    verified first. They are named without folders: put them into one folder with the card.

    Args:
        packs: One or several packs of one recipe, in one folder; no video in two of them.
        out: The folder for the card. If None, that of the packs. Nothing is overwritten.
        manifest: The videos' dataset, for its citation, homepage and license: a dataset's name, a
            manifest file or a manifest.
        license: The license of the features. If None, the one that the packs state.
        url: Where the packs will be published.
        creator: Who publishes them.
        published: The day of publication, YYYY-MM-DD.
        progress: Called for each pack.

    Raises:
        InputError: If a file exists or cannot be written, or packs do not belong together.
        PackCorrupt: If a pack is damaged.

    Example:
        >>> import vad_toolkit as vad
        >>> card = vad.write_card("features.h5", "card", license="CC-BY-4.0")
        >>> [path.name for path in card.files]
        ['README.md', 'videos.csv', 'croissant.json', 'SHA256SUMS']
    """
    paths = [Path(pack) for pack in ([packs] if isinstance(packs, str | os.PathLike) else packs)]
    if not paths:
        raise InputError("there are no packs to describe; give at least one")
    home = paths[0].resolve().parent
    folder = paths[0].parent if out is None else Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder; choose another --out")
    for name in NAMES:
        check_new_file(folder / name)
    facts = read_facts(
        paths,
        manifest=manifest,
        license=license,
        url=url,
        creator=creator,
        published=published,
        progress=progress,
    )
    table = io.StringIO()
    writer = csv.DictWriter(table, facts.videos[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(facts.videos)
    texts = {README: render_readme(facts), VIDEO_TABLE: table.getvalue()}
    size, digest = len(texts[VIDEO_TABLE].encode("utf-8")), sha256_text(texts[VIDEO_TABLE])
    metadata = croissant(facts, SharedFile(VIDEO_TABLE, size, digest, len(facts.videos)))
    texts[CROISSANT] = json.dumps(metadata, indent=2, ensure_ascii=False) + "\n"
    sums = {file.name: file.sha256 for file in facts.files}
    sums |= {name: sha256_text(text) for name, text in texts.items()}
    texts[CHECKSUMS] = render_checksums(sums)
    try:
        for name, text in texts.items():
            write_text(folder / name, text)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; choose another --out") from error
    notes = facts.notes()
    if folder.resolve() != home:
        notes.append(f"put the card and the packs of {home} into one folder to share them")
    return Card(tuple(folder / name for name in texts), tuple(notes))


def render_checksums(sums: Mapping[str, str]) -> str:
    """Return lines for `sha256sum -c`: digest, two spaces, name, with backslashes escaped."""
    return "".join(
        ("\\" if "\\" in name else "") + digest + "  " + name.replace("\\", "\\\\") + "\n"
        for name, digest in sums.items()
    )
