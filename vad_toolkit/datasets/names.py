"""Names that published lists and feature files give to videos, matched to a manifest's ids.

`G:\\UCF_Test_ten_crop_i3d\\Abuse028_x264_i3d.npy`, `Abuse028_x264__0.npy` and
`Abuse/Abuse028_x264.mp4` all are the video `Abuse/Abuse028_x264`. A name is cut down by fixed steps
and has to be equal to exactly one id, or to the last part of exactly one: nothing is guessed from
what merely looks alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from vad_toolkit.errors import ManifestError

# Of feature files and of videos; of a video's name itself nothing is ever a suffix ("1995__#01").
_SUFFIX = re.compile(r"\.(npy|npz|txt|h5|mp4|avi|mkv|mov|webm|gif)$", re.IGNORECASE)
_CROP = re.compile(r"__([0-9])$")
_TAGS = ("_i3d", "_c3d", "_rgb", "_flow")
_CODEC = "_x264"  # in UCF-Crime's file names, not in every list of them


class NameIndex:
    """Finds ids by published names."""

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
        """The id that a published name stands for; None where there is none.

        Raises:
            ManifestError: the name stands for several ids.
        """
        for form in name_forms(name):
            parts = form.split("/")  # of an id with folders, below those of another machine
            for start in range(len(parts)):
                if (id := "/".join(parts[start:])) in self._ids:
                    return id
            bare = parts[-1].removesuffix(_CODEC)
            for table, key in ((self._tails, parts[-1]), (self._bare, bare)):
                found = table.get(key, set())
                if len(found) > 1:
                    raise ManifestError(
                        f"{name!r} stands for several videos: {', '.join(sorted(found))}; give it "
                        "with its folder"
                    )
                if found:
                    return next(iter(found))
        return None


def name_forms(name: str) -> Iterator[str]:
    """The forms of a published name that may be an id, longest first.

    Folders stay, backslashes become slashes; then go the suffix, the crop's number (`__0`), and
    the tags of feature files (`_i3d`).
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
