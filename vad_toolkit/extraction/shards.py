"""Shards: a list of videos extracted by several runs that know nothing of each other.

Run I of N makes the I-th share (`plan.share_videos`) into a pack of its own beside the one that is
wanted, `<name>.I-of-N.h5`; `vad pack merge` puts them together.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.errors import InputError, PackError
from vad_toolkit.extraction.failures import failed_ids
from vad_toolkit.extraction.plan import measure_videos, share_videos
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.features.pack import FeaturePack

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
