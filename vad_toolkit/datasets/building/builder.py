"""Manifests of a dataset from its raw videos: the function behind `vad manifest build`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vad_toolkit.core.files import AnyPath
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.building.binding import bind
from vad_toolkit.datasets.building.build import BuiltDataset, refuse_existing, write_dataset
from vad_toolkit.datasets.building.csv_file import build_csv_manifest
from vad_toolkit.datasets.building.folder import build_folder_manifest
from vad_toolkit.datasets.building.masks import with_masks
from vad_toolkit.datasets.registry import DATASETS, Dataset, load_dataset
from vad_toolkit.errors import InputError


@dataclass(frozen=True)
class BuiltManifests(os.PathLike[str]):
    """Manifests that were written to a folder; as a path it is that folder.

    Attributes:
        out: The folder.
        manifests: The manifest files by side; an empty side has none.
        notes: Everything that was reported while building, one problem or remark per line.
        failures: Videos that were left out because they cannot be read, one per line.
    """

    out: Path
    manifests: Mapping[str, Path]
    notes: tuple[str, ...]
    failures: tuple[str, ...]

    def __fspath__(self) -> str:
        return str(self.out)


def build_manifest(
    dataset: AnyPath,
    root: AnyPath,
    out: AnyPath,
    *,
    count: bool = False,
    timeout_seconds: float = 60.0,
    report: Callable[[str], None] | None = None,
    progress: ProgressCallback = silent,
    **options: Any,
) -> BuiltManifests:
    """Write `train.jsonl`, `test.jsonl` and `dataset.toml` for the videos in a folder.

    Args:
        dataset: The source of labels and splits: the name of a dataset, or a folder of manifests
            that somebody shared, which are bound to the videos (`binding.bind`); a CSV file
            (`build_csv_manifest`); or "folder" for videos in one sub-folder per class
            (`build_folder_manifest`).
        root: The folder of raw videos.
        out: The folder to write into; existing manifests are never overwritten.
        count: Whether to decode every video and count its frames, which is slow and exact.
        timeout_seconds: Seconds without a frame after which a video is given up.
        report: Called with each note and each problem of a video as soon as it is known, also if
            the build then fails.
        progress: Called after each video.
        options: For "folder" and CSV files `test_fraction`, `seed` and `name`, for "folder" also
            `normal`, `source_pattern`, `trimmed` and `events`, as of those functions. For datasets
            and shared manifests `allow_missing`, to leave out videos that cannot be used, and
            `masks`, a folder of masks to take events from (`masks.with_masks`).

    Raises:
        InputError: If an option is unknown or wrong, or `out` already holds a manifest.
        ManifestError: If a source file is wrong, or videos are missing or do not fit.

    Example:
        >>> built = build_manifest("folder", "videos", "manifests/mine", trimmed=True)
        >>> list(built.manifests)
        ['train', 'test']
    """
    root, out = Path(root), Path(out)
    refuse_existing(out)
    notes: list[str] = []

    def note(line: str) -> None:
        notes.append(line)
        if report is not None:
            report(line)

    build: Callable[..., BuiltDataset]
    if dataset == "folder":
        build = partial(build_folder_manifest, root)
    elif dataset not in DATASETS and Path(dataset).is_file():
        build = partial(build_csv_manifest, Path(dataset), root)
    else:
        build = partial(_bind, load_dataset(dataset), root, note)
    known = inspect.signature(build).parameters
    for name in options:
        if name not in known:
            raise InputError(
                f"option {name!r} does not apply to {dataset}; available: {', '.join(known)}"
            )
    built = build(count=count, timeout_seconds=timeout_seconds, progress=progress, **options)
    for line in (*built.notes, *(f"left out: {failure}" for failure in built.failures)):
        note(line)
    return BuiltManifests(out, write_dataset(built, out), tuple(notes), built.failures)


def _bind(
    dataset: Dataset,
    root: Path,
    note: Callable[[str], None],
    *,
    allow_missing: bool = False,
    masks: AnyPath | None = None,
    count: bool = False,
    timeout_seconds: float = 60.0,
    progress: ProgressCallback = silent,
) -> BuiltDataset:
    binding = bind(dataset, root, count=count, timeout_seconds=timeout_seconds, progress=progress)
    for line in binding.lines():
        note(line)
    built = binding.build(allow_missing)
    return built if masks is None else with_masks(built, Path(masks), progress=progress)
