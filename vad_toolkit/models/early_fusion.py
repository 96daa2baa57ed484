"""Which streams of a pack a head takes: RGB, flow, or both joined along D (early fusion)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import PackError
from vad_toolkit.models.config import Streams
from vad_toolkit.packs.pack import FeaturePack

NAMES: Mapping[Streams, tuple[str, ...]] = {
    "rgb": ("rgb",),
    "flow": ("flow",),
    "both": ("rgb", "flow"),
}


def check_streams(pack: FeaturePack, streams: Streams) -> None:
    """Raise PackError where the pack lacks a stream that `streams` names."""
    for name in NAMES[streams]:
        if name not in pack.recipe.streams:
            raise PackError(
                f"{pack.path} has no stream {name!r}, which data.streams={streams} takes; it has "
                f"{', '.join(pack.recipe.streams)}"
            )


def width(pack: FeaturePack, id: str, streams: Streams) -> int:
    """D of a video, its streams joined."""
    return sum(pack.shape(id, name)[2] for name in NAMES[streams])


@dataclass(frozen=True)
class PackFeatures:
    """The features of a video that a head takes, read from an open pack where they are sliced.

    `features[start:stop, crops]` is (n, c, D) float16 and raises PackCorrupt where it cannot be
    read.
    """

    pack: FeaturePack
    id: str
    streams: Streams

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, C, D), streams joined."""
        snippets, crops, _ = self.pack.shape(self.id, NAMES[self.streams][0])
        return snippets, crops, width(self.pack, self.id, self.streams)

    def __getitem__(self, part: tuple[slice, slice]) -> NDArray[np.float16]:
        snippets, crops = part
        arrays = {
            name: self.pack.features(self.id, name, snippets.start, snippets.stop, crops)
            for name in NAMES[self.streams]
        }
        return join(arrays, self.streams)


def join(features: Mapping[str, NDArray[np.float16]], streams: Streams) -> NDArray[np.float16]:
    """(N, C, D) a stream -> (N, C, sum of D), RGB first; no copy for one stream."""
    arrays = [features[name] for name in NAMES[streams]]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=2)
