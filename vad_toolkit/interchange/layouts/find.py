"""Which files of a folder are features: all of a suffix, or those that a published list names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from vad_toolkit.errors import InputError

_LINE = re.compile(r"(?P<path>.*?\.(npy|npz|txt))(\s.*)?", re.IGNORECASE)


def feature_files(root: Path, suffixes: Sequence[str]) -> list[str]:
    """Relative POSIX paths of the files with one of `suffixes`, in sub-folders too, sorted.

    Raises:
        InputError: `root` is no folder that can be read, or has no such file.
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
        raise InputError(f"{root} has no files of the kind {', '.join(suffixes)}; check --layout")
    return sorted(found)


def listed_files(path: Path, files: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files that a published list names, in its order.

    A line is a path on whatever machine, with slashes or backslashes; what follows the suffix after
    a space (a label) does not count. The file meant is the one that agrees with most of the path's
    last parts, its name at least.

    Args:
        path: the list.
        files: relative paths of what is there.

    Returns:
        Relative paths, and the lines for which nothing is there.

    Raises:
        InputError: the list cannot be read, a line stands for several files, or two for one.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a list of files: {error}") from error
    by_name: dict[str, list[str]] = {}
    for file in files:
        by_name.setdefault(file.rpartition("/")[2], []).append(file)
    found: dict[str, int] = {}
    absent: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        matched = _LINE.fullmatch(text)
        parts = (matched["path"] if matched else text).replace("\\", "/").split("/")
        candidates = by_name.get(parts[-1], [])
        agreeing = {file: _agreement(parts, file.split("/")) for file in candidates}
        best = [file for file in candidates if agreeing[file] == max(agreeing.values())]
        if len(best) > 1:
            raise InputError(
                f"{path}:{number}: {text!r} stands for several files: {', '.join(best)}; remove "
                "or rename all but one"
            )
        if not best:
            absent.append(text)
        elif best[0] in found:
            raise InputError(
                f"{path}:{number}: {best[0]} stands in line {found[best[0]]} already; remove one"
            )
        else:
            found[best[0]] = number
    return list(found), absent


def _agreement(a: Sequence[str], b: Sequence[str]) -> int:
    """How many of the last parts of two paths are equal."""
    count = 0
    for x, y in zip(reversed(a), reversed(b), strict=False):
        if x != y:
            break
        count += 1
    return count
