"""Datasets by name: those that come with the package, and those that plugins register.

A dataset is a folder with `dataset.toml`, `train.jsonl`, `test.jsonl` and, for a few,
`validation.jsonl`. Wherever a manifest is taken, a dataset's name stands for one of its sides.
"""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.files import AnyPath
from vad_toolkit.core.registry import Registry
from vad_toolkit.datasets.building.build import SIDES
from vad_toolkit.datasets.dataset_info import INFO_FILE, DatasetInfo, read_dataset_info
from vad_toolkit.datasets.manifest import Entry, Manifest, read_manifest
from vad_toolkit.errors import InputError

ALL_SIDES = "all"
RESERVED = ("folder", "csv", "shared")  # the other sources of `vad manifest build`

_SHIPPED = Path(str(importlib.resources.files("vad_manifests")))

DATASETS: Registry[Path] = Registry(
    "dataset", {info.parent.name: info.parent for info in sorted(_SHIPPED.glob(f"*/{INFO_FILE}"))}
)


@dataclass(frozen=True)
class Dataset:
    """The official split of a dataset. Few datasets have a validation side."""

    info: DatasetInfo
    train: Manifest
    test: Manifest
    validation: Manifest | None = None

    def __iter__(self) -> Iterator[Entry]:
        for manifest in self.sides.values():
            yield from manifest

    @property
    def sides(self) -> Mapping[str, Manifest]:
        """Manifests by side: train, validation if there is one, test."""
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: manifest for name, manifest in sides.items() if manifest is not None}


def register_dataset(name: str, folder: AnyPath) -> None:
    """Register a dataset, so that its name can be used like that of a built-in one.

    Args:
        name: The name, which `dataset.toml` must state too.
        folder: The folder with `dataset.toml`, `train.jsonl`, `test.jsonl` and perhaps
            `validation.jsonl`.

    Raises:
        InputError: If the name is taken or reserved, or differs from that in `dataset.toml`.
        ManifestError: If the folder has no valid `dataset.toml`.

    Example:
        >>> register_dataset("site-7", Path(__file__).parent / "site-7")  # doctest: +SKIP
    """
    info = read_dataset_info(Path(folder) / INFO_FILE)
    if name in RESERVED:
        raise InputError(f"a dataset cannot be called {name!r}; reserved: {', '.join(RESERVED)}")
    if info.name != name:
        raise InputError(f"{Path(folder) / INFO_FILE}: name is {info.name!r}; it must be {name!r}")
    DATASETS.register(name, Path(folder).absolute())


def list_datasets() -> list[str]:
    """Return the names of all datasets, built in and registered.

    Example:
        >>> "ucf-crime" in list_datasets()
        True
    """
    return list(DATASETS)


def load_dataset(dataset: AnyPath) -> Dataset:
    """Load all sides of a dataset: a name in `DATASETS`, or a folder of the same form.

    Raises:
        InputError: If the name is unknown.
        ManifestError: If a file is missing or wrong; the message names file and line.
    """
    is_folder = isinstance(dataset, Path) or (dataset not in DATASETS and Path(dataset).is_dir())
    folder = Path(dataset) if is_folder else DATASETS[str(dataset)]
    validation = folder / SIDES["validation"]
    return Dataset(
        info=read_dataset_info(folder / INFO_FILE),
        train=read_manifest(folder / SIDES["train"]),
        test=read_manifest(folder / SIDES["test"]),
        validation=read_manifest(validation) if validation.is_file() else None,
    )


def find_manifest(manifest: AnyPath | Manifest, side: str = "test") -> Manifest:
    """Return the manifest that a dataset's name and side, or a file, stand for.

    A manifest is returned as it is. A dataset's name comes before a file of the same name, unless
    it is given as a path object. The side "all" stands for all sides in one manifest; a file is one
    side already.

    Raises:
        InputError: If there is no such dataset, file or side.
        ManifestError: If the file is not a valid manifest.
    """
    if isinstance(manifest, Manifest):
        return manifest
    if side == ALL_SIDES and is_dataset(manifest):
        dataset = load_dataset(os.fspath(manifest))
        return Manifest(tuple(dataset), dataset.info.name, dataset.info.rules)
    return read_manifest(manifest_file(manifest, "test" if side == ALL_SIDES else side))


def manifest_file(manifest: AnyPath, side: str = "test") -> Path:
    """Return the file of one side of a named dataset, or the file that is named.

    Args and errors are those of `find_manifest`; the side must be a single one.
    """
    if side not in SIDES:
        raise InputError(f"unknown side {side!r}; available: {', '.join((*SIDES, ALL_SIDES))}")
    if is_dataset(manifest):
        path = DATASETS[os.fspath(manifest)] / SIDES[side]
        if not path.is_file():
            raise InputError(f"dataset {manifest} has no {side} side; choose train or test")
        return path
    if not Path(manifest).is_file():
        raise InputError(
            f"no manifest {str(manifest)!r}; give a file (.jsonl) or a dataset: "
            f"{', '.join(DATASETS)}"
        )
    return Path(manifest)


def is_dataset(manifest: AnyPath) -> bool:
    """Return whether a manifest is given by the name of a dataset, and not as a file."""
    is_file = isinstance(manifest, os.PathLike) and Path(manifest).is_file()
    return not is_file and os.fspath(manifest) in DATASETS
