"""How alike two sets of features are, by cosine and difference, and in which order their crops are.

Crops are compared by name where both sides name them. Whether that is right is measured: the mean
cosine of every crop of one side with every crop of the other says which belongs to which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.crops import FIVE_CROP_ORDERS, TEN_CROP_ORDERS, crop_index, order_name
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.names import NameIndex, name_forms
from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.feature_reader import Reader
from vad_toolkit.interchange.layouts.find import feature_files
from vad_toolkit.interchange.layouts.guess import guess_layout
from vad_toolkit.interchange.layouts.layout import Layout
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import block_snippets

# What is read to find the order: enough that chance does not decide, little beside the comparison.
SAMPLE_VIDEOS = 200
SAMPLE_SNIPPETS = 64
# How much better another order has to be, in mean cosine, to be believed over the stated one: crops
# of a scene that does not change are alike in any order.
MARGIN = 1e-3

Floats = NDArray[np.floating[Any]]


class FeatureSource(Protocol):
    """Features by id and stream. `crops` are their names, None where nobody states them."""

    name: str
    crops: tuple[str, ...] | None

    def shapes(self, id: str) -> Mapping[str, tuple[int, int, int]]:
        """(N, C, D) of a video by stream."""
        ...

    def read(self, id: str, stream: str, start: int, stop: int) -> Floats:
        """Snippets [start, stop), (n, C, D), valid until the next call."""
        ...


@dataclass
class Likeness:
    """Of rows of numbers: cosine of each with its counterpart, and the largest difference.

    Two rows of zeros have cosine 1, a row of zeros and another one 0.
    """

    rows: int = 0
    cosine_sum: float = 0.0
    cosine_lowest: float = 1.0
    largest_difference: float = 0.0

    @property
    def cosine_mean(self) -> float:
        """Over all rows; 1 where there are none."""
        return self.cosine_sum / self.rows if self.rows else 1.0

    def add(self, other: Likeness) -> None:
        """Take in what was measured on other rows."""
        self.rows += other.rows
        self.cosine_sum += other.cosine_sum
        self.cosine_lowest = min(self.cosine_lowest, other.cosine_lowest)
        self.largest_difference = max(self.largest_difference, other.largest_difference)


@dataclass(frozen=True)
class CropMatch:
    """Which crop of B is compared with which of A: `index[i]` is B's place of A's crop i.

    `stated` says that this is what the names say (or the order given, where there are none);
    `text` tells the orders, or is empty where there is nothing to tell.
    """

    index: tuple[int, ...]
    names: tuple[str, ...]
    stated: bool = True
    text: str = ""


@dataclass
class Comparison:
    """What was measured.

    Attributes:
        crops: by number of crops, how they were matched.
        videos: by id of A, stream and crop, in A's order of crops.
        other_shapes: (id, stream, shape in A, shape in B), not compared; None for a stream that
            one side lacks.
    """

    crops: dict[int, CropMatch] = field(default_factory=dict)
    videos: dict[str, dict[str, dict[str, Likeness]]] = field(default_factory=dict)
    other_shapes: list[tuple[str, str, tuple[int, ...] | None, tuple[int, ...] | None]] = field(
        default_factory=list
    )

    def by_crop(self) -> dict[tuple[str, str], Likeness]:
        """Over all videos, by stream and crop."""
        total: dict[tuple[str, str], Likeness] = {}
        for streams in self.videos.values():
            for stream, crops in streams.items():
                for crop, likeness in crops.items():
                    total.setdefault((stream, crop), Likeness()).add(likeness)
        return total

    @property
    def cosine_lowest(self) -> float:
        """Of all rows."""
        return min((part.cosine_lowest for part in self.by_crop().values()), default=1.0)


def compare(
    a: FeatureSource,
    b: FeatureSource,
    pairs: Sequence[tuple[str, str]],
    *,
    progress: ProgressCallback = silent,
) -> Comparison:
    """Compare videos; one block of each side is in memory at a time.

    Args:
        pairs: the id in A and the id in B of each video.

    Raises:
        VadError: features cannot be read.
    """
    result = Comparison()
    equal: list[tuple[str, str, str, tuple[int, int, int]]] = []
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
        parts = result.videos.setdefault(id_a, {}).setdefault(
            stream, {name: Likeness() for name in match.names}
        )
        for x, y in _blocks(a, b, id_a, id_b, stream, shape):
            for name, likeness in zip(match.names, _alike(x, y[:, match.index]), strict=True):
                parts[name].add(likeness)
    progress(ProgressEvent("compare", len(equal), len(equal), "videos"))
    return result


def _blocks(
    a: FeatureSource, b: FeatureSource, id_a: str, id_b: str, stream: str, shape: tuple[int, ...]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    rows = block_snippets(shape[1], shape[2])
    for start in range(0, shape[0], rows):
        stop = min(start + rows, shape[0])
        yield (
            a.read(id_a, stream, start, stop).astype(np.float64),
            b.read(id_b, stream, start, stop).astype(np.float64),
        )


def _alike(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[Likeness]:
    """One for each crop of (n, C, D)."""
    difference = np.abs(x - y).max(axis=2)  # (n, C)
    dots = np.einsum("ncd,ncd->nc", x, y)
    norms = np.linalg.norm(x, axis=2) * np.linalg.norm(y, axis=2)
    cosine = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0).clip(-1, 1)
    cosine[difference == 0] = 1
    return [
        Likeness(len(x), float(column.sum()), float(column.min()), float(largest))
        for column, largest in zip(cosine.T, difference.max(axis=0), strict=True)
    ]


def _match_crops(
    a: FeatureSource,
    b: FeatureSource,
    videos: Sequence[tuple[str, str, str, tuple[int, int, int]]],
    count: int,
) -> CropMatch:
    names_a = a.crops if a.crops and len(a.crops) == count else None
    names_b = b.crops if b.crops and len(b.crops) == count else None
    stated = list(range(count))
    if names_a and names_b:
        stated = crop_index(names_b, names_a).tolist()
    shown = names_a or tuple(f"crop {number}" for number in range(count))
    if count == 1:
        return CropMatch((0,), shown)
    cosines = _cosine_matrix(a, b, videos, count)
    found = _assign(cosines)
    crops = np.arange(count)
    gain = cosines[crops, found].mean() - cosines[crops, stated].mean()
    if gain <= MARGIN:
        text = ""
        if names_a and names_b and names_a != names_b:
            text = (
                f"A's crops are in the order {_named(names_a)}, B's in {_named(names_b)}: compared "
                "by name"
            )
        return CropMatch(tuple(stated), shown, text=text)
    return CropMatch(tuple(found), shown, stated=False, text=_order_text(names_a, names_b, found))


def _cosine_matrix(
    a: FeatureSource,
    b: FeatureSource,
    videos: Sequence[tuple[str, str, str, tuple[int, int, int]]],
    count: int,
) -> NDArray[np.float64]:
    """Mean cosine of A's crop i and B's crop j, (C, C), over a sample."""
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


def _assign(cosines: NDArray[np.float64]) -> list[int]:
    """For each crop of A one of B, each once, so that the sum of cosines is the largest."""
    from scipy.optimize import linear_sum_assignment

    _, columns = linear_sum_assignment(cosines, maximize=True)
    return [int(column) for column in columns]


def _order_text(
    names_a: tuple[str, ...] | None, names_b: tuple[str, ...] | None, found: Sequence[int]
) -> str:
    """What the orders are, when B's crop found[i] is A's crop i."""
    if names_a:
        real_b = [""] * len(found)
        for crop, place in zip(names_a, found, strict=True):
            real_b[place] = crop
        stated = f", not in {_named(names_b)} as B says" if names_b else ""
        return f"B's crops are in the order {_named(real_b)}{stated}, A's in {_named(names_a)}"
    if names_b:
        real_a = [names_b[place] for place in found]
        return f"A's crops are in the order {_named(real_a)}, B's in {_named(names_b)}"
    orders = TEN_CROP_ORDERS if len(found) == 10 else FIVE_CROP_ORDERS
    known = [
        f"{other} where A's are in {name}"
        for name, order in orders.items()
        for other, order_b in orders.items()
        if len(order) == len(found) and crop_index(order_b, order).tolist() == list(found)
    ]
    if known:
        return f"B's crops are in the order {', or '.join(known)}"
    return f"B's crops are in an order without a name: A's crops 0 to {len(found) - 1} are B's " + (
        ", ".join(map(str, found))
    )


def _named(crops: Sequence[str]) -> str:
    return order_name(crops) or f"[{', '.join(crops)}]"


# Two packs, folders of feature files or single files, opened and paired by their videos' names.

FILE_SUFFIXES = (".npy", ".npz", ".txt")


@dataclass
class ComparisonReport:
    """`result`, and the videos that only one side has, by the names that it gives them."""

    result: Comparison
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)

    def problems(self, tolerance: float) -> list[str]:
        """Why A and B do not agree, one line a reason; empty where they do.

        They agree when both have the same videos and shapes, crops are in the order that is stated,
        and no cosine is below `tolerance`.
        """
        lines = [f"only in A: {id}" for id in self.only_a]
        lines += [f"only in B: {id}" for id in self.only_b]
        for id, stream, a, b in self.result.other_shapes:
            lines.append(f"shape: {id}: {stream} is {a or 'not'} in A, {b or 'not'} in B")
        lines += [match.text for match in self.result.crops.values() if not match.stated]
        if self.result.cosine_lowest < tolerance:
            lines.append(
                f"cosine: the lowest is {self.result.cosine_lowest:.6f}, allowed is {tolerance}"
            )
        return lines


def compare_paths(a: Path, b: Path, *, progress: ProgressCallback = silent) -> ComparisonReport:
    """Compare two packs (.h5), folders of feature files, or single feature files, in any mix.

    Videos are paired by id, or by the names of files (`datasets.names`); two single files are
    paired as they are. Which layout files have is told by their names and shapes.

    Raises:
        InputError: a path is none of these, or a file cannot be read, or no video is in both.
        PackError: a pack cannot be used. ManifestError: a name stands for several videos.
    """
    with ExitStack() as stack:
        source_a, source_b = (stack.enter_context(_open(path)) for path in (a, b))
        pairs = _pairs(source_a, source_b)
        result = compare(source_a, source_b, pairs, progress=progress)
    paired_a, paired_b = {id for id, _ in pairs}, {id for _, id in pairs}
    return ComparisonReport(
        result,
        [id for id in source_a.ids if id not in paired_a],
        [id for id in source_b.ids if id not in paired_b],
    )


class _PackSource:
    def __init__(self, pack: FeaturePack) -> None:
        self.name = str(pack.path)
        self.crops: tuple[str, ...] | None = tuple(pack.recipe.crop_order)
        self.ids: Sequence[str] = pack.ids
        self.is_file = False
        self._pack = pack

    def shapes(self, id: str) -> Mapping[str, tuple[int, int, int]]:
        return {stream: self._pack.shape(id, stream) for stream in self._pack.recipe.streams}

    def read(self, id: str, stream: str, start: int, stop: int) -> Floats:
        return self._pack.features(id, stream, start, stop)


class _FileSource:
    """Feature files; a video's id is its files' name without suffix, crop and tags."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.crops: tuple[str, ...] | None = None
        root, names = path.parent, [path.name]
        if path.is_dir():
            root, names = path, feature_files(path, FILE_SUFFIXES)
        self._layout: Layout = guess_layout([root / name for name in names])
        self._files: dict[str, dict[str, dict[int, Path]]] = {}
        for name in names:
            parsed = self._layout.parse(name)
            if parsed is None:
                continue
            *_, id = name_forms(parsed.video)
            crops = self._files.setdefault(id, {}).setdefault(parsed.stream or "rgb", {})
            if parsed.crop in crops:
                raise InputError(
                    f"{crops[parsed.crop]} and {root / name} both are video {id!r}; remove one"
                )
            crops[parsed.crop] = root / name
        self.ids: Sequence[str] = tuple(self._files)
        self.is_file = not path.is_dir()
        self._open: tuple[str, str, Reader] | None = None

    def shapes(self, id: str) -> Mapping[str, tuple[int, int, int]]:
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
            crops = self._files[id][stream]
            paths = [crops[number] for number in sorted(crops)]
            self._open = (id, stream, self._layout.open(paths))
        return self._open[2]


