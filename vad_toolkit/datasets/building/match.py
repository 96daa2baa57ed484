"""Which file of a folder is which video of a manifest, however the folder is laid out.

Ways to match, from sure to weak: a video's own path; the same path or its id with another suffix;
the same after smoothing names; then the last parts of its path or id, longest first, each exactly
and smoothed. A weaker way is taken only for a video and a file that no surer one has joined, and
only where one file fits one video.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.video.paths import VIDEO_SUFFIXES

_SEPARATORS = re.compile(r"[\s_-]+")
_CODEC = re.compile(r"[\s_-]+x264$")


@dataclass
class Matches:
    """Files by video id; `renamed` are the ids whose file has another name than published.

    `ambiguous`: why no file was taken, by id. `extra`: files that were taken for no video.
    """

    files: dict[str, str] = field(default_factory=dict)
    renamed: list[str] = field(default_factory=list)
    ambiguous: dict[str, str] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)


def match_files(entries: Sequence[Entry], paths: Sequence[str]) -> Matches:
    """Join a manifest's entries with files.

    Args:
        entries: the videos to look for.
        paths: relative POSIX paths of files, or of folders of frames.
    """
    matches = Matches()
    there = set(paths)
    taken: set[str] = set()
    for entry in entries:
        if entry.path in there:
            matches.files[entry.id] = entry.path
            taken.add(entry.path)
    wholes = _table(paths, lambda parts: ["/".join(parts)])
    tails = _table(paths, lambda parts: ["/".join(parts[start:]) for start in range(len(parts))])
    most = max((stem.count("/") for entry in entries for stem in _stems(entry)), default=0) + 1
    for table, length in ((wholes, None), *((tails, length) for length in range(most, 0, -1))):
        for smoothed in (False, True):
            _match_keys(matches, taken, entries, table, length, smoothed)
    matches.extra = [path for path in paths if path not in taken]
    return matches


def stem_of(path: str) -> str:
    """A path without the suffix of a video file. Other dots stay: "Bad.Boys.1995__#01" has none."""
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in VIDEO_SUFFIXES else path


def smooth(stem: str) -> str:
    """A path's form in which letter case, separators, `_x264` and Unicode forms do not count."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem).casefold())
    return _SEPARATORS.sub("_", _CODEC.sub("", folded))


_Table = tuple[dict[str, list[str]], dict[str, list[str]]]  # files by key, exact and smoothed


def _table(paths: Iterable[str], keys: Callable[[list[str]], list[str]]) -> _Table:
    exact: dict[str, list[str]] = {}
    smoothed: dict[str, list[str]] = {}
    for path in paths:
        for key in keys(stem_of(path).split("/")):
            exact.setdefault(key, []).append(path)
            smoothed.setdefault(smooth(key), []).append(path)
    return exact, smoothed


def _match_keys(
    matches: Matches,
    taken: set[str],
    entries: Iterable[Entry],
    table: _Table,
    length: int | None,
    smoothed: bool,
) -> None:
    """Try one way on all entries that are still open; conflicts are told, not solved by order."""
    wanted_by: dict[str, list[str]] = {}
    for entry in entries:
        if entry.id in matches.files or entry.id in matches.ambiguous:
            continue
        found = {
            path: None
            for key in _keys(entry, length)
            for path in table[smoothed].get(smooth(key) if smoothed else key, ())
            if path not in taken
        }
        if len(found) > 1:
            names = ", ".join(map(repr, found))
            matches.ambiguous[entry.id] = f"could be any of {names}; keep one, or its own path"
        for path in found if len(found) == 1 else ():
            wanted_by.setdefault(path, []).append(entry.id)
    for path, ids in wanted_by.items():
        if len(ids) > 1:
            for id in ids:
                others = ", ".join(repr(other) for other in ids if other != id)
                matches.ambiguous[id] = f"{path!r} could also be {others}; keep published folders"
            continue
        matches.files[ids[0]] = path
        taken.add(path)
        if smoothed:
            matches.renamed.append(ids[0])


def _stems(entry: Entry) -> Iterator[str]:
    yield stem_of(entry.path)
    yield entry.id


def _keys(entry: Entry, length: int | None) -> Iterator[str]:
    """Path and id without suffix; with a length, their last `length` parts where they have them."""
    for stem in _stems(entry):
        parts = stem.split("/")
        if length is None:
            yield stem
        elif len(parts) >= length:
            yield "/".join(parts[-length:])
