"""Sizes of videos before decoding, and shares of videos with about equal numbers of frames.

Shares are the same on every machine that sees the same videos, independent of their order and of
finished work. So machines need not communicate: each extracts its own share.
"""

from __future__ import annotations

import heapq
import re
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vad_toolkit.core.ids import check_ids
from vad_toolkit.errors import InputError, PackError, VadError
from vad_toolkit.extraction.failures import failed_ids
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.video.paths import source_bytes
from vad_toolkit.video.probe import ContainerFacts
from vad_toolkit.video.survey import map_videos
from vad_toolkit.video.worker import DecodeWorker

PROBES = 8  # containers read at once: on shared disks most of the time is waiting
MOST_SHARDS = 100_000
BYTES_PER_FRAME = 4000  # if no video of the list has a known number of frames

Known = Literal["manifest", "container", "bytes"]


@dataclass(frozen=True)
class VideoSize:
    """Size of a video. A frame rate, width or height that is not known or not looked up is 0."""

    source: VideoSource
    frames: int  # from the manifest, else the container, else a guess from the file's bytes
    known: Known  # the source of `frames`
    fps: float = 0.0
    width: int = 0
    height: int = 0


def _look(worker: DecodeWorker, path: Path) -> ContainerFacts | None:
    try:
        return worker.probe(path)[0]
    except (VadError, OSError):  # the run reports what is wrong with it
        return None


def measure_videos(videos: Sequence[VideoSource], *, look_at_all: bool = False) -> list[VideoSize]:
    """Measure videos, in the order given. A container that cannot be read is not an error here.

    With `look_at_all`, even the files whose number of frames is in a manifest are opened.
    """
    opened = {video.id: video.path for video in videos if look_at_all or not video.frames}
    lanes = max(1, min(PROBES, len(opened)))
    looks = dict(zip(opened, map_videos(_look, opened.values(), lanes), strict=True))
    facts = [looks.get(video.id) for video in videos]
    frames = [
        video.frames or (fact.frames_estimated if fact is not None else 0)
        for video, fact in zip(videos, facts, strict=True)
    ]
    sizes = [source_bytes(video.path) for video in videos] if not all(frames) else []
    known_sizes = [pair for pair in zip(frames, sizes, strict=False) if all(pair)]
    known_sizes = known_sizes or [(1, BYTES_PER_FRAME)]
    known_frames, known_bytes = (sum(column) for column in zip(*known_sizes, strict=True))
    found = []
    for index, (video, fact) in enumerate(zip(videos, facts, strict=True)):
        known: Known = "manifest" if video.frames else "container" if frames[index] else "bytes"
        found.append(
            VideoSize(
                source=video,
                frames=frames[index] or max(1, sizes[index] * known_frames // known_bytes),
                known=known,
                fps=video.fps or (fact.fps if fact is not None else 0.0),
                width=fact.upright_size[0] if fact is not None else 0,
                height=fact.upright_size[1] if fact is not None else 0,
            )
        )
    return found


def share_videos(videos: Sequence[VideoSize], count: int) -> list[list[VideoSize]]:
    """Divide videos into `count` shares with about equal numbers of frames, each longest first.

    Each video, longest first, goes to the share with the fewest frames (LPT: Graham, Bounds on
    multiprocessing timing anomalies, 1969): the largest share is at most 4/3 of the best possible.
    With fewer videos than shares some are empty.

    Raises:
        PackError: If the ids cannot be in one pack.
    """
    check_ids(video.source.id for video in videos)
    shares: list[list[VideoSize]] = [[] for _ in range(count)]
    loads = [(0, index) for index in range(count)]
    for video in sorted(videos, key=lambda video: (-video.frames, video.source.id)):
        load, index = loads[0]
        shares[index].append(video)
        heapq.heapreplace(loads, (load + video.frames, index))
    return shares


def longest_first(videos: Sequence[VideoSource]) -> list[VideoSource]:
    """Sort videos by frames if manifests give all of them, else by bytes, longest first.

    So the last videos, on several devices, are short and end at about the same time.
    """
    if all(video.frames for video in videos):
        return sorted(videos, key=lambda video: (-(video.frames or 0), video.id))
    return sorted(videos, key=lambda video: (-source_bytes(video.path), video.id))


@dataclass(frozen=True)
class Shard:
    """Share `number` (from 1) of `count`, for runs on machines that do not communicate.

    Run I of N extracts its share into a pack of its own next to `out`, `<name>.I-of-N.h5`; `vad
    pack merge` merges them.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parse "I/N". Raises InputError if the text is something else."""
        if (match := re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())) is not None:
            shard = cls(int(match[1]), int(match[2]))
            if 1 <= shard.number <= shard.count <= MOST_SHARDS:
                return shard
        raise InputError(
            f"shard must be I/N with 1 <= I <= N, such as 1/4 to 4/4 for four runs, got {text!r}"
        )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def pack(self, out: Path) -> Path:
        """Return the path of the share's pack, next to the merged pack `out`."""
        return out.with_name(f"{out.stem}.{self.number}-of-{self.count}{out.suffix}")

    def take(self, videos: Sequence[VideoSource]) -> list[VideoSource]:
        """Return the videos of this share, in the order given. Raises as `share_videos` does."""
        share = share_videos(measure_videos(videos), self.count)[self.number - 1]
        own = {video.source.id for video in share}
        return [video for video in videos if video.id in own]

    def siblings(self, out: Path) -> list[Path]:
        """Return the paths of all shares' packs, which may not exist yet."""
        return [Shard(number, self.count).pack(out) for number in range(1, self.count + 1)]

    def missing(self, out: Path, ids: Iterable[str]) -> list[str]:
        """Return the ids that are neither in a share's pack nor among a share's failures."""
        failed = failed_ids(out.parent)
        done: set[str] = set()
        for path in self.siblings(out):
            done |= failed.get(path.name, set())
            if path.is_file():
                with suppress(PackError), FeaturePack.open(path) as pack:
                    done.update(pack.ids)
        return [id for id in ids if id not in done]

    def merge_command(self, out: Path) -> str:
        """Return the command that merges the shares' packs into `out`."""
        start = shlex.quote(str(out.with_suffix("")))
        whole = shlex.quote(str(out))
        return f"vad pack merge {start}.*-of-{self.count}{out.suffix} --out {whole}"
