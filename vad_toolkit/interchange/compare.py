"""Comparison of two sets of features: cosine, largest difference, and the real order of crops.

Crops are compared by name if both sides state their names. The stated order is checked: the mean
cosine of every crop of one side with every crop of the other shows which ones are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.crops import FIVE_CROP_ORDERS, TEN_CROP_ORDERS, crop_index, order_name
from vad_toolkit.core.files import AnyPath
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.names import NameIndex, name_forms
from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.feature_reader import Reader
from vad_toolkit.interchange.layouts.find import Files, add_files, feature_files
from vad_toolkit.interchange.layouts.registry import feature_suffixes, guess_layout
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import block_snippets

TOLERANCE = 0.999  # lowest cosine that counts as equal
# The sample that the order of crops is found on: large enough not to depend on chance, and small
# compared with the comparison itself.
SAMPLE_VIDEOS = 200
SAMPLE_SNIPPETS = 64
# Another order than the stated one is believed if its mean cosine is better by this much: crops of
# a scene without motion are alike in any order.
MARGIN = 1e-3

Floats = NDArray[np.floating[Any]]
Shape = tuple[int, int, int]
_Pair = tuple[str, str, str, Shape]  # id in A, id in B, modality, and the shape of both


@dataclass
class Likeness:
    """Cosine of rows of numbers with their counterparts, and the largest absolute difference.

    Two rows of zeros have cosine 1; a row of zeros and another row have cosine 0.
    """

    rows: int = 0
    cosine_sum: float = 0.0
    cosine_lowest: float = 1.0
    largest_difference: float = 0.0

    @property
    def cosine_mean(self) -> float:
        """The mean over all rows; 1 if there are none."""
        return self.cosine_sum / self.rows if self.rows else 1.0

    def add(self, other: Likeness) -> None:
        """Include the measurements of other rows."""
        self.rows += other.rows
        self.cosine_sum += other.cosine_sum
        self.cosine_lowest = min(self.cosine_lowest, other.cosine_lowest)
        self.largest_difference = max(self.largest_difference, other.largest_difference)

    def to_dict(self) -> dict[str, float]:
        """Return mean and lowest cosine, and the largest difference."""
        names = ("cosine_mean", "cosine_lowest", "largest_difference")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class CropMatch:
    """Crops that are compared with each other."""

    index: tuple[int, ...]  # the position in B of each crop of A
    names: tuple[str, ...]  # of A's crops
    stated: bool = True  # whether `index` is what the stated names say, or the order in the files
    text: str = ""  # the orders in words, or empty if there is nothing to say


@dataclass
class Comparison:
    """Result of a comparison of features A and B.

    Attributes:
        crops: The matched crops, by number of crops.
        videos: By id in A, modality and crop, in A's order of crops.
        other_shapes: (id, modality, shape in A, shape in B), not compared. None: no such modality.
        only_a, only_b: Videos that only one side has, by their names there.
    """

    crops: dict[int, CropMatch] = field(default_factory=dict)
    videos: dict[str, dict[str, dict[str, Likeness]]] = field(default_factory=dict)
    other_shapes: list[tuple[str, str, Shape | None, Shape | None]] = field(default_factory=list)
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)

    def by_crop(self) -> dict[tuple[str, str], Likeness]:
        """Return the likeness over all videos, by modality and crop."""
        total: dict[tuple[str, str], Likeness] = {}
        for streams in self.videos.values():
            for stream, crops in streams.items():
                for crop, likeness in crops.items():
                    total.setdefault((stream, crop), Likeness()).add(likeness)
        return total

    @property
    def cosine_lowest(self) -> float:
        """The lowest cosine of all rows."""
        return min((part.cosine_lowest for part in self.by_crop().values()), default=1.0)

    def problems(self, tolerance: float = TOLERANCE) -> list[str]:
        """Return the reasons why A and B do not agree, one per line; empty if they agree.

        They agree if both have the same videos and shapes, crops are in the stated order, and no
        cosine is below `tolerance`.
        """
        lines = [f"only in A: {id}" for id in self.only_a]
        lines += [f"only in B: {id}" for id in self.only_b]
        for id, stream, a, b in self.other_shapes:
            lines.append(f"shape: {id}: {stream} is {a or 'absent'} in A, {b or 'absent'} in B")
        lines += [match.text for match in self.crops.values() if not match.stated]
        if self.cosine_lowest < tolerance:
            lines.append(f"cosine: the lowest is {self.cosine_lowest:.6f}, below {tolerance}")
        return lines


def compare(
    first: AnyPath | FeaturePack,
    second: AnyPath | FeaturePack,
    *,
    progress: ProgressCallback = silent,
) -> Comparison:
    """Compare two packs (.h5), folders of feature files or single feature files, in any mix.

    Videos are paired by id, or by the names of files (`datasets.names`); two single files are
    compared with each other. The layout of files is recognized by their names and shapes.

    Args:
        first: A.
        second: B.
        progress: Called for each video.

    Raises:
        InputError: If a path is none of these, a file cannot be read, or no video is in both.
        PackError: If a pack cannot be used.
        ManifestError: If a file's name stands for several videos.

    Example:
        >>> import vad_toolkit as vad
        >>> vad.compare("features.h5", "features.h5").problems()
        []
    """
    with ExitStack() as stack:
        a, b = _open(first, stack), _open(second, stack)
        pairs = _pairs(a, b)
        result = compare_sources(a, b, pairs, progress=progress)
    paired_a, paired_b = {id for id, _ in pairs}, {id for _, id in pairs}
    result.only_a = [id for id in a.ids if id not in paired_a]
    result.only_b = [id for id in b.ids if id not in paired_b]
    return result


def compare_sources(
    a: _Source, b: _Source, pairs: Sequence[tuple[str, str]], *, progress: ProgressCallback = silent
) -> Comparison:
    """Compare pairs of videos (id in A, id in B), with one block of each side in memory at a time.

    Raises VadError if features cannot be read.
    """
    result = Comparison()
    equal: list[_Pair] = []
    for id_a, id_b in pairs:
        shapes_a, shapes_b = a.shapes(id_a), b.shapes(id_b)
        for stream in dict.fromkeys((*shapes_a, *shapes_b)):
            there, other = shapes_a.get(stream), shapes_b.get(stream)
            if there is not None and there == other:
                equal.append((id_a, id_b, stream, there))
            else:
                result.other_shapes.append((id_a, stream, there, other))
    for count in sorted({shape[1] for *_, shape in equal}):
        alike = [video for video in equal if video[3][1] == count]
        result.crops[count] = _match_crops(a, b, alike, count)
    for done, (id_a, id_b, stream, shape) in enumerate(equal):
        progress(ProgressEvent("compare", done, len(equal), "videos", id_a))
        match = result.crops[shape[1]]
        parts = [Likeness() for _ in match.names]
        result.videos.setdefault(id_a, {})[stream] = dict(zip(match.names, parts, strict=True))
        rows = block_snippets(shape[1], shape[2])
        for start in range(0, shape[0], rows):
            stop = min(start + rows, shape[0])
            x = a.read(id_a, stream, start, stop).astype(np.float64)
            y = b.read(id_b, stream, start, stop).astype(np.float64)
            for part, likeness in zip(parts, _alike(x, y[:, match.index]), strict=True):
                part.add(likeness)
    progress(ProgressEvent("compare", len(equal), len(equal), "videos"))
    return result


def _alike(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[Likeness]:
    """Return one likeness per crop of (n, C, D)."""
    difference = np.abs(x - y).max(axis=2)  # (n, C)
    dots = np.einsum("ncd,ncd->nc", x, y)
    norms = np.linalg.norm(x, axis=2) * np.linalg.norm(y, axis=2)
    cosine = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0).clip(-1, 1)
    cosine[difference == 0] = 1
    return [
        Likeness(len(x), float(column.sum()), float(column.min()), float(largest))
        for column, largest in zip(cosine.T, difference.max(axis=0), strict=True)
    ]


def _match_crops(a: _Source, b: _Source, videos: Sequence[_Pair], count: int) -> CropMatch:
    names_a = a.crops if a.crops and len(a.crops) == count else None
    names_b = b.crops if b.crops and len(b.crops) == count else None
    stated = crop_index(names_b, names_a).tolist() if names_a and names_b else list(range(count))
    shown = names_a or tuple(f"crop {number}" for number in range(count))
    if count == 1:
        return CropMatch((0,), shown)
    from scipy.optimize import linear_sum_assignment

    cosines = _cosine_matrix(a, b, videos, count)
    crops, columns = linear_sum_assignment(cosines, maximize=True)  # each crop of B once
    found = columns.tolist()
    if cosines[crops, found].mean() - cosines[crops, stated].mean() > MARGIN:
        return CropMatch(tuple(found), shown, False, _order_text(names_a, names_b, found))
    text = ""
    if names_a and names_b and names_a != names_b:
        orders = f"A's crops are in the order {_named(names_a)}, B's in {_named(names_b)}"
        text = f"{orders}: compared by name"
    return CropMatch(tuple(stated), shown, text=text)


def _cosine_matrix(
    a: _Source, b: _Source, videos: Sequence[_Pair], count: int
) -> NDArray[np.float64]:
    """Return the mean cosine of A's crop i and B's crop j, (C, C), over a sample."""
    total = np.zeros((count, count))
    rows = 0
    for id_a, id_b, stream, shape in videos[:: max(1, len(videos) // SAMPLE_VIDEOS)]:
        start = max(0, (shape[0] - SAMPLE_SNIPPETS) // 2)
        stop = min(shape[0], start + SAMPLE_SNIPPETS)
        x = _unit(a.read(id_a, stream, start, stop))
        y = _unit(b.read(id_b, stream, start, stop))
        total += np.einsum("nid,njd->ij", x, y, optimize=True)
        rows += len(x)
    return total / rows


def _unit(features: Floats) -> NDArray[np.float64]:
    wide = features.astype(np.float64)
    norms = np.linalg.norm(wide, axis=2, keepdims=True)
    unit: NDArray[np.float64] = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    return unit


def _order_text(
    names_a: tuple[str, ...] | None, names_b: tuple[str, ...] | None, found: Sequence[int]
) -> str:
    """Describe the orders if B's crop found[i] is A's crop i."""
    if names_a:
        real_b = [names_a[crop] for crop in np.argsort(found)]
        stated = f", not in {_named(names_b)} as B states" if names_b else ""
        return f"B's crops are in the order {_named(real_b)}{stated}, A's in {_named(names_a)}"
    if names_b:
        real_a = [names_b[place] for place in found]
        return f"A's crops are in the order {_named(real_a)}, B's in {_named(names_b)}"
    orders = TEN_CROP_ORDERS if len(found) == 10 else FIVE_CROP_ORDERS
    known = [
        f"{other} if A's are in {name}"
        for name, order in orders.items()
        for other, order_b in orders.items()
        if len(order) == len(found) and crop_index(order_b, order).tolist() == list(found)
    ]
    if known:
        return f"B's crops are in the order {', or '.join(known)}"
    places = f"A's crops 0 to {len(found) - 1} are B's {', '.join(map(str, found))}"
    return f"B's crops are in an unnamed order: {places}"


def _named(crops: Sequence[str]) -> str:
    return order_name(crops) or f"[{', '.join(crops)}]"


class _PackSource:
    """Features by id and modality; `crops` names the crops in order, if the source states them."""

    is_file = False

    def __init__(self, pack: FeaturePack) -> None:
        self.name, self.ids, self._pack = str(pack.path), pack.ids, pack
        self.crops: tuple[str, ...] | None = tuple(pack.recipe.crop_order)

    def shapes(self, id: str) -> Mapping[str, Shape]:
        """Return (N, C, D) of a video by modality."""
        return {stream: self._pack.shape(id, stream) for stream in self._pack.recipe.streams}

    def read(self, id: str, stream: str, start: int, stop: int) -> Floats:
        """Return snippets [start, stop) as (n, C, D); the array is valid until the next call."""
        return self._pack.features(id, stream, start, stop)


class _FileSource:
    """Feature files. The id of a video is its files' name without suffix, crop and tags."""

    crops: tuple[str, ...] | None = None

    def __init__(self, path: Path) -> None:
        self.name, self.is_file = str(path), not path.is_dir()
        root, names = path.parent, [path.name]
        if not self.is_file:
            root, names = path, feature_files(path, feature_suffixes())
        self._layout = guess_layout([root / name for name in names])
        self._files: Files = {}
        add_files(
            self._files, root, names, self._layout, lambda name: list(name_forms(name))[-1], "rgb"
        )
        self.ids = tuple(self._files)
        self._open: tuple[str, str, Reader] | None = None

    def shapes(self, id: str) -> Mapping[str, Shape]:
        return {stream: self._reader(id, stream).shape for stream in self._files[id]}

    def read(self, id: str, stream: str, start: int, stop: int) -> Floats:
        return self._reader(id, stream).read(start, stop)

    def close(self) -> None:
        if self._open is not None:
            self._open[2].close()
            self._open = None

    def _reader(self, id: str, stream: str) -> Reader:
        if self._open is None or self._open[:2] != (id, stream):
            self.close()
            paths = [path for _, path in sorted(self._files[id][stream].items())]
            self._open = (id, stream, self._layout.open(paths))
        return self._open[2]


