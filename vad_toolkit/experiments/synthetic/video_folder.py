"""A folder of rendered videos with their manifests; a second run draws only missing videos.

OUT/dataset.json             what was drawn; a folder holds one dataset only
OUT/videos/<id>.mp4          complete or missing, never partial
OUT/manifests/{train,test}.jsonl, dataset.toml
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.files import TEMPORARY_MARK, claim_folder
from vad_toolkit.core.processes import run_tasks
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent
from vad_toolkit.datasets.building.build import SIDES
from vad_toolkit.datasets.dataset_info import INFO_FILE, DatasetInfo, write_dataset_info
from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.errors import InputError
from vad_toolkit.video.encode import write_video

RECORD_FILE = "dataset.json"
SPLITS = ("train", "test")
LEAST_SIDE = 32  # pixels


class Planned(Protocol):
    """A video before it is drawn."""

    @property
    def id(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def label(self) -> int: ...
    @property
    def frames(self) -> int: ...
    @property
    def events(self) -> tuple[tuple[int, int], ...]: ...


Plan = TypeVar("Plan", bound=Planned)


@dataclass(frozen=True)
class VideoSettings:
    """Frame rate, size in pixels and H.264 constant rate factor. Raises InputError."""

    fps: int = 15
    height: int = 128
    width: int = 160
    crf: int = 20

    def __post_init__(self) -> None:
        if self.fps < 1:
            raise InputError(f"fps must be an integer >= 1, got {self.fps}")
        for name, value in (("height", self.height), ("width", self.width)):
            if value < LEAST_SIDE or value % 2:
                raise InputError(f"{name} must be even and >= {LEAST_SIDE} pixels, got {value}")
        if not 0 <= self.crf <= 51:
            raise InputError(f"crf must be between 0 and 51, got {self.crf}")


@dataclass(frozen=True)
class RenderedDataset:
    """The videos' folder, the manifests, and the numbers of newly drawn and of kept videos."""

    videos: Path
    train: Path
    test: Path
    rendered: int
    reused: int


def render_folder(
    out: Path,
    record: Mapping[str, Any],
    info: DatasetInfo,
    plans: Sequence[Plan],
    draw: Callable[[Plan], Iterator[NDArray[np.uint8]]],
    class_name: Callable[[Plan], str],
    settings: VideoSettings,
    jobs: int,
    progress: ProgressCallback,
) -> RenderedDataset:
    """Render the missing videos of a dataset, and write its manifests.

    Args:
        out: A new or empty folder, or one of the same dataset.
        record: Everything that decides the videos.
        info: The content of `dataset.toml`.
        plans: The videos, in the order of the manifests.
        draw: Yields the frames of a video, (height, width, 3) RGB; must be picklable.
        class_name: Returns the class of an abnormal video.
        settings: Frame rate and compression.
        jobs: Number of processes; -1 for one per core.
        progress: Called with the number of videos done.

    Raises:
        InputError: If `out` holds something else, or `jobs` is out of range.
    """
    if jobs != -1 and jobs < 1:
        raise InputError(f"jobs must be >= 1, or -1 for one per core, got {jobs}")
    claim_folder(out, RECORD_FILE, record, "a dataset")
    videos, manifests = out / "videos", out / "manifests"
    for stale in videos.rglob(f"*{TEMPORARY_MARK}*"):
        stale.unlink()
    missing = [plan for plan in plans if not _file(videos, plan).exists()]
    reused = len(plans) - len(missing)
    render = partial(_render, videos, draw, settings)
    workers = len(os.sched_getaffinity(0)) if jobs == -1 else jobs
    for done, (plan, _) in enumerate(run_tasks(render, missing, workers), start=reused + 1):
        progress(ProgressEvent("render", done, len(plans), "videos", plan.id))
    write_dataset_info(manifests / INFO_FILE, info)
    for split in SPLITS:
        entries = (
            manifest_entry(plan, f"{plan.id}.mp4", class_name, float(settings.fps))
            for plan in plans
            if plan.split == split
        )
        write_manifest(manifests / SIDES[split], entries)
    train, test = (manifests / SIDES[split] for split in SPLITS)
    return RenderedDataset(videos, train, test, len(missing), reused)


def manifest_entry(
    plan: Plan, path: str, class_name: Callable[[Plan], str], fps: float | None
) -> Entry:
    """Return the manifest line of a video; training videos have no events."""
    return Entry(
        id=plan.id,
        path=path,
        label=1 if plan.label else 0,
        classes=(class_name(plan),) if plan.label else (),
        frames=plan.frames,
        container_frames=plan.frames,
        fps=fps,
        events=plan.events if plan.split == "test" else None,
    )


def _file(videos: Path, plan: Planned) -> Path:
    return videos / f"{plan.id}.mp4"


def _render(
    videos: Path,
    draw: Callable[[Plan], Iterator[NDArray[np.uint8]]],
    settings: VideoSettings,
    plan: Plan,
) -> None:
    write_video(_file(videos, plan), draw(plan), settings.fps, settings.crf)
