"""Inception-I3D on whole snippets, which computes the overlap of crops only once.

In a 341x256 frame, the top-left and bottom-left crops share 192 of their 224 rows. Up to the second
pool (the front, half of the work) an activation depends on a few pixels around it. If two crops are
a multiple of the front's stride apart, their activations there are equal, except near an edge of
one of them, where it has zeros and the other one has pixels. So one window of 256 rows goes
through the front instead of two crops, together with a band of pixels for each edge inside the
window, which gives the activations near that edge. Features equal those of separate crops.

It uses PyTorch's operations on any device; `inception_gpu` is for bfloat16 and tf32 on CUDA.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from vad_toolkit.backbones.inception_i3d import FRONT_STRIDE, InceptionI3D
from vad_toolkit.core.crops import MIRRORED_SUFFIX, crop_places

Place = tuple[int, int]  # top and left of a crop, in pixels
# The front has kernels of 7, 3, 3 and 3 lines (rows or columns) at strides 2, 2, 1 and 2, with more
# padding at the end: one output line at the start of a crop and two at its end depend on pixels
# outside. A band of this many pixels gives them, because its far edge only affects other lines.
BAND, START_LINES, END_LINES = 24, 1, 2


@dataclass(frozen=True)
class Take:
    """Lines of a crop in a piece's output: `count` from `first`, which go to `to` in the crop."""

    crop: int
    first: int
    to: int
    count: int


@dataclass(frozen=True)
class Piece:
    """A part of the frame in pixels, and the lines of crops in the front's output for it."""

    top: int
    left: int
    height: int
    width: int
    takes: tuple[Take, ...]


@dataclass(frozen=True)
class Plan:
    """Pieces with all lines of all crops. Lines are counted along `axis`: 0 down, 1 across."""

    axis: int
    pieces: tuple[Piece, ...]

    @property
    def cost(self) -> int:
        """Pixels per frame that go through the front."""
        return _pixels(self.pieces)


@lru_cache(maxsize=64)
def plan_pieces(places: tuple[Place, ...], size: int) -> Plan:
    """Return the plan with the smallest cost.

    Args:
        places: The positions of the crops in their order; duplicates are allowed.
        size: The side of a crop in pixels.
    """
    return min((_plan_along(axis, places, size) for axis in (0, 1)), key=lambda plan: plan.cost)


def _plan_along(axis: int, places: Sequence[Place], size: int) -> Plan:
    # Crops can be joined if only their starts along the axis differ, by a multiple of the stride.
    joinable: dict[tuple[int, int], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for crop, place in enumerate(places):
        across, start = place[1 - axis], place[axis]
        joinable[across, start % FRONT_STRIDE][start].append(crop)
    pieces: list[Piece] = []
    for (across, _), crops in joinable.items():
        ways = [[p for start in crops for p in _join(axis, across, {start: crops[start]}, size)]]
        if size % FRONT_STRIDE == 0:
            ways.append(_join(axis, across, crops, size))
        pieces += min(ways, key=_pixels)
    return Plan(axis, tuple(pieces))


def _pixels(pieces: Iterable[Piece]) -> int:
    return sum(piece.height * piece.width for piece in pieces)


def _join(axis: int, across: int, crops: Mapping[int, Sequence[int]], size: int) -> list[Piece]:
    """Return a window over crops, given by their starts, and the bands at edges inside of it."""
    first, end = min(crops), max(crops) + size
    lines = -(-size // FRONT_STRIDE)

    def piece(start: int, length: int, takes: list[Take]) -> Piece:
        if axis:
            return Piece(across, start, size, length, tuple(takes))
        return Piece(start, across, length, size, tuple(takes))

    own: list[Take] = []
    bands: list[Piece] = []
    for start, numbers in crops.items():
        before = START_LINES if start > first else 0
        after = END_LINES if start + size < end else 0
        in_window = (start - first) // FRONT_STRIDE
        for crop in numbers:
            own.append(Take(crop, in_window + before, before, lines - before - after))
        if before:
            takes = [Take(crop, 0, 0, before) for crop in numbers]
            bands.append(piece(start, BAND, takes))
        if after:
            in_band = BAND // FRONT_STRIDE - after
            takes = [Take(crop, in_band, lines - after, after) for crop in numbers]
            bands.append(piece(start + size - BAND, BAND, takes))
    return [piece(first, end - first, own), *bands]


class OverlapInceptionI3D:
    """Function from whole snippets to the features of their crops.

    A snippet is (frames, height, width, 4) on the network's device and in its type. The channels
    are RGB and zeros, or the two of flow and the two of the mirrored flow.

    Args:
        network: On its device, in the type to compute in.
        crop_order: The crops of a snippet.
        crop_size: The side of a crop in pixels.
    """

    def __init__(self, network: InceptionI3D, crop_order: Sequence[str], crop_size: int) -> None:
        self._network = network
        self._size = crop_size
        self._count = len(crop_order)
        # Indices and positions of the crops of the frame, and of the mirrored frame.
        self._plain: list[tuple[int, str]] = []
        self._mirrored: list[tuple[int, str]] = []
        for number, name in enumerate(crop_order):
            crops = self._mirrored if name.endswith(MIRRORED_SUFFIX) else self._plain
            crops.append((number, name.removesuffix(MIRRORED_SUFFIX)))

    def __call__(self, snippets: Sequence[Tensor]) -> Tensor:
        """Return features, float16 (snippets, crops, 1024)."""
        return torch.stack([self._features(snippet) for snippet in snippets])

    def _features(self, snippet: Tensor) -> Tensor:
        channels = self._network.channels
        made = snippet.new_empty((self._count, self._network.feature_dim), dtype=torch.float16)
        if self._plain:
            self._fill(made, snippet[..., :channels], self._plain)
        if self._mirrored:
            first = 0 if channels == 3 else 2
            self._fill(made, snippet[..., first : first + channels].flip(2), self._mirrored)
        return made

    def _fill(self, features: Tensor, frames: Tensor, crops: list[tuple[int, str]]) -> None:
        numbers, names = zip(*crops, strict=True)
        places = crop_places(frames.shape[1], frames.shape[2], self._size)
        x = self._front(frames, tuple(places[name] for name in names))
        features[list(numbers)] = self._network.mixed(x).mean(dim=(2, 3, 4)).half()

    def _front(self, frames: Tensor, places: tuple[Place, ...]) -> Tensor:
        """Return the output of `network.front` for the crops at these positions."""
        plan = plan_pieces(places, self._size)
        along = 1 + plan.axis
        made: Tensor | None = None
        for piece, lines in self._run(frames, plan.pieces):
            if made is None:
                t, _, _, channels = lines.shape
                side = -(-self._size // FRONT_STRIDE)
                made = lines.new_empty((len(places), t, side, side, channels))
            for take in piece.takes:
                target = made[take.crop].narrow(along, take.to, take.count)
                target.copy_(lines.narrow(along, take.first, take.count))
        assert made is not None
        return made.permute(0, 4, 1, 2, 3)

    def _run(self, frames: Tensor, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Tensor]]:
        """Yield pieces with their output (frames, height, width, channels), batched by size."""
        alike: dict[tuple[int, int], list[Piece]] = defaultdict(list)
        for piece in pieces:
            alike[piece.height, piece.width].append(piece)
        for (height, width), own in alike.items():
            views = [frames[:, p.top : p.top + height, p.left : p.left + width] for p in own]
            outputs = self._network.front(torch.stack(views).permute(0, 4, 1, 2, 3))
            yield from zip(own, outputs.permute(0, 2, 3, 4, 1), strict=True)
