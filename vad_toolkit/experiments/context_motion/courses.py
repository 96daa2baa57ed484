"""Plans of the benchmark's videos: what each snippet shows, before anything is drawn.

A place has two spots, each of one of two types: a ground (street or field) and a hall (lounge or
gym). A video shows two activities, one after the other: one belongs to the ground (walking or
running), the other to the hall (waving or jumping jacks). Each activity has two kinds. Kind i is
allowed if the spot is of type i, and forbidden otherwise. In an abnormal video exactly one of the
two is forbidden; it is the event, from its first snippet to its last.

Motions alone and surroundings alone tell nothing, over videos and over time: every 16 normal and 16
abnormal videos of a split form a block of equal layout, which contains every combination of order,
kinds and types once. Any score that depends only on the motions, or only on the surroundings, of
the whole video is therefore exactly at chance. The position does not tell anything either: each
snippet position of a layout is abnormal in a quarter of a block's videos.

The level says where an activity's own spot is seen (`course`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError
from vad_toolkit.experiments.synthetic.video_folder import SPLITS

ACTIVITIES = ("ground", "hall")  # named after the spot that they belong to
KINDS = 2  # of each activity, and types of each spot
BLOCK = 16  # videos per label: order (2) x kind (2) x kind (2) x activity of the event (2)
CYCLE = 3  # snippets: a wide shot, then two close-ups
REACH = 10  # least number of snippets between an activity and its own spot at level far
SNIPPET_FRAMES = 16
LENGTHS = (16, 19, 22)  # snippets of an activity: whole cycles and one more wide shot
NOTHING = -1  # in a course: no motion, or no surroundings, is visible


class Level(StrEnum):
    """Where the surroundings of a motion are seen."""

    SAME = "same"  # in the same snippet
    NEAR = "near"  # in the snippet before or after
    FAR = "far"  # only elsewhere in the video


@dataclass(frozen=True)
class Size:
    """Number of videos of each label per split, multiples of 16. Raises InputError."""

    train: int = 160
    test: int = 64

    def __post_init__(self) -> None:
        for name, value in (("train", self.train), ("test", self.test)):
            if value < BLOCK or value % BLOCK:
                raise InputError(
                    f"{name} must be a multiple of {BLOCK} videos per label, got {value}: every "
                    "combination of motions and surroundings occurs equally often"
                )


@dataclass(frozen=True)
class VideoPlan:
    """One video before it is drawn.

    Attributes:
        order: The numbers of the first and the second activity.
        lengths: The numbers of snippets of the first and the second activity.
        kinds: The kind of each activity, 0 or 1, in the order of `ACTIVITIES`.
        types: The type of each spot, 0 or 1, in the same order.
        seed: The seed of everything that is drawn for this video.
    """

    id: str
    split: str
    block: int
    order: tuple[int, int]
    lengths: tuple[int, int]
    kinds: tuple[int, int]
    types: tuple[int, int]
    seed: tuple[int, ...]

    @property
    def label(self) -> int:
        """1 if the spot of an activity does not allow its kind, else 0."""
        return int(self.kinds != self.types)

    @property
    def snippets(self) -> int:
        """Number of snippets, T'."""
        return sum(self.lengths)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.snippets * SNIPPET_FRAMES

    @property
    def activity(self) -> NDArray[np.intp]:
        """The number of the activity in each snippet, (snippets,)."""
        return np.repeat(self.order, self.lengths)

    @property
    def abnormal(self) -> NDArray[np.uint8]:
        """Ground truth of each snippet, (snippets,) uint8, 0 or 1."""
        forbidden = np.not_equal(self.kinds, self.types)
        return forbidden[self.activity].astype(np.uint8)

    @property
    def events(self) -> tuple[tuple[int, int], ...]:
        """The event as frames [start, stop); empty for a normal video."""
        inside = np.flatnonzero(self.abnormal)
        if not len(inside):
            return ()
        return ((int(inside[0]) * SNIPPET_FRAMES, (int(inside[-1]) + 1) * SNIPPET_FRAMES),)

    @property
    def forbidden(self) -> str:
        """The activity of the event; "" for a normal video."""
        wrong = np.flatnonzero(np.not_equal(self.kinds, self.types))
        return ACTIVITIES[wrong[0]] if len(wrong) else ""


@dataclass(frozen=True)
class Course:
    """The activity and the spot in view in each snippet, (snippets,): numbers, or `NOTHING`."""

    motion: NDArray[np.intp]
    spot: NDArray[np.intp]


def course(plan: VideoPlan, level: Level) -> Course:
    """Return the content of a video at a level.

    `same`: the activity at its spot, in every snippet. `near`: wide shots of the activity's own
    spot without anybody, and close-ups, which show the motion without its surroundings; there are
    two close-ups between two wide shots, so the spot is seen right before or after each close-up.
    `far`: the same, but a wide shot shows the spot of the *other* activity, and is replaced by a
    close-up if fewer than `REACH` snippets lie between it and that activity.
    """
    activity = plan.activity
    if level is Level.SAME:
        return Course(activity, activity)
    first, second = plan.lengths
    offset = np.concatenate((np.arange(first), np.arange(second)))
    wide = offset % CYCLE == 0
    spot = activity
    if level is Level.FAR:
        spot = np.repeat(plan.order[::-1], plan.lengths)
        position = np.arange(plan.snippets)
        other_begins_or_ended = np.where(position < first, first, first - 1)
        wide &= np.abs(position - other_begins_or_ended) > REACH
    return Course(np.where(wide, NOTHING, activity), np.where(wide, spot, NOTHING))


def plan_videos(size: Size, seed: int, lengths: tuple[int, ...] = LENGTHS) -> list[VideoPlan]:
    """Return the videos of both splits, train first; plans are the same for all levels.

    Args:
        size: Number of videos.
        seed: Seed, >= 0.
        lengths: Possible lengths of an activity in snippets; drawn for each block.

    Raises:
        InputError: If the seed is negative.
    """
    if seed < 0:
        raise InputError(f"seed must be an integer >= 0, got {seed}")
    plans = []
    for split_number, split in enumerate(SPLITS):
        count = size.train if split == "train" else size.test
        rng = np.random.default_rng((seed, split_number))
        for block in range(count // BLOCK):
            first, second = rng.choice(lengths, size=2).tolist()
            for label in (0, 1):
                combinations = itertools.product((0, 1), repeat=4)
                for number, (begins, ground, hall, event) in enumerate(combinations, BLOCK * block):
                    kinds = (ground, hall)
                    types = tuple(
                        1 - kind if label and spot == event else kind
                        for spot, kind in enumerate(kinds)
                    )
                    plans.append(
                        VideoPlan(
                            id=f"{split}/{('normal', 'abnormal')[label]}_{number:04d}",
                            split=split,
                            block=block,
                            order=(begins, 1 - begins),
                            lengths=(first, second),
                            kinds=kinds,
                            types=(types[0], types[1]),
                            seed=(seed, split_number, label, number),
                        )
                    )
    return plans
