"""Official manifests that come with the package."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.datasets.build import TEST_FILE, TRAIN_FILE
from vad_toolkit.datasets.dataset_info import INFO_FILE, DatasetInfo, read_dataset_info
from vad_toolkit.datasets.manifest import Entry, Manifest, read_manifest
from vad_toolkit.errors import ManifestError


@dataclass(frozen=True)
class ShippedDataset:
    """The official split of a dataset."""

    info: DatasetInfo
    train: Manifest
    test: Manifest

    def __iter__(self) -> Iterator[Entry]:
        yield from self.train
        yield from self.test


def shipped_dataset(name: str) -> ShippedDataset:
    """The official split that comes with the package, such as "cctv-fights".

    Raises:
        ManifestError: there is none of this name.
    """
    folder = Path(str(importlib.resources.files("vad_manifests"))) / name
    if not (folder / INFO_FILE).is_file():
        known = sorted(path.parent.name for path in folder.parent.glob(f"*/{INFO_FILE}"))
        raise ManifestError(f"no dataset {name!r} is shipped; there are {', '.join(known)}")
    return ShippedDataset(
        info=read_dataset_info(folder / INFO_FILE),
        train=read_manifest(folder / TRAIN_FILE),
        test=read_manifest(folder / TEST_FILE),
    )
