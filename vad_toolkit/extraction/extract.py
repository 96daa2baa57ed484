"""Extraction of many videos into one feature pack, which resumes after any interruption."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Unpack

from vad_toolkit.core.device import pick_devices
from vad_toolkit.core.files import AnyPath
from vad_toolkit.core.ids import check_ids
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.errors import InputError
from vad_toolkit.extraction.device_workers import extract_in_processes
from vad_toolkit.extraction.extractor import Engine, Extractor, ExtractorOptions, MakeExtractor
from vad_toolkit.extraction.failures import FAILURES, Failure, write_failures
from vad_toolkit.extraction.meter import Meter
from vad_toolkit.extraction.plan import Shard
from vad_toolkit.extraction.ray_engine import ray_engine
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.packs.parts import PartStore
from vad_toolkit.recipes.recipe import Recipe

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class ExtractSummary(os.PathLike[str]):
    """Result of an extraction; usable as the path of its pack.

    Attributes:
        pack: The pack. It does not exist if no video could be used.
        extracted: Ids of the videos extracted by this run, in the order given.
        reused: Ids of the videos that the pack or its parts held before.
        failures: The videos that could not be used.
        notes: Notes for the user: damaged parts that were extracted again, an empty share.
        frames: Decoded frames of the extracted videos.
        snippets: Snippets of the extracted videos.
        seconds: Duration of the run.
        remaining: With a shard, the number of videos that no share has finished. Else None.
        merge_command: With a shard and no remaining videos, the command that merges all shares.
    """

    pack: Path
    extracted: tuple[str, ...]
    reused: tuple[str, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    frames: int
    snippets: int
    seconds: float
    remaining: int | None = None
    merge_command: str | None = None

    def __fspath__(self) -> str:
        return str(self.pack)


def extract_pack(
    sources: Sequence[VideoSource],
    recipe: Recipe,
    out: AnyPath,
    *,
    dataset: str | None = None,
    license: str = "not stated",
    device: str = "auto",
    shard: str | None = None,
    engine: str | Engine = "local",
    address: str | None = None,
    progress: ProgressCallback = silent,
    **options: Unpack[ExtractorOptions],
) -> ExtractSummary:
    """Extract videos into the pack `out`, except those that it already holds.

    A finished video is on disk at once, as a part of its own, so that the same call resumes after
    an interruption. Videos that fail are listed in `failures.jsonl` next to the pack, and the
    others continue. If no video at all can be used, no pack is written.

    Args:
        sources: Videos with different ids.
        recipe, out, license, shard, address, progress: As for `vad_toolkit.extract`.
        dataset: Name of the dataset, stored in the pack. If None, "videos".
        device: A device as for `Extractor`, or several as for `pick_devices`: one process each.
        engine: "local", or "ray" for a running Ray cluster. Tests may pass a function.
        options: As for `Extractor`.

    Raises:
        InputError: If there are no videos, `out` has another recipe, or an option is wrong.
        PackError: If the ids cannot be in one pack, such as "a" and "a/b".
        WeightsError: If the recipe's weights are not in the cache.
    """
    if not sources:
        raise InputError("no videos to extract")
    check_ids(video.id for video in sources)
    if not callable(engine):
        engine = _make_engine(engine, partial(Extractor, recipe, **options), device, address)
    started, out = time.monotonic(), Path(out)
    share = Shard.parse(shard) if shard is not None else None
    own, pack = (sources, out) if share is None else (share.take(sources), share.pack(out))
    notes = [] if own else [f"share {share} is empty: there are only {len(sources)} videos"]
    extracted: list[str] = []
    failures: list[Failure] = []
    frames = snippets = 0
    with PartStore(pack, recipe, dataset=dataset or "videos", license=license) as store:
        wanted = [video for video in own if video.id not in store.completed]
        reused = tuple(video.id for video in own if video.id in store.completed)
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
                    del result, features  # frees a long video's before the next one or the pack
        if extracted or reused:
            store.finish()
        notes += store.notes
    order = {video.id: place for place, video in enumerate(own)}
    failures.sort(key=lambda failure: order[failure.id])
    write_failures(pack.parent / FAILURES, failures, pack=pack.name)
    remaining = None if share is None else len(share.missing(out, [video.id for video in sources]))
    return ExtractSummary(
        pack=pack,
        extracted=tuple(sorted(extracted, key=order.__getitem__)),
        reused=reused,
        failures=tuple(failures),
        notes=tuple(notes),
        frames=frames,
        snippets=snippets,
        seconds=time.monotonic() - started,
        remaining=remaining,
        merge_command=share.merge_command(out) if share is not None and not remaining else None,
    )


def _make_engine(name: str, make: MakeExtractor, device: str, address: str | None) -> Engine:
    if name not in ENGINES:
        raise InputError(f"unknown engine {name!r}; available: {', '.join(ENGINES)}")
    if name == "ray":
        return ray_engine(make, device, address)
    if address is not None:
        raise InputError("an address is only for the engine ray; leave out --address")
    devices = pick_devices(device)
    if len(devices) > 1:
        return partial(extract_in_processes, make, devices)
    return lambda videos, on_frames: make(devices[0]).extract_many(videos, on_frames)
