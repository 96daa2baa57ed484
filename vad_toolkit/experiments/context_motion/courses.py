"""What the benchmark's videos show, snippet by snippet, before anything is drawn.

A place has two spots, each of one of two types: a ground (street or field) and a hall (gym or
lounge), say. A video shows two activities, one after the other: one belongs to the ground (walking
or running), one to the hall (two others). Of each activity there are two kinds, and kind i is
allowed where the spot is of type i, and forbidden where it is not. In an abnormal video one of the
two is forbidden, and that is the event, from its first snippet to its last.

Motions alone and surroundings alone say nothing, in number and in time: of each split's videos,
every 16 normal and 16 abnormal ones are a block of equal layout that holds every combination of
order, kinds and types once. So any score that is made from motions only, or from surroundings only,
of the whole video, is at chance, exactly. Where an event may be is no secret either: each
snippet of each layout is abnormal in a quarter of a block's videos.

The level says where an activity's own spot is seen (`course`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.errors import InputError

ACTIVITIES = ("ground", "hall")  # by the spot that they belong to
KINDS = 2  # of each activity, and types of each spot
BLOCK = 16  # videos of a label: order (2) x kind (2) x kind (2) x which one is the event (2)
CYCLE = 3  # snippets: a wide shot, then two close-ups
REACH = 10  # at level far, own spot and activity have at least so many snippets between them
SNIPPET_FRAMES = 16
LENGTHS = (16, 19, 22)  # snippets of an activity: one wide shot more than whole cycles
SPLITS = ("train", "test")
NOTHING = -1  # in a course: no motion, or no surroundings, in view


class Level(StrEnum):
    """Where the surroundings of a motion are seen."""

    SAME = "same"  # in the same snippet
    NEAR = "near"  # in the snippets before and after
    FAR = "far"  # elsewhere in the video only


@dataclass(frozen=True)
class Size:
    """Videos of each label and split: multiples of 16. Raises InputError."""

    train: int = 160
    test: int = 64

    def __post_init__(self) -> None:
        for name, value in (("train", self.train), ("test", self.test)):
            if value < BLOCK or value % BLOCK:
                raise InputError(
                    f"{name} = {value} videos of each label: has to be a multiple of {BLOCK}, so "
                    "that every combination of motions and surroundings occurs equally often"
                )


@dataclass(frozen=True)
class VideoPlan:
    """One video.

    `order`: which activity comes first, second. `lengths`: snippets of the first, the second.
    `kinds`, `types`: of each activity and of each spot, 0 or 1, by their number in `ACTIVITIES`.
    """

    id: str
    split: str
    block: int
    order: tuple[int, int]
    lengths: tuple[int, int]
    kinds: tuple[int, int]
    types: tuple[int, int]
    seed: tuple[int, ...]  # of all that is drawn for this video

    @property
    def label(self) -> int:
        """1 where an activity is of a kind that its spot does not allow."""
        return int(self.kinds != self.types)

    @property
    def snippets(self) -> int:
        """T' of the video."""
        return sum(self.lengths)

    @property
    def activity(self) -> NDArray[np.intp]:
        """Whose turn it is in each snippet, (snippets,)."""
        return np.repeat(self.order, self.lengths)

    @property
    def abnormal(self) -> NDArray[np.uint8]:
        """Ground truth of each snippet, (snippets,) 0 or 1."""
        forbidden = np.not_equal(self.kinds, self.types)
        return forbidden[self.activity].astype(np.uint8)

    @property
    def events(self) -> tuple[tuple[int, int], ...]:
        """The event in frames [start, stop), or nothing."""
        inside = np.flatnonzero(self.abnormal)
        if not len(inside):
            return ()
        return ((int(inside[0]) * SNIPPET_FRAMES, (int(inside[-1]) + 1) * SNIPPET_FRAMES),)

    def entry(self, path: str, classes: tuple[str, ...], fps: float | None) -> Entry:
        """A manifest line. Training has labels for whole videos only."""
        return Entry(
            id=self.id,
            path=path,
            label=1 if self.label else 0,
            classes=classes if self.label else (),
            frames=self.snippets * SNIPPET_FRAMES,
            container_frames=self.snippets * SNIPPET_FRAMES,
            fps=fps,
            events=self.events if self.split == "test" else None,
        )

    @property
    def forbidden(self) -> str | None:
        """The activity of the event; None in a normal video."""
        return next(
            (
                name
                for name, kind, type in zip(ACTIVITIES, self.kinds, self.types, strict=True)
                if kind != type
            ),
            None,
        )


@dataclass(frozen=True)
class Course:
    """What is in view in each snippet: numbers of activity or spot, or `NOTHING`; (snippets,)."""

    motion: NDArray[np.intp]
    spot: NDArray[np.intp]


def course(plan: VideoPlan, level: Level) -> Course:
    """What a video of this plan shows at a level.

    `same`: the activity at its spot, in every snippet. `near`: wide shots of the activity's own
    spot, with nobody moving, and close-ups, which show the motion and nothing around it; two
    close-ups between two wide shots, so that every close-up has its spot right before or after.
    `far`: the same, but a wide shot shows the spot of the *other* activity, and is left out (a
    close-up stands there) where fewer than `REACH` snippets lie between it and that activity.
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
    """All videos of both splits, train first; the level is not part of a plan.

    Args:
        lengths: that an activity may have, in snippets; drawn for each block.

    Raises:
        InputError: the seed is negative.
    """
    if seed < 0:
        raise InputError(f"seed = {seed}: has to be 0 or more")
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
