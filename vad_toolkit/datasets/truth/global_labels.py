"""Global arrays: the frame labels of a whole test set in one array, as published code has them.

Only a list of videos, in the same order, tells which labels belong to which video. Arrays are
written together with this list, and split into videos only if list, lengths and manifest agree.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.files import atomic_path, check_new_file, sha256_file, write_text
from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.names import NameIndex
from vad_toolkit.datasets.truth.rules import RULES, label_count, load_rule, rule_labels
from vad_toolkit.errors import InputError, ManifestError

_CROP = re.compile(r"__([0-9])(\.[a-z0-9]+)?$", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class GlobalLabels:
    """The concatenated labels of all videos of a manifest."""

    ids: tuple[str, ...]  # in the order of the labels
    counts: Mapping[str, int]  # number of labels by id
    labels: NDArray[np.generic]  # (sum of counts,), of the rule's dtype, 0 or 1

    @property
    def abnormal(self) -> int:
        """Number of labels that are 1."""
        return int(np.count_nonzero(self.labels))


def global_labels(manifest: Manifest, rule: str) -> GlobalLabels:
    """Return the global array of a manifest by a rule's name or file, in the manifest's order.

    Raises:
        InputError: If there is no such rule.
        ManifestError: If a frame count or the events of a video are not known.
    """
    name, fields = load_rule(rule, manifest.rules)
    parts = {entry.id: rule_labels(entry, name, fields) for entry in manifest}
    return GlobalLabels(
        ids=tuple(parts),
        counts={id: len(part) for id, part in parts.items()},
        labels=np.concatenate(list(parts.values())).astype(fields.dtype),
    )


def write_global_labels(array: GlobalLabels, path: Path, order: Path | None = None) -> str:
    """Write the array as `.npy`, and its order list: one line per video, id, tab, label count.

    Returns the sha256 of the `.npy` file.

    Raises:
        InputError: If one of the files already exists; nothing is written.
    """
    check_new_file(path, "arrays")
    if order is not None:
        check_new_file(order, "lists", "--list")
        write_text(order, "".join(f"{id}\t{array.counts[id]}\n" for id in array.ids))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array.labels, allow_pickle=False)
    return sha256_file(path)


@dataclass(frozen=True)
class OrderList:
    """The order of the videos in a global array."""

    ids: tuple[str, ...]
    counts: Mapping[str, int]  # as `write_global_labels` writes them; published lists have none


def read_order(path: Path, manifest: Manifest) -> OrderList:
    """Read an order list: one line per video, or per crop of a video (`__0` ... `__9`).

    Lines hold names as in published lists, with folders of other machines and suffixes of feature
    files (`names.NameIndex`), and perhaps a tab and a label count. Blank lines are skipped.

    Raises:
        InputError: If the file cannot be read.
        ManifestError: If a line does not name a video of the manifest, names one again or has a
            wrong label count, or if a video of the manifest is not in the list.
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
            raise ManifestError(f"{where}: {name.strip()!r} is not in the manifest")
        found = _CROP.search(name.strip())
        # A video's own name may end with what looks like a crop's number.
        crop = found.group(1) if found and not id.endswith(f"__{found.group(1)}") else ""
        if crop in seen.setdefault(id, {}):
            raise ManifestError(f"{where}: video {id!r} is already in line {seen[id][crop]}")
        seen[id][crop] = number
        if count:
            if not count.strip().isdecimal() or int(count) < 1:
                problem = f"label count must be an integer >= 1, got {count.strip()!r}"
                raise ManifestError(f"{where}: {problem}")
            counts[id] = int(count)
    missing = [entry.id for entry in manifest if entry.id not in seen]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ManifestError(f"{path}: video {missing[0]!r} of the manifest is missing{more}")
    return OrderList(tuple(seen), counts)


def read_global_labels(path: Path) -> NDArray[np.uint8]:
    """Read a global array: a one-dimensional `.npy` file of 0 and 1 in any numeric dtype.

    Raises:
        InputError: If it is anything else. Object arrays are never unpickled.
    """
    if zipfile.is_zipfile(path):
        raise InputError(f"{path} is an archive of arrays; save the array of labels as .npy")
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputError(f"{path} is not an array of labels: {_reason(path, error)}") from error
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "buif":
        raise InputError(
            f"{path} holds {array.dtype} of shape {array.shape}; labels must be numbers of shape "
            "(frames,)"
        )
    wrong = np.flatnonzero((array != 0) & (array != 1))
    if len(wrong):
        raise InputError(
            f"{path}: label {wrong[0]} must be 0 (normal) or 1 (abnormal), got {array[wrong[0]]}"
        )
    return np.asarray(array, dtype=np.uint8)


