"""Survey of many videos before a long run: facts, unusual properties and problems of each.

Every video is opened in a process that can be killed (`worker`), several at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from vad_toolkit.core.files import AnyPath
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.video.paths import find_videos
from vad_toolkit.video.probe import FRAMES, ContainerFacts
from vad_toolkit.video.reader import DecodeStats
from vad_toolkit.video.worker import DecodeWorker

Result = TypeVar("Result")
SMALL_SIDE = 224  # pixels; crop size of the networks
SNIPPET_FRAMES = 16


@dataclass(frozen=True)
class VideoReport:
    """One video, as its container describes it. Fields are 0, "" or None if unknown."""

    path: Path
    width: int = 0  # pixels, upright
    height: int = 0
    fps: float = 0.0
    frames: int = 0  # as the container states
    frames_decoded: int | None = None  # None if the video was not decoded
    codec: str = ""
    container: str = ""
    rotation: int = 0  # degrees clockwise
    decoder: str = ""  # the one that "auto" chooses
    seconds: float | None = None
    notes: tuple[str, ...] = ()  # unusual properties that are not problems
    problem: str = ""  # why the video cannot be used


@dataclass(frozen=True)
class Survey:
    """Reports on several videos, in order."""

    videos: tuple[VideoReport, ...]

    @property
    def unusable(self) -> tuple[VideoReport, ...]:
        """The videos that cannot be used."""
        return tuple(report for report in self.videos if report.problem)

    @property
    def summary(self) -> dict[str, float]:
        """Total `videos`, `frames` (decoded ones if known), `hours` and `cannot_be_used`."""
        counts = [(report.frames_decoded, report.frames) for report in self.videos]
        return {
            "videos": len(self.videos),
            "frames": sum(stated if decoded is None else decoded for decoded, stated in counts),
            "hours": round(sum(report.seconds or 0.0 for report in self.videos) / 3600, 2),
            "cannot_be_used": len(self.unusable),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the reports and the summary as JSON values, as `vad probe --json` prints them."""
        videos = [{**asdict(report), "path": str(report.path)} for report in self.videos]
        return {"videos": videos, "summary": self.summary}


