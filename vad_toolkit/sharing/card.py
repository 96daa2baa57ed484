"""The files that go beside packs when they are shared: README.md, videos.csv, croissant.json and
SHA256SUMS.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path

from vad_toolkit.core.files import sha256_text, write_text
from vad_toolkit.errors import InputError
from vad_toolkit.sharing.croissant import COLUMNS, VIDEO_TABLE, croissant, digest_column
from vad_toolkit.sharing.facts import Facts, SharedFile
from vad_toolkit.sharing.readme import render_readme

README = "README.md"
CROISSANT = "croissant.json"
CHECKSUMS = "SHA256SUMS"
NAMES = (README, VIDEO_TABLE, CROISSANT, CHECKSUMS)


def check_folder(folder: Path) -> None:
    """Whether a card can be written into `folder`: told before packs are read.

    Raises:
        InputError: one of the files is there already, or `folder` is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder} is not a folder: give another")
    for name in NAMES:
        path = folder / name
        if path.exists() or path.is_symlink():
            raise InputError(f"{path} is there already: move it away, or give another --out")


def write_card(facts: Facts, folder: Path) -> list[Path]:
    """Write the four files; SHA256SUMS, the last, covers the packs and the other three.

    Files are named without folders: the packs have to lie beside them where they are shared.

    Raises:
        InputError: one of the files is there already, or cannot be written.
    """
    check_folder(folder)
    table = render_videos(facts)
    size = len(table.encode("utf-8"))
    entry = SharedFile(VIDEO_TABLE, size, sha256_text(table), len(facts.videos))
    metadata = json.dumps(croissant(facts, entry), indent=2, ensure_ascii=False) + "\n"
    texts = {README: render_readme(facts), VIDEO_TABLE: table, CROISSANT: metadata}
    sums = {file.name: file.sha256 for file in facts.files}
    sums |= {name: sha256_text(text) for name, text in texts.items()}
    texts[CHECKSUMS] = render_checksums(sums.items())
    try:
        for name, text in texts.items():
            write_text(folder / name, text)
    except OSError as error:
        raise InputError(f"--out {folder}: {error.strerror}; give another folder") from error
    return [folder / name for name in texts]


def render_videos(facts: Facts) -> str:
    """`videos.csv`: a row a video, in the order of ids; what is not known stays empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    streams = list(facts.widths)
    writer.writerow([*COLUMNS, *map(digest_column, streams)])
    for video in facts.videos:
        values = [getattr(video, name) for name in COLUMNS]
        writer.writerow([*values, *(video.sha256[stream] for stream in streams)])
    return text.getvalue()


def render_checksums(sums: Iterable[tuple[str, str]]) -> str:
    """Lines for `sha256sum -c`: digest, two spaces, name; names with a backslash in its escape."""
    lines = []
    for name, digest in sums:
        escaped = name.replace("\\", "\\\\")
        lines.append(f"{chr(92) if escaped != name else ''}{digest}  {escaped}\n")
    return "".join(lines)
