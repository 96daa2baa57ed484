"""Matches of the files in a folder with the videos of a manifest, whatever the folder's layout.

Matching steps, from strict to loose: the video's own path; its path or id with another suffix; the
same with normalized names; then the last parts of its path or id, longest first, each exactly and
normalized. A looser step only considers videos and files that no stricter step has matched, and
only matches them if exactly one file fits exactly one video.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.video.paths import VIDEO_SUFFIXES

_SEPARATORS = re.compile(r"[\s_-]+")
_CODEC = re.compile(r"[\s_-]+x264$")


@dataclass
class Matches:
    """The result of matching.

    Attributes:
        files: Matched file by video id.
        renamed: Ids of videos whose file has another name than published.
        ambiguous: Reason why no file was chosen, by video id.
        extra: Files that match no video.
    """

    files: dict[str, str] = field(default_factory=dict)
    renamed: list[str] = field(default_factory=list)
    ambiguous: dict[str, str] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)


def match_files(entries: Sequence[Entry], paths: Sequence[str]) -> Matches:
    """Match entries of a manifest with files.

    Args:
        entries: The videos to look for.
        paths: Relative POSIX paths of files or folders of frames.
    """
    matches = Matches()
    there = set(paths)
    taken: set[str] = set()
    for entry in entries:
        if entry.path in there:
            matches.files[entry.id] = entry.path
            taken.add(entry.path)
    most = max((stem.count("/") for entry in entries for stem in _stems(entry)), default=0) + 1
    for length in (None, *range(most, 0, -1)):
        for normalized in (False, True):
            _match_keys(matches, taken, entries, paths, length, normalized)
    matches.extra = [path for path in paths if path not in taken]
    return matches


def stem_of(path: str) -> str:
    """Return a path without the suffix of a video file; "Bad.Boys.1995__#01" has no suffix."""
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in VIDEO_SUFFIXES else path


def normalize(stem: str) -> str:
    """Return a path without differences in letter case, separators, `_x264` and Unicode form."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem).casefold())
    return _SEPARATORS.sub("_", _CODEC.sub("", folded))


def _match_keys(
    matches: Matches,
    taken: set[str],
    entries: Iterable[Entry],
    paths: Iterable[str],
    length: int | None,
    normalized: bool,
) -> None:
    """Apply one step to all unmatched entries. Conflicts are reported, not resolved by order."""
    table: dict[str, list[str]] = {}
    for path in paths:
        if path not in taken:
            for key in _keys((stem_of(path),), length, normalized):
                table.setdefault(key, []).append(path)
    wanted_by: dict[str, list[str]] = {}
    for entry in entries:
        if entry.id in matches.files or entry.id in matches.ambiguous:
            continue
        found = {
            path: None
            for key in _keys(_stems(entry), length, normalized)
            for path in table.get(key, ())
        }
        if len(found) > 1:
            names = ", ".join(map(repr, found))
            matches.ambiguous[entry.id] = (
                f"could be any of {names}; keep one of them, or restore its path"
            )
        for path in found if len(found) == 1 else ():
            wanted_by.setdefault(path, []).append(entry.id)
    for path, ids in wanted_by.items():
        if len(ids) > 1:
            for id in ids:
                others = ", ".join(repr(other) for other in ids if other != id)
                matches.ambiguous[id] = (
                    f"{path!r} could also be {others}; keep the published folders"
                )
            continue
        matches.files[ids[0]] = path
        taken.add(path)
        if normalized:
            matches.renamed.append(ids[0])


def _stems(entry: Entry) -> tuple[str, str]:
    return stem_of(entry.path), entry.id


def _keys(stems: Iterable[str], length: int | None, normalized: bool) -> Iterator[str]:
    """Yield the stems, or their last `length` parts if they have so many."""
    for stem in stems:
        parts = stem.split("/")
        if length is None or len(parts) >= length:
            key = stem if length is None else "/".join(parts[-length:])
            yield normalize(key) if normalized else key
