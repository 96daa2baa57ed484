"""What is wrong in a set of videos, before a long run spends hours to find out.

Every file is opened in a process that can be killed (`worker`), several side by side.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.video.paths import find_videos, is_frame_folder
from vad_toolkit.video.probe import FRAMES, ContainerFacts
from vad_toolkit.video.reader import DecodeStats
from vad_toolkit.video.worker import DecodeWorker

SMALL_SIDE = 224  # pixels; the networks' crops
SNIPPET_FRAMES = 16


@dataclass(frozen=True)
class VideoReport:
    """One video, as its container describes it.

    `width`, `height`: in pixels, upright; 0 where unknown, as all is of a file that cannot be
    opened. `fps`: 0.0 where unknown. `frames`: by the container, 0 where it names none.
    `frames_decoded`: None where it was not decoded. `rotation`: degrees clockwise. `decoder`: what
    "auto" takes. `notes`: what is unusual, and no fault. `problem`: why it cannot be used, "" where
    it can.
    """

    path: Path
    width: int = 0
    height: int = 0
    fps: float = 0.0
    frames: int = 0
    frames_decoded: int | None = None
    codec: str = ""
    container: str = ""
    rotation: int = 0
    decoder: str = ""
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    problem: str = ""


def gather(inputs: Sequence[Path]) -> list[Path]:
    """Videos named one by one, and all below folders; what is not there stays, to be reported.

    Raises InputError for a folder without videos, or as `find_videos` does.
    """
    videos: dict[Path, None] = {}
    for item in inputs:
        if not item.is_dir() or is_frame_folder(item):
            videos[item] = None
            continue
        found = find_videos(item)
        if not found:
            raise InputError(f"no videos below {str(item)!r}")
        videos |= dict.fromkeys(found)
    return list(videos)


def survey(
    videos: Sequence[Path],
    *,
    decode: bool = False,
    jobs: int | None = None,
    timeout_seconds: float = 60.0,
    progress: ProgressCallback = silent,
) -> list[VideoReport]:
    """Report on every video, in the order given.

    Args:
        decode: read every frame too, which is slow, and tells exactly what can be used.
        jobs: how many are opened side by side, a process each; None for one a core.
        timeout_seconds: how long a video may give no answer.
        progress: called after each video.

    Raises:
        InputError: `jobs` or `timeout_seconds` is not allowed.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"{jobs} jobs; allowed: 1 or more")
    lanes = min(jobs or os.cpu_count() or 1, max(len(videos), 1))
    reports: list[VideoReport | None] = [None] * len(videos)
    with worker_pool(lanes, timeout_seconds) as free, ThreadPoolExecutor(lanes) as pool:

        def work(path: Path) -> VideoReport:
            worker = free.get()
            try:
                return _report(worker, path, decode)
            finally:
                free.put(worker)

        waiting = {pool.submit(work, path): place for place, path in enumerate(videos)}
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                place = waiting[future]
                reports[place] = future.result()
                note = str(videos[place])
                progress(ProgressEvent("probe", done, len(videos), "videos", note))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return _with_clashes(report for report in reports if report is not None)


@contextmanager
def worker_pool(count: int, timeout_seconds: float = 60.0) -> Iterator[SimpleQueue[DecodeWorker]]:
    """Decoders that several threads take out and put back; they end with the block."""
    workers = [DecodeWorker(timeout_seconds) for _ in range(count)]
    free: SimpleQueue[DecodeWorker] = SimpleQueue()
    for worker in workers:
        free.put(worker)
    try:
        yield free
    finally:
        for worker in workers:
            worker.close()


def _report(worker: DecodeWorker, path: Path, decode: bool) -> VideoReport:
    try:
        facts, decoder = worker.probe(path)
    except DecodeError as error:
        return VideoReport(path, problem=_without_path(error, path))
    width, height = facts.upright_size
    frames = facts.samples if facts.samples is not None else facts.frames_reported
    report = VideoReport(
        path,
        width=width,
        height=height,
        fps=facts.fps,
        frames=frames,
        codec=facts.codec,
        container=_container_name(facts),
        rotation=facts.rotation,
        decoder=decoder,
        seconds=facts.frames_estimated / facts.fps if facts.fps > 0 else None,
        notes=tuple(_notes(facts)),
        problem=_damage(facts),
    )
    if not decode:
        return report
    try:
        stats = count_frames(worker, path)
    except DecodeError as error:
        return replace(report, problem=_without_path(error, path))
    count = stats.frames_decoded
    notes = report.notes
    if frames not in (0, count) and not any(note.startswith("header says") for note in notes):
        notes = (*notes, f"header says {frames} frames")
    if count < SNIPPET_FRAMES:
        notes = (*(note for note in notes if not note.startswith("short")), _short(count))
    seconds = report.seconds or (count / facts.fps if facts.fps > 0 else None)
    return replace(report, frames_decoded=count, seconds=seconds, notes=notes)


def count_frames(worker: DecodeWorker, path: Path) -> DecodeStats:
    """Decode a video whole; with PyAV, where "auto" began with Decord and that failed.

    Raises DecodeError where it cannot be decoded.
    """
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


def _damage(facts: ContainerFacts) -> str:
    if facts.structure.damage:
        return facts.structure.damage
    if facts.beyond_end:
        return f"cut short: {facts.beyond_end} of {facts.samples} frames are not in the file"
    return ""


def _notes(facts: ContainerFacts) -> Iterator[str]:
    """What is unusual, in words."""
    if facts.cut:
        hidden = facts.frames_reported - (facts.samples or 0)
        yield f"edit list hides {hidden} frames"
    if facts.varies:
        yield "frame rate varies"
    if facts.fps <= 0:
        yield "no frame rate"
    if facts.frames_reported == 0:
        yield "no frame count"
    in_file = facts.structure.packets
    if in_file is not None and facts.frames_reported not in (0, in_file):
        yield f"header says {facts.frames_reported} frames, {in_file} are in the file"
    if min(facts.width, facts.height) < SMALL_SIDE:
        yield f"small: crops of {SMALL_SIDE} pixels are enlarged"
    if 0 < facts.frames_estimated < SNIPPET_FRAMES:
        yield _short(facts.frames_estimated)


def _short(frames: int) -> str:
    return f"short: {frames} frames, where a snippet takes {SNIPPET_FRAMES}"


def _container_name(facts: ContainerFacts) -> str:
    """One of FFmpeg's names for the container, that of the file where it is among them."""
    suffix = facts.path.suffix[1:].lower()
    names = facts.container.split(",")
    return suffix if facts.container != FRAMES and suffix in names else names[0]


def _without_path(error: DecodeError, path: Path) -> str:
    """The message of an error about a file, which stands beside its path."""
    text = str(error)
    for name in (str(path), str(path.absolute())):
        text = text.removeprefix(f"{name}: ")
    return text


def _with_clashes(reports: Iterable[VideoReport]) -> list[VideoReport]:
    """Note videos that differ in their suffix alone: they would have one id in a pack."""
    first: dict[Path, Path] = {}
    found = []
    for report in reports:
        stem = report.path if report.container == FRAMES else report.path.with_suffix("")
        other = first.setdefault(stem, report.path)
        if other != report.path:
            notes = (*report.notes, f"the same id as {other.name}")
            report = replace(report, notes=notes)
        found.append(report)
    return found
