"""One array of frame labels for a whole test set, as published code has them, and its order list.

Such an array is bound to videos by nothing but the order of a list. Here it is written with that
list, and cut into videos again only where list, lengths and the manifest agree.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.files import atomic_path, sha256_file, write_text
from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.names import NameIndex
from vad_toolkit.datasets.truth.rules import RULES, label_count, load_rule, rule_labels
from vad_toolkit.errors import InputError, ManifestError

_CROP = re.compile(r"__([0-9])(\.[a-z0-9]+)?$", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class GlobalLabels:
    """Labels of all videos of a manifest, one after the other.

    Attributes:
        ids: the videos, in the order of the labels.
        counts: labels of each, by id.
        labels: (sum of counts,), 0 or 1, in the rule's dtype.
    """

    ids: tuple[str, ...]
    counts: Mapping[str, int]
    labels: NDArray[np.generic]

    @property
    def abnormal(self) -> int:
        """How many labels are 1."""
        return int(np.count_nonzero(self.labels))


def global_labels(manifest: Manifest, rule: str) -> GlobalLabels:
    """The global array of a manifest by a rule, in the manifest's order.

    Args:
        rule: a rule's name or file (`load_rule`, with the manifest's changes).

    Raises:
        InputError: no such rule.
        ManifestError: a frame count or the events of a video are not known; names the video.
    """
    name, fields = load_rule(rule, manifest.rules)
    parts = {entry.id: rule_labels(entry, name, fields) for entry in manifest}
    return GlobalLabels(
        ids=tuple(parts),
        counts={id: len(part) for id, part in parts.items()},
        labels=np.concatenate(list(parts.values())).astype(fields.dtype),
    )


def write_global_labels(array: GlobalLabels, path: Path, order: Path | None = None) -> str:
    """Write the array as `.npy`, and beside it its order list: id, tab, label count, one a line.

    Returns:
        The sha256 of the `.npy` file.

    Raises:
        InputError: one of the files is there already; nothing is written.
    """
    for target in (path, order):
        if target is not None and target.exists():
            raise InputError(f"{target} is there already: it is not overwritten, name a new one")
    if order is not None:
        write_text(order, "".join(f"{id}\t{array.counts[id]}\n" for id in array.ids))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array.labels, allow_pickle=False)
    return sha256_file(path)


@dataclass(frozen=True)
class OrderList:
    """The order in which a global array has its videos.

    `counts` holds the label counts that the list states, as `write_global_labels` writes them; the
    lists of published code state none.
    """

    ids: tuple[str, ...]
    counts: Mapping[str, int]


def read_order(path: Path, manifest: Manifest) -> OrderList:
    """Read an order list: a line a video, or a line a crop of a video (`__0` ... `__9`).

    Lines are names as published lists have them, with folders of other machines and suffixes of
    feature files (`names.NameIndex`); blank ones are passed over. A label count may follow, after a
    tab.

    Raises:
        InputError: the file cannot be read.
        ManifestError: a line names no video of the manifest, or one a second time, or states
            another count than before; or a video of the manifest is in no line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not an order list: {error}") from error
    index = NameIndex(entry.id for entry in manifest)
    seen: dict[str, dict[str, int]] = {}  # by id: line numbers by crop
    counts: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        name, _, count = line.partition("\t")
        if not name.strip():
            continue
        where = f"{path}:{number}"
        try:
            id = index.find(name)
        except ManifestError as error:
            raise ManifestError(f"{where}: {error}") from error
        if id is None:
            raise ManifestError(f"{where}: {name.strip()!r} is no video of the manifest")
        crop = _crop(name, id)
        if crop in seen.setdefault(id, {}):
            raise ManifestError(f"{where}: video {id!r} stands in line {seen[id][crop]} already")
        seen[id][crop] = number
        if count:
            counts[id] = _count(where, count)
    missing = [entry.id for entry in manifest if entry.id not in seen]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ManifestError(f"{path}: video {missing[0]!r} of the manifest is in no line{more}")
    return OrderList(tuple(seen), counts)


def _crop(name: str, id: str) -> str:
    found = _CROP.search(name.strip())
    # A video's own name may end like a crop's number.
    return found.group(1) if found and not id.endswith(f"__{found.group(1)}") else ""


