"""Many videos into one pack: what is there already is kept, what is finished is safe at once.

One bad video is a line in `failures.jsonl`; the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vad_toolkit.core.device import pick_devices
from vad_toolkit.core.ids import check_ids
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.errors import InputError
from vad_toolkit.extraction.device_workers import extract_in_processes
from vad_toolkit.extraction.extractor import Extractor, OnFrames
from vad_toolkit.extraction.failures import Failure, write_failures
from vad_toolkit.extraction.in_progress import Extracted
from vad_toolkit.extraction.meter import Meter
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.packs.parts import PartStore
from vad_toolkit.recipes.recipe import Recipe


@dataclass(frozen=True)
class ExtractSummary:
    """What an extraction did.

    `reused` videos were in the pack or its parts already; `notes` tell of parts that were damaged
    and therefore made again.
    """

    pack: Path
    extracted: tuple[str, ...]
    reused: tuple[str, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    frames: int
    snippets: int
    seconds: float


def extract_pack(
    videos: Sequence[VideoSource],
    recipe: Recipe,
    out: Path,
    *,
    dataset: str = "videos",
    licence: str = "not stated",
    device: str = "auto",
    decoder: str = "auto",
    timeout_seconds: float = 60.0,
    jobs: int | None = None,
    batch: int | None = None,
    allow_damaged: int = 0,
    engine: Engine | None = None,
    progress: ProgressCallback = silent,
) -> ExtractSummary:
    """Extract `videos` into the pack `out`; what is there already is kept, not made again.

    A finished video is safe at once, as a part of its own, so that a killed run goes on where it
    was. Videos that fail are listed in `failures.jsonl` beside the pack, one line each; with none,
    this pack has no lines there. When no video at all could be used, no pack is written.

    Args:
        videos: with ids that differ.
        recipe: how features are made.
        out: the pack, new or of the same recipe.
        dataset, licence: kept in the pack.
        device: as `Extractor` takes it, or several (`pick_devices`), with a process each.
        decoder, timeout_seconds, jobs, batch, allow_damaged: as `Extractor` takes them.
        engine: what makes the features instead; the six above then have no effect.
        progress: counts frames of all videos.

    Raises:
        InputError: no videos, or a pack or parts of another recipe at `out`.
        PackError: ids that cannot stand in one pack, such as one inside another.
        WeightsError: the recipe's weights are not in the cache.
    """
    if not videos:
        raise InputError("no videos to extract")
    check_ids(video.id for video in videos)
    if engine is None:
        make = partial(
            Extractor,
            recipe,
            decoder=decoder,
            timeout_seconds=timeout_seconds,
            jobs=jobs,
            batch=batch,
            allow_damaged=allow_damaged,
        )
        engine = local_engine(make, device)
    started = time.monotonic()
    extracted: list[str] = []
    failures: list[Failure] = []
    frames = snippets = 0
    with PartStore(out, recipe, dataset=dataset, license=licence) as store:
        wanted = [video for video in videos if video.id not in store.completed]
        reused = tuple(video.id for video in videos if video.id in store.completed)
        if wanted:
            meter = Meter(wanted, progress)
            with closing(engine(wanted, meter.frames)) as results:
                for result in results:
                    source, features = result.source, result.features
                    if features is None:
                        failures.append(Failure(source.id, str(source.path), str(result.error)))
                        meter.finished(source, 0)
                    else:
                        store.add(source.id, features)
                        extracted.append(source.id)
                        frames += features.meta.frames
                        snippets += len(next(iter(features.streams.values())))
                        meter.finished(source, features.meta.frames)
                    del result, features  # a long video's, while the next is made or the pack
        if extracted or reused:
            store.finish()
        notes = tuple(store.notes)
    order = {video.id: place for place, video in enumerate(videos)}
    failures.sort(key=lambda failure: order[failure.id])
    write_failures(out, failures)
    return ExtractSummary(
        pack=out,
        extracted=tuple(sorted(extracted, key=order.__getitem__)),
        reused=reused,
        failures=tuple(failures),
        notes=notes,
        frames=frames,
        snippets=snippets,
        seconds=time.monotonic() - started,
    )


# What makes the features of a run: one extractor here, or several in processes of their own.

# Videos to features, in any order, each once; ended early by closing the iterator.
Engine = Callable[[Sequence[VideoSource], OnFrames], Generator[Extracted, None, None]]


def local_engine(make: Callable[[str], Extractor], device: str) -> Engine:
    """The engine for this machine: a process of its own for each device where there are several.

    Args:
        make: an extractor for a device; has to be picklable: `partial(Extractor, recipe, ...)`.
        device: as `pick_devices` takes it.

    Raises:
        InputError: a device that is not there.
    """
    devices = pick_devices(device)
    if len(devices) == 1:
        return partial(_extract_here, make, devices[0])
    return partial(extract_in_processes, make, devices)


def _extract_here(
    make: Callable[[str], Extractor],
    device: str,
    videos: Sequence[VideoSource],
    on_frames: OnFrames,
) -> Generator[Extracted, None, None]:
    yield from make(device).extract_many(videos, on_frames)
