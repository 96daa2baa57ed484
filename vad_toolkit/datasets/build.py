"""What every builder of manifests gives back, and how it is written to a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.datasets.dataset_info import INFO_FILE, DatasetInfo, write_dataset_info
from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.datasets.split import check_sides
from vad_toolkit.errors import InputError

TRAIN_FILE = "train.jsonl"
TEST_FILE = "test.jsonl"


@dataclass(frozen=True)
class BuiltDataset:
    """Train and test entries, ready to be written.

    `test` is empty where no test split was asked for. `notes` are lines that a user should read;
    `failures` name videos that were left out, one line each.

    Raises:
        ManifestError: a video or a source stands on both sides.
    """

    info: DatasetInfo
    train: tuple[Entry, ...]
    test: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_sides(self.train, self.test)


def write_dataset(built: BuiltDataset, out: Path) -> list[Path]:
    """Write `dataset.toml`, `train.jsonl` and, where there is one, `test.jsonl` into `out`.

    Returns:
        The files, in that order.

    Raises:
        InputError: `out` is a file, or holds one of the three already: nothing is overwritten.
        ManifestError: a side that has to be there holds no videos.
    """
    refuse_existing(out)
    info = out / INFO_FILE
    write_dataset_info(info, built.info)
    written = [info]
    for name, entries in ((TRAIN_FILE, built.train), (TEST_FILE, built.test)):
        if entries or name == TRAIN_FILE:
            write_manifest(out / name, entries)
            written.append(out / name)
    return written


def refuse_existing(out: Path) -> None:
    """Make sure that `write_dataset` would overwrite nothing in `out`.

    Raises:
        InputError: `out` is a file, or holds a manifest.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out has to name a folder")
    for name in (INFO_FILE, TRAIN_FILE, TEST_FILE):
        if (out / name).exists():
            raise InputError(f"{out / name} is there already; name another folder or remove it")
