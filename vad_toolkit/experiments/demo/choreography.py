"""What the demo's videos show: where, who moves how in which frame, and so what is abnormal and
when.

Walking is normal in the street and abnormal on the field; running is the other way round; standing
and waving is normal in both. Neither the motion nor the surroundings alone says anything, since
every schedule is used twice: once in each surrounding, with walking and running exchanged. And
since normal videos have interludes too (waving), a change of motion says nothing either.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vad_toolkit.errors import InputError
from vad_toolkit.experiments.synthetic.people import Motion
from vad_toolkit.experiments.synthetic.scenes import Surrounding

USUAL = {Surrounding.STREET: Motion.WALK, Surrounding.FIELD: Motion.RUN}
ABNORMAL = {Surrounding.STREET: Motion.RUN, Surrounding.FIELD: Motion.WALK}
SPLITS = ("train", "test")
MAX_FIGURES = 3
INTERLUDE_SECONDS = (2.0, 4.0)
GAP_SECONDS = 0.5  # at least, between two interludes and around them
MIN_SECONDS = 2 * INTERLUDE_SECONDS[1] + 3 * GAP_SECONDS


@dataclass(frozen=True)
class DatasetSettings:
    """How many videos, and how they are stored. A fourth of each split is one kind of video: a
    surrounding and a label.

    Raises:
        InputError: a value is out of its range.
    """

    train_videos: int = 80
    test_videos: int = 24
    seconds: float = 10.0
    fps: int = 15
    height: int = 256
    width: int = 320
    crf: int = 20  # H.264 constant rate factor

    def __post_init__(self) -> None:
        for name, value in (("train_videos", self.train_videos), ("test_videos", self.test_videos)):
            if value < 4 or value % 4:
                raise InputError(
                    f"{name} = {value}: has to be a multiple of 4, so that each surrounding has as "
                    "many normal as abnormal videos"
                )
        if self.seconds < MIN_SECONDS:
            raise InputError(
                f"seconds = {self.seconds:g}: has to be at least {MIN_SECONDS:g}, which is what "
                "two interludes need"
            )
        if self.fps < 1:
            raise InputError(f"fps = {self.fps}: has to be at least 1")
        for name, value in (("height", self.height), ("width", self.width)):
            if value < 32 or value % 2:
                raise InputError(f"{name} = {value}: has to be even and at least 32 pixels")
        if not 0 <= self.crf <= 51:
            raise InputError(f"crf = {self.crf}: has to lie between 0 and 51")

    @property
    def frames(self) -> int:
        """Frames a video."""
        return round(self.seconds * self.fps)

    def as_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class VideoPlan:
    """One video before it is drawn: `motions` says for each figure what it is told in each frame;
    `seed` decides looks, paths, scene and noise."""

    id: str
    split: str
    surrounding: Surrounding
    label: int
    motions: tuple[tuple[Motion, ...], ...]
    seed: tuple[int, ...]

    @property
    def frames(self) -> int:
        """Frames of the video."""
        return len(self.motions[0])

    @property
    def events(self) -> tuple[tuple[int, int], ...]:
        """Frames [start, stop) in which any figure does what is abnormal here."""
        wrong = ABNORMAL[self.surrounding]
        abnormal = np.array([[motion is wrong for motion in course] for course in self.motions])
        edges = np.flatnonzero(np.diff(abnormal.any(axis=0), prepend=False, append=False))
        return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


def plan_dataset(settings: DatasetSettings, seed: int) -> tuple[VideoPlan, ...]:
    """All videos of both splits, in the order of the manifests.

    Raises:
        InputError: the seed is negative.
    """
    if seed < 0:
        raise InputError(f"seed = {seed}: has to be 0 or more")
    plans = []
    for split_number, split in enumerate(SPLITS):
        videos = settings.train_videos if split == "train" else settings.test_videos
        rng = np.random.default_rng((seed, split_number))
        labels = rng.permutation(np.repeat((0, 1), videos // 4)).tolist()
        schedules = [_draw_schedule(label, settings, rng) for label in labels]
        for surrounding_number, surrounding in enumerate(USUAL):
            for number, (label, schedule) in enumerate(zip(labels, schedules, strict=True)):
                plans.append(
                    VideoPlan(
                        id=f"{surrounding}/{split}_{number:03d}",
                        split=split,
                        surrounding=surrounding,
                        label=label,
                        motions=_fill(schedule, surrounding),
                        seed=(seed, split_number, surrounding_number, number),
                    )
                )
    return tuple(plans)


_ODD = "odd"  # stands for the abnormal motion until the surrounding is known
_USUAL = "usual"
_Schedule = list[list[str]]  # for each figure, for each frame


def _draw_schedule(label: int, settings: DatasetSettings, rng: np.random.Generator) -> _Schedule:
    """One or two interludes in which all figures leave their usual motion; in an abnormal video one
    of them is the abnormal motion, the rest is waving."""
    fps, frames = settings.fps, settings.frames
    interludes = int(rng.integers(1, 3))
    odd = int(rng.integers(interludes)) if label else -1
    low, high = (round(seconds * fps) for seconds in INTERLUDE_SECONDS)
    lengths = rng.integers(low, high + 1, size=interludes)
    gap = round(GAP_SECONDS * fps)
    spare = frames - int(lengths.sum()) - gap * (interludes + 1)
    shifts = np.sort(rng.integers(0, spare + 1, size=interludes))
    course = [_USUAL] * frames
    for index in range(interludes):
        start = int(gap * (index + 1) + lengths[:index].sum() + shifts[index])
        stop = start + int(lengths[index])
        course[start:stop] = [_ODD if index == odd else Motion.WAVE] * (stop - start)
    return [course] * int(rng.integers(1, MAX_FIGURES + 1))


def _fill(schedule: _Schedule, surrounding: Surrounding) -> tuple[tuple[Motion, ...], ...]:
    meaning = {
        _USUAL: USUAL[surrounding],
        _ODD: ABNORMAL[surrounding],
        Motion.WAVE: Motion.WAVE,
    }
    return tuple(tuple(meaning[told] for told in course) for course in schedule)
