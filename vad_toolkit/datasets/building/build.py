"""A dataset that was built, before it is written, and the files that it is written to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from vad_toolkit.core.files import check_new_file
from vad_toolkit.datasets.dataset_info import INFO_FILE, DatasetInfo, write_dataset_info
from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.datasets.source_split import check_sides
from vad_toolkit.errors import InputError, ManifestError

TRAIN_FILE, VALIDATION_FILE, TEST_FILE = "train.jsonl", "validation.jsonl", "test.jsonl"
# Files by side.
SIDES: Mapping[str, str] = {"train": TRAIN_FILE, "validation": VALIDATION_FILE, "test": TEST_FILE}


@dataclass(frozen=True)
class BuiltDataset:
    """Entries of a dataset's sides, ready to be written; a side that was not wanted is empty.

    Raises ManifestError if a video or a source is on two sides.
    """

    info: DatasetInfo  # the content of `dataset.toml`
    train: tuple[Entry, ...]
    test: tuple[Entry, ...]
    notes: tuple[str, ...] = ()  # lines that the user should read
    failures: tuple[str, ...] = ()  # videos that were left out, with the reason, one per line
    validation: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        for (first, some), (second, others) in combinations(self.sides.items(), 2):
            check_sides(some, others, (first, second))

    @property
    def sides(self) -> Mapping[str, tuple[Entry, ...]]:
        """Entries by side, in the order of `SIDES`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def write_dataset(built: BuiltDataset, out: Path) -> dict[str, Path]:
    """Write `dataset.toml` and the manifests of the sides that are not empty into a folder.

    Returns:
        The manifests by side, in the order of `SIDES`.

    Raises:
        InputError: If `out` is a file or already holds one of the files (`refuse_existing`).
        ManifestError: If there are no videos at all.
    """
    refuse_existing(out)
    if not any(built.sides.values()):
        raise ManifestError(f"{out}: not written, since there are no videos for it")
    write_dataset_info(out / INFO_FILE, built.info)
    written = {side: out / SIDES[side] for side, entries in built.sides.items() if entries}
    for side, path in written.items():
        write_manifest(path, built.sides[side])
    return written


def refuse_existing(out: Path) -> None:
    """Raise InputError if a folder is a file, or holds a manifest or a `dataset.toml`."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out must name a folder")
    for name in (INFO_FILE, *SIDES.values()):
        check_new_file(out / name, "manifests")
