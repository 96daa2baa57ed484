"""Selection of feature files in a folder, by suffix or by a published list, sorted by video."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.layout import Layout

Files = dict[str, dict[str, dict[int, Path]]]  # by video, modality and crop number
VideoOf = Callable[[str], str | None]  # returns the id that a published name stands for, if any

_FILE_LINE = re.compile(r"(?P<path>.*?\.(npy|npz|txt))(\s.*)?", re.IGNORECASE)


def feature_files(root: Path, suffixes: Sequence[str]) -> list[str]:
    """Return the relative POSIX paths of the files with `suffixes`, sub-folders included, sorted.

    Raises:
        InputError: If `root` is not a readable folder or has no such file.
    """

    def fail(error: OSError) -> None:
        raise InputError(f"{root}: {error.filename} cannot be read ({error.strerror})") from error

    found = [
        (Path(folder) / name).relative_to(root).as_posix()
        for folder, _, names in os.walk(root, onerror=fail)
        for name in names
        if name.lower().endswith(tuple(suffixes))
    ]
    if not found:
        raise InputError(f"{root} contains no {', '.join(suffixes)} files; check --layout")
    return sorted(found)


def listed_files(
    path: Path, files: Sequence[str], video_of: VideoOf = lambda name: None
) -> tuple[list[str], list[str]]:
    """Return the files that a published list names, in its order.

    A line is a path on any machine, with slashes or backslashes, or the name of a video, of which
    all files are taken. Text after a file's suffix and a space (a label) is ignored. If several
    files have the name, the one that shares most of the path's last parts is taken.

    Args:
        path: The list.
        files: Relative paths of the existing files.
        video_of: Returns the video id of a file's name or a line. By default lines are files only.

    Returns:
        The relative paths, and the lines without a file.

    Raises:
        InputError: If the list cannot be read or is empty, a line stands for several files, or two
            lines for one file.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a list of files: {error}") from error
    by_name = _grouped(files, lambda file: file.rpartition("/")[2])
    videos = cache(lambda: _grouped(files, video_of))  # needed for few lists
    found: dict[str, int] = {}
    absent: list[str] = []
    for number, text in enumerate(map(str.strip, lines), start=1):
        if not text:
            continue
        matched = _FILE_LINE.fullmatch(text)
        parts = (matched["path"] if matched else text).replace("\\", "/").split("/")
        named = _closest(parts, by_name.get(parts[-1], []))
        if len(named) > 1:
            raise InputError(
                f"{path}:{number}: {text!r} stands for several files: {', '.join(named)}; remove "
                "or rename all but one"
            )
        if not named and not matched:
            id = video_of(text) or video_of(text.split()[0])
            named = videos().get(id, []) if id is not None else []
        if not named:
            absent.append(text)
        for file in named:
            if file in found:
                raise InputError(
                    f"{path}:{number}: {file} is already in line {found[file]}; remove one line"
                )
            found[file] = number
    if not found and not absent:
        raise InputError(f"{path} is empty; a list names one file or video per line")
    return list(found), absent


def add_files(
    files: Files, root: Path, paths: Iterable[str], layout: Layout, video_of: VideoOf, stream: str
) -> list[str]:
    """Add files to `files` by video, modality and crop, and return those that belong to no video.

    The layout parses the names of `paths`, which are relative to `root`; `stream` is the modality
    of files whose name does not tell it. Raises InputError if two files are one crop of a video.
    """
    extra: list[str] = []
    for path in paths:
        parsed = layout.parse(path)
        if parsed is None or (id := video_of(parsed.video)) is None:
            extra.append(str(root / path))
            continue
        crops = files.setdefault(id, {}).setdefault(parsed.stream or stream, {})
        if parsed.crop in crops:
            raise InputError(
                f"{crops[parsed.crop]} and {root / path} are both video {id!r}; remove one, or "
                "select the files to import with --list"
            )
        crops[parsed.crop] = root / path
    return extra


def _grouped(files: Sequence[str], key: VideoOf) -> dict[str | None, list[str]]:
    groups: dict[str | None, list[str]] = {}
    for file in files:
        groups.setdefault(key(file), []).append(file)
    return groups


def _closest(parts: Sequence[str], candidates: Sequence[str]) -> list[str]:
    """Return the candidates that share most of the last parts of a path."""
    shared: dict[str, int] = {}
    for file in candidates:
        pairs = zip(reversed(parts), reversed(file.split("/")), strict=False)
        shared[file] = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return [file for file, count in shared.items() if count == max(shared.values())]