def _reason(path: Path, error: Exception) -> str:
    if "pickle" not in str(error) and "Python objects" not in str(error):
        return " ".join(str(error).split())
    return (
        "it holds pickled objects, which can run code when they are read; if you trust it, convert "
        f"it: python -c \"import numpy as np; np.save('gt-plain.npy', np.load("
        f"'{path}', allow_pickle=True).astype('uint8'))\""
    )


def split_labels(
    labels: NDArray[np.uint8], order: Sequence[str], counts: Mapping[str, int], manifest: Manifest
) -> dict[str, NDArray[np.uint8]]:
    """Split a global array into videos if lengths and labels agree with the manifest.

    Args:
        labels: (n,) of 0 and 1.
        order: Ids of all videos of the manifest, in the array's order.
        counts: Required number of labels by id: the frames that its scores cover.
        manifest: The videos.

    Returns:
        Labels (counts[id],) by id.

    Raises:
        ManifestError: If the counts do not add up to n, a normal video has a label 1, or an
            abnormal video has none within its events. The message names the first wrong video.
    """
    bounds = np.cumsum([0, *(counts[id] for id in order)])
    parts = {
        id: labels[start:stop]
        for id, start, stop in zip(order, bounds[:-1], bounds[1:], strict=True)
    }
    if bounds[-1] != len(labels):
        raise ManifestError(
            f"the array has {len(labels)} labels, but the videos need {bounds[-1]}: "
            f"{_first_of_other_length(len(labels), order, counts, manifest, parts)}"
        )
    for id, part in parts.items():
        problem = _contradiction(manifest.by_id[id], part)
        if problem:
            raise ManifestError(
                f"video {id!r}: {problem}; the array has another order than the list, or other "
                "lengths"
            )
    return parts


def _first_of_other_length(
    total: int,
    order: Sequence[str],
    counts: Mapping[str, int],
    manifest: Manifest,
    parts: Mapping[str, NDArray[np.uint8]],
) -> str:
    """Describe the first video that does not fit, as well as the array allows."""
    known = _counts_by_rule(manifest)
    for name, by_rule in known.items():
        if sum(by_rule.values()) == total:
            first = next(id for id in order if by_rule[id] != counts[id])
            others = sum(by_rule[id] != counts[id] for id in order) - 1
            more = f", and {others} more differ" if others else ""
            return (
                f"rule {name} gives the array's length, but it gives {by_rule[first]} labels to "
                f"video {first!r}, which needs {counts[first]}{more}"
            )
    for id in order:
        problem = _contradiction(manifest.by_id[id], parts[id])
        if known and all(by_rule[id] != counts[id] for by_rule in known.values()):
            problem = f"it needs {counts[id]} labels, which no rule gives it"
        elif len(parts[id]) < counts[id]:
            problem = f"the array ends after {len(parts[id])} of its {counts[id]} labels"
        if problem:
            return f"video {id!r}: {problem}"
    return f"labels are left after the last video, {order[-1]!r}"


def _counts_by_rule(manifest: Manifest) -> Mapping[str, Mapping[str, int]]:
    """Return the label counts of all videos, by each rule for which all are known."""
    known = {}
    for name in dict.fromkeys((*RULES, *manifest.rules)):
        _, rule = load_rule(name, manifest.rules)
        try:
            known[name] = {entry.id: label_count(entry, name, rule) for entry in manifest}
        except ManifestError:  # the count that this rule needs is not known for a video
            continue
    return known


def _contradiction(entry: Entry, labels: NDArray[np.uint8]) -> str | None:
    """Describe how a video's labels contradict the manifest, or return None."""
    abnormal = int(labels.sum())
    if entry.label == 0 and abnormal:
        return f"normal in the manifest, but {abnormal} of its labels are 1"
    if entry.label == 1 and entry.events and len(labels):
        meant = np.zeros_like(labels)
        for start, stop in entry.events:
            meant[start:stop] = 1
        if meant.any() and not (meant & labels).any():
            return "abnormal in the manifest, but no label is 1 within its events"
    return None