_Source = _PackSource | _FileSource


@contextmanager
def _open(path: Path) -> Iterator[_Source]:
    if path.is_dir() or path.suffix.lower() in FILE_SUFFIXES:
        source = _FileSource(path)
        try:
            yield source
        finally:
            source.close()
    else:
        with FeaturePack.open(path) as pack:
            yield _PackSource(pack)


def _pairs(a: _Source, b: _Source) -> list[tuple[str, str]]:
    """Ids of A and of B that are one video."""
    if isinstance(a, _PackSource) and isinstance(b, _PackSource):
        pairs = [(id, id) for id in sorted(set(a.ids) & set(b.ids))]
    elif a.is_file and b.is_file:
        pairs = [(a.ids[0], b.ids[0])]
    elif isinstance(b, _PackSource):  # a pack's ids have folders, by which names are told apart
        pairs = [(id_a, id_b) for id_b, id_a in _find(a, b)]
    else:
        pairs = _find(b, a)
    if not pairs:
        raise InputError(
            f"no video is in both: {a.name} has {a.ids[0]!r}, {b.name} has {b.ids[0]!r}"
        )
    return pairs


def _find(files: _Source, known: _Source) -> list[tuple[str, str]]:
    """(id of `known`, id of `files`) of each file whose name stands for a known id."""
    index = NameIndex(known.ids)
    found: dict[str, str] = {}
    for name in files.ids:
        id = index.find(name)
        if id is None:
            continue
        if id in found:
            raise InputError(
                f"{files.name}: {found[id]!r} and {name!r} both are video {id!r}; remove one"
            )
        found[id] = name
    return list(found.items())
