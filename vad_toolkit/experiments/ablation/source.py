"""Data of an ablation: one pack for all seeds, or context-motion vectors drawn per seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any, Protocol

from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.manifest import read_manifest
from vad_toolkit.datasets.registry import find_manifest, manifest_file
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
    """Training and test data of a run. `test` is a manifest file, or the name of a dataset."""

    pack: Path
    train: Path
    test: str
    test_pack: Path


class Source(Protocol):
    """Data by seed. If `shared`, all seeds have the same data."""

    @property
    def shared(self) -> bool: ...

    def data(self, seed: int, progress: ProgressCallback = silent) -> Data:
        """Return the data of a seed, which are drawn first if they are missing."""

    def describe(self) -> dict[str, Any]:
        """Return plain values that are equal if and only if the data are."""


@dataclass(frozen=True)
class PackSource:
    """The same pack and manifests for every seed."""

    given: Data
    shared: bool = field(default=True, init=False)

    def data(self, seed: int, progress: ProgressCallback = silent) -> Data:
        """Return the given data."""
        return self.given

    def describe(self) -> dict[str, Any]:
        """Return the digests of packs and manifests.

        Raises:
            PackError, ManifestError: If one of them cannot be read.
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
    """Context-motion vectors of one level, drawn into `folder`/seed-N.

    Attributes:
        level, size: As for `write_vectors`.
        folder: The folder of the datasets.
        data_seed: Seed of one dataset for all seeds. If None, each seed has its own dataset, so
            that the spread over seeds includes the data.

    Raises:
        InputError: If the data seed is negative.
    """

    level: Level
    folder: Path
    data_seed: int | None = None
    size: Size = field(default_factory=Size)

    def __post_init__(self) -> None:
        if self.data_seed is not None and self.data_seed < 0:
            raise InputError(f"data seed must be per-seed or >= 0, got {self.data_seed}")

    @property
    def shared(self) -> bool:
        """True if all seeds have one dataset."""
        return self.data_seed is not None

    def data(self, seed: int, progress: ProgressCallback = silent) -> Data:
        """Return the dataset of a seed, which is drawn if it is missing or incomplete."""
        number = seed if self.data_seed is None else self.data_seed
        folder = self.folder / f"seed-{number}"
        if ready_vectors(folder, self.level, number, self.size) is None:
            rmtree(folder, ignore_errors=True)
            write_vectors(folder, self.level, number, self.size, progress=progress)
        drawn = VectorDataset.in_folder(folder)
        return Data(drawn.pack, drawn.train, str(drawn.test), drawn.pack)

    def describe(self) -> dict[str, Any]:
        """Return the benchmark, its level and the number of videos."""
        described = describe_vectors(self.level, self.data_seed, self.size)
        return {"kind": "context-motion vectors", **described}


def choose_source(
    folder: Path,
    *,
    pack: Path | None = None,
    manifest: str | None = None,
    test: str | None = None,
    test_pack: Path | None = None,
    level: str | None = None,
    data_seed: int | None = None,
) -> Source:
    """Return the source for what the user gave: a pack and manifests, or a context-motion level.

    Args:
        folder: The folder for drawn data.
        pack: Features of the training videos.
        manifest: Training manifest, or the name of a dataset.
        test: Test manifest, or the name of a dataset.
        test_pack: Features of the test videos. If None, `pack`.
        level: Level of context-motion vectors to draw instead.
        data_seed: Seed of one drawn dataset for all seeds. If None, one dataset per seed.

    Raises:
        InputError: If values are missing or do not go together, or there is no such dataset.
    """
    given = {"--pack": pack, "--manifest": manifest, "--test": test, "--test-pack": test_pack}
    if level is not None:
        if named := [name for name, value in given.items() if value is not None]:
            raise InputError(f"{named[0]} and --context-motion exclude each other; give one")
        return ContextMotionSource(Level(level), folder, data_seed)
    if data_seed is not None:
        raise InputError("--data-seed requires --context-motion, since a pack is not drawn")
    if pack is None or manifest is None or test is None:
        missing = next(name for name, value in given.items() if value is None)
        raise InputError(
            f"{missing} is missing; give --pack, --manifest and --test, or --context-motion LEVEL"
        )
    return PackSource(Data(pack, manifest_file(manifest, "train"), test, test_pack or pack))


def _content(path: Path) -> str:
    with FeaturePack.open(path) as pack:
        return pack.content_sha256
