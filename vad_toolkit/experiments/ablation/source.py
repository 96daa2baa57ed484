"""Where an ablation's data come from: one pack for all seeds, or data drawn for each seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any, Protocol

from vad_toolkit.core.progress import ProgressCallback, ProgressEvent
from vad_toolkit.datasets.manifest import read_manifest
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.errors import InputError
from vad_toolkit.experiments.context_motion.courses import Level, Size
from vad_toolkit.experiments.context_motion.vectors import (
    VectorDataset,
    describe_vectors,
    ready_vectors,
    write_vectors,
)
from vad_toolkit.packs.pack import FeaturePack


@dataclass(frozen=True)
class Data:
    """What one run is trained and tested on. `test`: a file, or the name of a shipped dataset."""

    pack: Path
    train: Path
    test: str
    test_pack: Path


class Source(Protocol):
    """Data by seed. `shared`: all seeds have the same test videos."""

    @property
    def shared(self) -> bool: ...

    def prepare(self, seeds: Sequence[int], progress: ProgressCallback) -> None:
        """Make what is to be made; what is there is kept."""

    def data(self, seed: int) -> Data:
        """The data of a seed, once they are prepared."""

    def describe(self) -> dict[str, Any]:
        """What the data are, in plain values: equal descriptions are equal data."""


@dataclass(frozen=True)
class PackSource:
    """The same pack and manifests for every seed."""

    given: Data
    shared: bool = field(default=True, init=False)

    def prepare(self, seeds: Sequence[int], progress: ProgressCallback) -> None:
        """Nothing is to be made."""

    def data(self, seed: int) -> Data:
        """The one there is."""
        return self.given

    def describe(self) -> dict[str, Any]:
        """Digests of packs and manifests.

        Raises:
            PackError, ManifestError: one of them cannot be read.
        """
        test = find_manifest(self.given.test)
        return {
            "kind": "pack",
            "dataset": test.dataset,
            "pack_sha256": _content(self.given.pack),
            "manifest_sha256": read_manifest(self.given.train).sha256,
            "test_pack_sha256": _content(self.given.test_pack),
            "test_manifest_sha256": test.sha256,
        }


@dataclass(frozen=True)
class ContextMotionSource:
    """The context-motion vectors of one level, drawn into `folder`/seed-N.

    `data_seed`: of the one dataset that all seeds share; None draws a dataset for each seed, by its
    number, so that differences between seeds are differences between datasets too.

    Raises:
        InputError: a negative seed.
    """

    level: Level
    folder: Path
    data_seed: int | None = None
    size: Size = field(default_factory=Size)

    def __post_init__(self) -> None:
        if self.data_seed is not None and self.data_seed < 0:
            raise InputError(f"data seed {self.data_seed}: has to be 0 or more, or per-seed")

    @property
    def shared(self) -> bool:
        """Whether all seeds have one dataset."""
        return self.data_seed is not None

    def prepare(self, seeds: Sequence[int], progress: ProgressCallback) -> None:
        """Draw what is missing; a dataset that is not whole is drawn again."""
        wanted = list(dict.fromkeys(self._number(seed) for seed in seeds))
        for done, number in enumerate(wanted, start=1):
            folder = self._folder(number)
            if ready_vectors(folder, self.level, number, self.size) is None:
                rmtree(folder, ignore_errors=True)
                write_vectors(folder, self.level, number, self.size)
            progress(ProgressEvent("draw", done, len(wanted), "datasets", folder.name))

    def data(self, seed: int) -> Data:
        """The dataset of a seed."""
        drawn = VectorDataset.in_folder(self._folder(self._number(seed)))
        return Data(drawn.pack, drawn.train, str(drawn.test), drawn.pack)

    def describe(self) -> dict[str, Any]:
        """Benchmark, level, and how many videos."""
        described = describe_vectors(self.level, self.data_seed, self.size)
        return {"kind": "context-motion vectors", **described}

    def _number(self, seed: int) -> int:
        return seed if self.data_seed is None else self.data_seed

    def _folder(self, number: int) -> Path:
        return self.folder / f"seed-{number}"


def _content(path: Path) -> str:
    with FeaturePack.open(path) as pack:
        return pack.content_sha256
