"""How many frames videos have before any is decoded, and shares of videos with equal frames.

Shares are the same on every machine that sees the same videos, in whatever order they are listed
and whatever is done already. So machines need not talk: each makes its own share.
"""

from __future__ import annotations

import heapq
import re
import shlex
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from vad_toolkit.video.survey import worker_pool

PROBES = 8  # containers read at once: on shared disks the time is waiting
BYTES_A_FRAME = 4000  # of a video, where no other one tells

Known = Literal["manifest", "container", "bytes"]


@dataclass(frozen=True)
class VideoSize:
    """How large a video is, and what says so.

    `frames`: by the manifest, else the container, else guessed from bytes (`known`). `fps`, and
    `width` and `height` in pixels: 0 where not known or not looked for.
    """

    source: VideoSource
    frames: int
    known: Known
    fps: float = 0.0
    width: int = 0
    height: int = 0


def measure_videos(videos: Sequence[VideoSource], *, look_at_all: bool = False) -> list[VideoSize]:
    """The sizes of videos, in the order given. A container that cannot be read is no error here.

    Args:
        look_at_all: open also the files whose frames a manifest tells.
    """
    lanes = max(1, min(PROBES, len(videos)))
    with worker_pool(lanes) as free, ThreadPoolExecutor(lanes) as pool:

        def look(video: VideoSource) -> ContainerFacts | None:
            worker = free.get()
            try:
                return worker.probe(video.path)[0]
            except (VadError, OSError):  # the run tells what is wrong with it
                return None
            finally:
                free.put(worker)

        seen = [
            pool.submit(look, video) if look_at_all or not video.frames else None
            for video in videos
        ]
        facts = [None if future is None else future.result() for future in seen]
    frames = [
        video.frames or (fact.frames_estimated if fact is not None else 0)
        for video, fact in zip(videos, facts, strict=True)
    ]
    sizes = [source_bytes(video.path) for video in videos] if not all(frames) else []
    told = [(count, size) for count, size in zip(frames, sizes, strict=False) if count and size]
    told = told or [(1, BYTES_A_FRAME)]
    told_frames, told_bytes = (sum(column) for column in zip(*told, strict=True))
    found = []
    for index, (video, fact) in enumerate(zip(videos, facts, strict=True)):
        known: Known = "manifest" if video.frames else "container" if frames[index] else "bytes"
        found.append(
            VideoSize(
                source=video,
                frames=frames[index] or max(1, sizes[index] * told_frames // told_bytes),
                known=known,
                fps=video.fps or (fact.fps if fact is not None else 0.0),
                width=fact.upright_size[0] if fact is not None else 0,
                height=fact.upright_size[1] if fact is not None else 0,
            )
        )
    return found


def share_videos(videos: Sequence[VideoSize], count: int) -> list[list[VideoSize]]:
    """`count` shares of about equal frames, each longest first; some empty where videos are few.

    Each video in turn, longest first, goes where the fewest frames are (LPT: Graham, Bounds on
    multiprocessing timing anomalies, 1969): the largest share is at most 4/3 of the best possible.

    Raises:
        PackError: ids that cannot stand in one pack.
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
    """Videos by falling frames where a manifest tells all of them, else by bytes: none is opened.

    So the last ones that are made, each somewhere, are short, and end at about the same time.
    """
    if all(video.frames for video in videos):
        return sorted(videos, key=lambda video: (-(video.frames or 0), video.id))
    return sorted(videos, key=lambda video: (-source_bytes(video.path), video.id))


# Shards: a list of videos extracted by several runs that know nothing of each other.
#
# Run I of N makes the I-th share (`plan.share_videos`) into a pack of its own beside the one that
# is wanted, `<name>.I-of-N.h5`; `vad pack merge` puts them together.

MOST_SHARDS = 100_000


@dataclass(frozen=True)
class Shard:
    """Share `number`, from 1, of `count`."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "I/N". Raises InputError where that is not what it is."""
        if (match := re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())) is not None:
            shard = cls(int(match[1]), int(match[2]))
            if 1 <= shard.number <= shard.count <= MOST_SHARDS:
                return shard
        raise InputError(
            f"shard {text!r}: has to be I/N, the first is 1: 1/4 to 4/4 are the shares of four runs"
        )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def pack(self, out: Path) -> Path:
        """Where the share's pack lies, for `out` to be merged."""
        return out.with_name(f"{out.stem}.{self.number}-of-{self.count}{out.suffix}")

    def take(self, videos: Sequence[VideoSource]) -> list[VideoSource]:
        """The videos of this share, in the order given. Raises PackError as `share_videos` does."""
        share = share_videos(measure_videos(videos), self.count)[self.number - 1]
        own = {video.source.id for video in share}
        return [video for video in videos if video.id in own]

    def siblings(self, out: Path) -> list[Path]:
        """The packs of all shares, there or not."""
        return [Shard(number, self.count).pack(out) for number in range(1, self.count + 1)]

    def missing(self, out: Path, ids: Iterable[str]) -> list[str]:
        """The videos that no share has finished: neither in its pack nor among its failures."""
        failed = failed_ids(out.parent)
        done: set[str] = set()
        for path in self.siblings(out):
            done |= failed.get(path.name, set())
            if path.is_file():
                with suppress(PackError), FeaturePack.open(path) as pack:
                    done.update(pack.ids)
        return [id for id in ids if id not in done]

    def merge_command(self, out: Path) -> str:
        """What puts the shares' packs together."""
        start = shlex.quote(str(out.with_suffix("")))
        whole = shlex.quote(str(out))
        return f"vad pack merge {start}.*-of-{self.count}{out.suffix} --out {whole}"