def _count(where: str, text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise ManifestError(f"{where}: {text.strip()!r} is no label count")
    return int(text)


def read_global_labels(path: Path) -> NDArray[np.uint8]:
    """Read a global array: a `.npy` file, one-dimensional, of 0 and 1 in any numeric dtype.

    Raises:
        InputError: it is something else. Arrays of objects are never unpickled.
    """
    if zipfile.is_zipfile(path):
        raise InputError(f"{path} is an archive of arrays: save the one of the labels as .npy")
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputError(f"{path} is no array of labels: {_reason(path, error)}") from error
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "buif":
        raise InputError(
            f"{path} holds {array.dtype} of shape {array.shape}: labels are numbers, (frames,)"
        )
    wrong = np.flatnonzero((array != 0) & (array != 1))
    if len(wrong):
        raise InputError(
            f"{path}: label {wrong[0]} is {array[wrong[0]]}; labels are 0 (normal) or 1 (abnormal)"
        )
    return np.asarray(array, dtype=np.uint8)


def _reason(path: Path, error: Exception) -> str:
    if "pickle" not in str(error) and "Python objects" not in str(error):
        return " ".join(str(error).split())
    return (
        "it holds pickled objects, which can run any code when they are read; if you trust its "
        f"origin, convert it: python -c \"import numpy as np; np.save('gt-plain.npy', np.load("
        f"'{path}', allow_pickle=True).astype('uint8'))\""
    )


def split_labels(
    labels: NDArray[np.uint8], order: Sequence[str], counts: Mapping[str, int], manifest: Manifest
) -> dict[str, NDArray[np.uint8]]:
    """Cut a global array into videos, once lengths and labels agree with the manifest.

    Args:
        labels: (n,) uint8, 0 or 1.
        order: ids of all videos of the manifest, in the array's order.
        counts: how many labels each has to have, by id: what its scores cover.

    Returns:
        (counts[id],) uint8 by id.

    Raises:
        ManifestError: the counts are not n in sum, a normal video gets a label 1, or the labels of
            an abnormal one lie wholly beside its events; names the first video that is off.
    """
    bounds = np.cumsum([0, *(counts[id] for id in order)])
    parts = {
        id: labels[start:stop]
        for id, start, stop in zip(order, bounds[:-1], bounds[1:], strict=True)
    }
    if bounds[-1] != len(labels):
        raise ManifestError(
            f"the array has {len(labels)} labels, the videos need {bounds[-1]}: "
            f"{_first_of_other_length(len(labels), order, counts, manifest, parts)}"
        )
    for id, part in parts.items():
        problem = _contradiction(manifest.by_id[id], part)
        if problem:
            raise ManifestError(
                f"video {id!r}: {problem}: the array's order is not that of the list, or its "
                "lengths are not these"
            )
    return parts


def _first_of_other_length(
    total: int,
    order: Sequence[str],
    counts: Mapping[str, int],
    manifest: Manifest,
    parts: Mapping[str, NDArray[np.uint8]],
) -> str:
    """Why an array does not fit, by the first video that is off as far as can be told."""
    known = _counts_by_rule(manifest)
    for name, by_rule in known.items():
        if sum(by_rule.values()) == total:
            first = next(id for id in order if by_rule[id] != counts[id])
            others = sum(by_rule[id] != counts[id] for id in order) - 1
            more = f", and {others} more differ" if others else ""
            return (
                f"video {first!r} has {by_rule[first]} by rule {name}, which gives the array's "
                f"length, and {counts[first]} are needed{more}"
            )
    for id in order:
        problem = _contradiction(manifest.by_id[id], parts[id])
        if known and all(by_rule[id] != counts[id] for by_rule in known.values()):
            problem = f"{counts[id]} labels are needed, which no rule gives it"
        elif len(parts[id]) < counts[id]:
            problem = f"the array ends after {len(parts[id])} of its {counts[id]} labels"
        if problem:
            return f"video {id!r}: {problem}"
    return f"video {order[-1]!r} is the last one, and labels are left after it"


def _counts_by_rule(manifest: Manifest) -> Mapping[str, Mapping[str, int]]:
    """Label counts of all videos by each rule for which all are known."""
    known = {}
    for name in dict.fromkeys((*RULES, *manifest.rules)):
        _, rule = load_rule(name, manifest.rules)
        try:
            known[name] = {entry.id: label_count(entry, name, rule) for entry in manifest}
        except ManifestError:  # a video without the count that this rule needs
            continue
    return known


def _contradiction(entry: Entry, labels: NDArray[np.uint8]) -> str | None:
    """How a video's labels contradict its line of the manifest; None where they do not."""
    abnormal = int(labels.sum())
    if entry.label == 0 and abnormal:
        return f"normal in the manifest, and {abnormal} of its labels are 1"
    if entry.label == 1 and entry.events and len(labels):
        meant = np.zeros_like(labels)
        for start, stop in entry.events:
            meant[start:stop] = 1
        if meant.any() and not (meant & labels).any():
            return "none of its labels is 1 within its events"
    return None
