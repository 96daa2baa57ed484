"""Two packs, folders of feature files or single files, opened and paired by their videos' names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vad_toolkit.datasets.names import NameIndex, name_forms
from vad_toolkit.errors import InputError
from vad_toolkit.features.compare import Comparison, Floats, compare
from vad_toolkit.features.layouts.find import feature_files
from vad_toolkit.features.layouts.guess import guess_layout
from vad_toolkit.features.layouts.layout import Layout
from vad_toolkit.features.layouts.reader import Reader
from vad_toolkit.features.pack import FeaturePack
from vad_toolkit.progress import ProgressCallback, silent

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
