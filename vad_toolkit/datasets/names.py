"""Video names in published lists and feature files, matched to the ids of a manifest.

`G:\\UCF_Test_ten_crop_i3d\\Abuse028_x264_i3d.npy`, `Abuse028_x264__0.npy` and
`Abuse/Abuse028_x264.mp4` all stand for the video `Abuse/Abuse028_x264`. A name is shortened in
fixed steps and must equal exactly one id, or the last part of exactly one id: similar names are
never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from vad_toolkit.errors import ManifestError

# Only suffixes of feature and video files: names of videos may contain dots ("1995__#01").
_SUFFIX = re.compile(r"\.(npy|npz|txt|h5|mp4|avi|mkv|mov|webm|gif)$", re.IGNORECASE)
_CROP = re.compile(r"__([0-9])$")
_TAGS = ("_i3d", "_c3d", "_rgb", "_flow")
_CODEC = "_x264"  # in UCF-Crime's file names, but not in all lists of them


class NameIndex:
    """An index of video ids by published names."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = set[str]()
        self._tails: dict[str, set[str]] = {}
        self._bare: dict[str, set[str]] = {}
        for id in ids:
            tail = id.rpartition("/")[2]
            self._ids.add(id)
            self._tails.setdefault(tail, set()).add(id)
            self._bare.setdefault(tail.removesuffix(_CODEC), set()).add(id)

    def find(self, name: str) -> str | None:
        """Return the id that a published name stands for, or None.

        Raises:
            ManifestError: If the name could be several ids.
        """
        for form in name_forms(name):
            parts = form.split("/")  # the id may follow folders of another machine
            for start in range(len(parts)):
                if (id := "/".join(parts[start:])) in self._ids:
                    return id
            bare = parts[-1].removesuffix(_CODEC)
            for table, key in ((self._tails, parts[-1]), (self._bare, bare)):
                found = table.get(key, set())
                if len(found) > 1:
                    raise ManifestError(
                        f"{name!r} could be any of {', '.join(sorted(found))}; add its folder"
                    )
                if found:
                    return next(iter(found))
        return None


def name_forms(name: str) -> Iterator[str]:
    """Yield the forms of a published name that may be an id, longest first.

    Folders are kept and backslashes become slashes. The suffix, the crop's number (`__0`) and the
    tags of feature files (`_i3d`) are removed one after the other.
    """
    form = name.strip().replace("\\", "/").removeprefix("./")
    yield form
    for pattern in (_SUFFIX, _CROP):
        shorter = pattern.sub("", form)
        if shorter != form:
            form = shorter
            yield form
    shortened = True
    while shortened:
        shortened = False
        for tag in _TAGS:
            if form.endswith(tag):
                form = form.removesuffix(tag)
                shortened = True
                yield form
