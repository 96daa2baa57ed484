"""Plans of the demo's videos: the place, the motion of each figure in each frame, and the events.

Walking is normal in the street and abnormal on the field; for running it is the reverse; standing
and waving is normal in both. Neither the motion nor the surroundings alone tell anything, because
every schedule is used twice, once in each place, with walking and running exchanged. A change of
motion tells nothing either, because normal videos have interludes of waving too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vad_toolkit.errors import InputError
from vad_toolkit.experiments.synthetic.people import Motion
from vad_toolkit.experiments.synthetic.scenes import Surrounding
from vad_toolkit.experiments.synthetic.video_folder import SPLITS, VideoSettings

USUAL = {Surrounding.STREET: Motion.WALK, Surrounding.FIELD: Motion.RUN}
ABNORMAL = {Surrounding.STREET: Motion.RUN, Surrounding.FIELD: Motion.WALK}
MAX_FIGURES = 3
INTERLUDE_SECONDS = (2.0, 4.0)
GAP_SECONDS = 0.5  # the least time between two interludes and around them
MIN_SECONDS = 2 * INTERLUDE_SECONDS[1] + 3 * GAP_SECONDS


@dataclass(frozen=True)
class DatasetSettings(VideoSettings):
    """Number and format of the videos; half of each split is in each place, half is abnormal.

    Raises:
        InputError: If a value is out of range.
    """

    height: int = 256
    width: int = 320
    train_videos: int = 80
    test_videos: int = 24
    seconds: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("train_videos", self.train_videos), ("test_videos", self.test_videos)):
            if value < 4 or value % 4:
                raise InputError(
                    f"{name} must be a multiple of 4, got {value}: each place has as many normal "
                    "as abnormal videos"
                )
        if self.seconds < MIN_SECONDS:
            raise InputError(
                f"seconds must be >= {MIN_SECONDS:g}, the length of two interludes, got "
                f"{self.seconds:g}"
            )


@dataclass(frozen=True)
class VideoPlan:
    """One video before it is drawn.

    Attributes:
        motions: For each figure, its intended motion in each frame.
        seed: Seed of looks, paths, scene and noise.
    """

    id: str
    split: str
    surrounding: Surrounding
    label: int
    motions: tuple[tuple[Motion, ...], ...]
    seed: tuple[int, ...]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.motions[0])

    @property
    def events(self) -> tuple[tuple[int, int], ...]:
        """Frames [start, stop) in which any figure's motion is abnormal in this place."""
        wrong = ABNORMAL[self.surrounding]
        abnormal = np.array([[motion is wrong for motion in course] for course in self.motions])
        edges = np.flatnonzero(np.diff(abnormal.any(axis=0), prepend=False, append=False))
        return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


def plan_dataset(settings: DatasetSettings, seed: int) -> tuple[VideoPlan, ...]:
    """Return the videos of both splits, in the order of the manifests.

    Raises:
        InputError: If the seed is negative.
    """
    if seed < 0:
        raise InputError(f"seed must be an integer >= 0, got {seed}")
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


_ODD = "odd"  # the abnormal motion, as long as the place is open
_USUAL = "usual"
_Schedule = list[list[str]]  # for each figure, for each frame


def _draw_schedule(label: int, settings: DatasetSettings, rng: np.random.Generator) -> _Schedule:
    """Return a schedule with one or two interludes, in which all figures change their motion.

    In an abnormal video one of the interludes is the abnormal motion; all others are waving.
    """
    fps, frames = settings.fps, round(settings.seconds * settings.fps)
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
    meaning = {_USUAL: USUAL[surrounding], _ODD: ABNORMAL[surrounding], Motion.WAVE: Motion.WAVE}
    return tuple(tuple(meaning[told] for told in course) for course in schedule)