def probe(
    videos: AnyPath | Iterable[AnyPath],
    *,
    decode: bool = False,
    jobs: int | None = None,
    timeout_seconds: float = 60.0,
    progress: ProgressCallback = silent,
) -> Survey:
    """Report the facts and problems of videos, without changing anything.

    Args:
        videos: Videos, or folders that are searched for them. A path that does not exist is
            reported as a problem.
        decode: Whether to read every frame. This is slow, but shows exactly which videos can be
            used. Otherwise only containers and first pictures are read.
        jobs: Number of videos opened at the same time. If None, one per CPU core.
        timeout_seconds: Longest wait for an answer before a video is given up.
        progress: Function that is called after each video.

    Raises:
        InputError: If an argument is not allowed, a folder has no videos, or it is unclear whether
            a folder is a video (`find_videos`).

    Example:
        >>> probe("videos").summary["cannot_be_used"]
        0
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs must be an integer >= 1, got {jobs}")
    paths = _gather([videos] if isinstance(videos, str | os.PathLike) else videos)
    lanes = min(jobs or os.cpu_count() or 1, max(len(paths), 1))
    reports = []
    for report in map_videos(partial(_report, decode=decode), paths, lanes, timeout_seconds):
        reports.append(report)
        progress(ProgressEvent("probe", len(reports), len(paths), "videos", str(report.path)))
    return Survey(_with_clashes(reports))


def _gather(inputs: Iterable[AnyPath]) -> list[Path]:
    """Return the videos that are named or found in folders. Paths that do not exist are kept."""
    videos: dict[Path, None] = {}
    for item in map(Path, inputs):
        if not (found := find_videos(item) if item.is_dir() else [item]):
            raise InputError(f"no videos in {str(item)!r} or its sub-folders")
        videos |= dict.fromkeys(found)
    return list(videos)


def map_videos(
    look: Callable[[DecodeWorker, Path], Result],
    paths: Iterable[Path],
    jobs: int,
    timeout_seconds: float = 60.0,
) -> Iterator[Result]:
    """Yield `look(worker, path)` for each path in order; `jobs` workers look at the same time."""
    free: SimpleQueue[DecodeWorker] = SimpleQueue()
    with ExitStack() as workers, ThreadPoolExecutor(jobs) as pool:
        for _ in range(jobs):
            free.put(workers.enter_context(DecodeWorker(timeout_seconds)))

        def work(path: Path) -> Result:
            worker = free.get()
            try:
                return look(worker, path)
            finally:
                free.put(worker)

        yield from pool.map(work, paths)  # an exception cancels the videos that wait


def _report(worker: DecodeWorker, path: Path, decode: bool) -> VideoReport:
    try:
        facts, decoder = worker.probe(path)
    except DecodeError as error:
        return VideoReport(path, problem=_without_path(error, path))
    problem = facts.structure.damage
    if facts.beyond_end and not problem:
        problem = f"cut short: {facts.beyond_end} of {facts.samples} frames are not in the file"
    count = None
    try:
        count = count_frames(worker, path).frames_decoded if decode else None
    except DecodeError as error:
        problem = _without_path(error, path)
    width, height = facts.upright_size
    frames = facts.frames_reported if facts.samples is None else facts.samples
    return VideoReport(
        path,
        width=width,
        height=height,
        fps=facts.fps,
        frames=frames,
        frames_decoded=count,
        codec=facts.codec,
        container=_container_name(facts),
        rotation=facts.rotation,
        decoder=decoder,
        seconds=(facts.frames_estimated or count or 0) / facts.fps if facts.fps > 0 else None,
        notes=tuple(_notes(facts, frames, count)),
        problem=problem,
    )


def count_frames(worker: DecodeWorker, path: Path) -> DecodeStats:
    """Decode a whole video, if necessary again with the decoder that a DecodeError names."""
    decoder = "auto"
    while True:
        try:
            with worker.stream(path, decoder) as stream:
                for _ in stream:
                    pass
                return stream.stats
        except DecodeError as error:
            if error.retry is None:
                raise
            decoder = error.retry


def _notes(facts: ContainerFacts, stated: int, decoded: int | None) -> Iterator[str]:
    """Yield descriptions of unusual properties."""
    if facts.cut:
        yield f"edit list hides {facts.frames_reported - (facts.samples or 0)} frames"
    if facts.varies:
        yield "frame rate varies"
    if facts.fps <= 0:
        yield "no frame rate"
    if facts.frames_reported == 0:
        yield "no frame count"
    in_file = facts.structure.packets
    if in_file is not None and facts.frames_reported not in (0, in_file):
        yield f"header states {facts.frames_reported} frames, {in_file} are in the file"
    elif decoded is not None and stated not in (0, decoded):
        yield f"header states {stated} frames"
    if min(facts.width, facts.height) < SMALL_SIDE:
        yield f"small: crops of {SMALL_SIDE} pixels are enlarged"
    frames = facts.frames_estimated if decoded is None else decoded
    if 0 < frames < SNIPPET_FRAMES:
        yield f"short: {frames} frames, but a snippet has {SNIPPET_FRAMES}"


def _container_name(facts: ContainerFacts) -> str:
    """Return FFmpeg's name of the container, if possible the one that is the file's suffix."""
    suffix = facts.path.suffix[1:].lower()
    names = facts.container.split(",")
    return suffix if facts.container != FRAMES and suffix in names else names[0]


def _without_path(error: DecodeError, path: Path) -> str:
    """Return an error message without the path, which is printed next to it."""
    return str(error).removeprefix(f"{path}: ").removeprefix(f"{path.absolute()}: ")


def _with_clashes(reports: Iterable[VideoReport]) -> tuple[VideoReport, ...]:
    """Add a note to videos that differ only in their suffix: a pack has one id for both."""
    first: dict[Path, Path] = {}
    found = []
    for report in reports:
        stem = report.path if report.container == FRAMES else report.path.with_suffix("")
        if (other := first.setdefault(stem, report.path)) != report.path:
            report = replace(report, notes=(*report.notes, f"the same id as {other.name}"))
        found.append(report)
    return tuple(found)