_Source = _PackSource | _FileSource


def _open(source: AnyPath | FeaturePack, stack: ExitStack) -> _Source:
    """Open the features of a path, which are closed with `stack`."""
    path = source.path if isinstance(source, FeaturePack) else Path(source)
    if path.is_dir() or path.suffix.lower() in feature_suffixes():
        return stack.enter_context(closing(_FileSource(path)))
    return _PackSource(stack.enter_context(FeaturePack.open(path)))


def _pairs(a: _Source, b: _Source) -> list[tuple[str, str]]:
    """Return the ids in A and in B of the videos that both have."""
    if isinstance(a, _PackSource) and isinstance(b, _PackSource):
        pairs = [(id, id) for id in sorted(set(a.ids) & set(b.ids))]
    elif a.is_file and b.is_file:
        pairs = [(a.ids[0], b.ids[0])]
    elif isinstance(b, _PackSource):  # a pack's ids have folders, which tell equal names apart
        pairs = [(id_a, id_b) for id_b, id_a in _find(a, b)]
    else:
        pairs = _find(b, a)
    if not pairs:
        raise InputError(
            f"no video is in both: {a.name} has {a.ids[0]!r}, {b.name} has {b.ids[0]!r}"
        )
    return pairs


def _find(files: _Source, known: _Source) -> list[tuple[str, str]]:
    """Return (id in `known`, id in `files`) of each file whose name stands for a known id."""
    index = NameIndex(known.ids)
    found: dict[str, str] = {}
    for name in files.ids:
        id = index.find(name)
        if id is not None and found.setdefault(id, name) != name:
            raise InputError(
                f"{files.name}: {found[id]!r} and {name!r} are both video {id!r}; remove one"
            )
    return list(found.items())
