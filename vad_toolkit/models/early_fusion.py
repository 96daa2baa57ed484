"""Selection of the modalities that a head takes: RGB, flow, or both joined (early fusion)."""

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
    """Check that a pack has the modalities. Raises PackError if one is missing."""
    for name in NAMES[streams]:
        if name not in pack.recipe.streams:
            raise PackError(
                f"{pack.path} has no modality {name!r}, which data.streams={streams} needs; it has "
                f"{', '.join(pack.recipe.streams)}"
            )


def width(pack: FeaturePack, id: str, streams: Streams) -> int:
    """Return D of a video, of the joined modalities."""
    return sum(pack.shape(id, name)[2] for name in NAMES[streams])


@dataclass(frozen=True)
class PackFeatures:
    """The features of a video that a head takes, read from an open pack when they are sliced.

    `features[start:stop, crops]` is (n, c, D) float16. It raises PackCorrupt if it cannot be read.
    """

    pack: FeaturePack
    id: str
    streams: Streams

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, C, D), of the joined modalities."""
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
    """Return the modalities, each (N, C, D), joined along D, RGB first. One alone is not copied."""
    arrays = [features[name] for name in NAMES[streams]]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=2)
