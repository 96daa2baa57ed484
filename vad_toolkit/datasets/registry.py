"""Official manifests that come with the package."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.datasets.building.build import SIDES, TEST_FILE, TRAIN_FILE, VALIDATION_FILE
from vad_toolkit.datasets.dataset_info import INFO_FILE, DatasetInfo, read_dataset_info
from vad_toolkit.datasets.manifest import Entry, Manifest, read_manifest
from vad_toolkit.errors import InputError, ManifestError

_SHIPPED = Path(str(importlib.resources.files("vad_manifests")))


@dataclass(frozen=True)
class ShippedDataset:
    """The official split of a dataset; few publish a validation side too."""

    info: DatasetInfo
    train: Manifest
    test: Manifest
    validation: Manifest | None = None

    def __iter__(self) -> Iterator[Entry]:
        for manifest in self.sides.values():
            yield from manifest

    @property
    def sides(self) -> Mapping[str, Manifest]:
        """Manifests by side: train, then validation where there is one, then test."""
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: manifest for name, manifest in sides.items() if manifest is not None}


def shipped_dataset(name: str) -> ShippedDataset:
    """The official split that comes with the package, such as "ucf-crime".

    Raises:
        ManifestError: there is none of this name.
    """
    return read_dataset(_shipped_folder(name))


def read_dataset(folder: Path) -> ShippedDataset:
    """A split in a folder: `dataset.toml`, `train.jsonl`, `test.jsonl`, perhaps `validation.jsonl`.

    Raises:
        ManifestError: a file is missing or wrong; names file and line.
    """
    validation = folder / VALIDATION_FILE
    return ShippedDataset(
        info=read_dataset_info(folder / INFO_FILE),
        train=read_manifest(folder / TRAIN_FILE),
        test=read_manifest(folder / TEST_FILE),
        validation=read_manifest(validation) if validation.is_file() else None,
    )


def shipped_info(name: str) -> DatasetInfo:
    """Name, origin and terms of a shipped dataset.

    Raises:
        ManifestError: there is none of this name.
    """
    return read_dataset_info(_shipped_folder(name) / INFO_FILE)


def shipped_names() -> tuple[str, ...]:
    """Names of the datasets that come with the package, sorted."""
    return tuple(sorted(path.parent.name for path in _SHIPPED.glob(f"*/{INFO_FILE}")))


def find_manifest(name_or_file: str, side: str = "test") -> Manifest:
    """One side of a shipped dataset, by its name, or the manifest of a file.

    Args and errors are those of `manifest_file`; beside them:

    Raises:
        ManifestError: the file is no manifest.
    """
    return read_manifest(manifest_file(name_or_file, side))


def manifest_file(name_or_file: str, side: str = "test") -> Path:
    """The file of one side of a shipped dataset, by its name, or the file that is named.

    Args:
        name_or_file: a name in `shipped_names()`, which comes first, or a path.
        side: "train", "validation" or "test", of a shipped dataset; a file is one side already.

    Raises:
        InputError: neither such a dataset nor such a file, or no such side.
    """
    if side not in SIDES:
        raise InputError(f"side {side!r}: has to be one of {', '.join(SIDES)}")
    names = shipped_names()
    if name_or_file in names:
        path = _SHIPPED / name_or_file / SIDES[side]
        if not path.is_file():
            raise InputError(f"dataset {name_or_file} has no {side} side; choose train or test")
        return path
    path = Path(name_or_file)
    if not path.is_file():
        raise InputError(
            f"no manifest {name_or_file!r}: give a file (.jsonl) or one of {', '.join(names)}"
        )
    return path


def _shipped_folder(name: str) -> Path:
    names = shipped_names()
    if name not in names:
        raise ManifestError(f"no dataset {name!r} is shipped; there are {', '.join(names)}")
    return _SHIPPED / name
