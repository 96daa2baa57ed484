"""What every builder of manifests gives back, and how it is written to a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from vad_toolkit.datasets.dataset_info import INFO_FILE, DatasetInfo, write_dataset_info
from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.datasets.source_split import check_sides
from vad_toolkit.errors import InputError, ManifestError

TRAIN_FILE = "train.jsonl"
VALIDATION_FILE = "validation.jsonl"
TEST_FILE = "test.jsonl"
SIDES: Mapping[str, str] = {
    "train": TRAIN_FILE,
    "validation": VALIDATION_FILE,
    "test": TEST_FILE,
}  # file by side


@dataclass(frozen=True)
class BuiltDataset:
    """Train and test entries, ready to be written.

    `test` is empty where no test split was asked for, `validation` where the dataset has none.
    `notes` are lines that a user should read; `failures` name videos that were left out, one line
    each.

    Raises:
        ManifestError: a video or a source stands on two sides.
    """

    info: DatasetInfo
    train: tuple[Entry, ...]
    test: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    validation: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        for (first, some), (second, others) in combinations(self.sides.items(), 2):
            check_sides(some, others, (first, second))

    @property
    def sides(self) -> Mapping[str, tuple[Entry, ...]]:
        """Entries by side, in the order of `SIDES`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def write_dataset(built: BuiltDataset, out: Path) -> list[Path]:
    """Write `dataset.toml` and the sides that are not empty to `out`.

    Returns:
        The files: `dataset.toml`, then those of the sides in the order of `SIDES`.

    Raises:
        InputError: `out` is a file, or holds one of them already: nothing is overwritten.
        ManifestError: there are no videos at all.
    """
    refuse_existing(out)
    if not any(built.sides.values()):
        raise ManifestError(f"{out}: not written, since there are no videos for it")
    info = out / INFO_FILE
    write_dataset_info(info, built.info)
    written = [info]
    for side, entries in built.sides.items():
        if entries:
            write_manifest(out / SIDES[side], entries)
            written.append(out / SIDES[side])
    return written


def refuse_existing(out: Path) -> None:
    """Make sure that `write_dataset` would overwrite nothing in `out`.

    Raises:
        InputError: `out` is a file, or holds a manifest.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out has to name a folder")
    for name in (INFO_FILE, *SIDES.values()):
        if (out / name).exists():
            raise InputError(f"{out / name} is there already; name another folder or remove it")
