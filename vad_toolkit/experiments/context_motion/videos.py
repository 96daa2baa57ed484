"""The rendered form of the benchmark: figures at their spots or in close-up.

A place's ground is a street or a field, its hall a lounge or a gym. Walking belongs in the street
and running on the field, waving in the lounge and jumping jacks in the gym. A wide shot shows the
empty spot. A close-up shows the figure in front of a plain backdrop, which is drawn for each
activity of each video independently of its spot; the camera follows the figure. Shots last whole
snippets of 16 frames, so that no snippet shows two shots.

Files: `vad_toolkit.experiments.synthetic.video_folder`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.experiments.context_motion.courses import (
    ACTIVITIES,
    LENGTHS,
    NOTHING,
    SNIPPET_FRAMES,
    Level,
    Size,
    VideoPlan,
    course,
    plan_videos,
)
from vad_toolkit.experiments.synthetic.drawing import Canvas, Grain, shade
from vad_toolkit.experiments.synthetic.people import (
    GAITS,
    MOTIONS,
    Camera,
    Ground,
    Limbs,
    Motion,
    Track,
    draw_look,
    limbs,
    simulate,
)
from vad_toolkit.experiments.synthetic.scenes import Scene, Surrounding, draw_light, draw_scene
from vad_toolkit.experiments.synthetic.video_folder import (
    RenderedDataset,
    VideoSettings,
    render_folder,
)

# By activity, then by kind, or by type of its spot: kind i is allowed at type i.
KIND_MOTIONS = ((Motion.WALK, Motion.RUN), (Motion.WAVE, Motion.JACK))
SPOT_TYPES = ((Surrounding.STREET, Surrounding.FIELD), (Surrounding.LOUNGE, Surrounding.GYM))
WANDERING = 0  # the activity that moves about its spot; the other one stays in one place
CLOSE_UP_HEIGHT = 0.7  # of the figure, in picture heights
CLOSE_UP_DISTANCE = 6.0  # of the camera, in body heights
DRAWING = 1  # increased with every change of the pictures
SIZE = Size(train=80, test=32)


@dataclass(frozen=True)
class ShotSettings(VideoSettings):
    """Format of the videos, and the possible lengths of an activity in snippets."""

    lengths: tuple[int, ...] = LENGTHS


@dataclass(frozen=True)
class _Activity:
    """Everything that may be seen of an activity: its spot, the figure there and in close-up."""

    spot: Scene
    there: Limbs
    backdrop: NDArray[np.float32]
    close: Limbs


def render_videos(
    out: Path,
    level: Level,
    seed: int = 0,
    size: Size = SIZE,
    settings: ShotSettings | None = None,
    jobs: int = -1,
    progress: ProgressCallback = silent,
) -> RenderedDataset:
    """Render a dataset into `out`, or the videos that are missing there.

    The same arguments give the same bytes with the same versions of numpy and PyAV.

    Args:
        out: A new or empty folder, or one of the same dataset.
        level: Where the surroundings of a motion are seen.
        seed: Seed of everything that is drawn, >= 0.
        size: Number of videos.
        settings: Format of the videos. If None, the defaults.
        jobs: Number of processes; -1 for one per core.
        progress: Called with the number of videos done.

    Raises:
        InputError: If the seed or `jobs` is out of range, or `out` holds something else.
    """
    settings = settings or ShotSettings()
    plans = plan_videos(size, seed, settings.lengths)
    name = f"context-motion-videos-{level}"
    record = {
        "dataset": name,
        "drawing": DRAWING,
        "seed": seed,
        "videos_of_each_label": asdict(size),
        "settings": {**asdict(settings), "lengths": list(settings.lengths)},
    }
    info = DatasetInfo(
        name=name,
        title=f"Context-motion benchmark, rendered videos, level {level}",
        citation="none",
        homepage="none",
        license="CC0-1.0",
        notes=f"Made by vad context-motion, seed {seed}.",
    )
    draw = partial(draw_frames, level=level, settings=settings)
    return render_folder(out, record, info, plans, draw, _class_name, settings, jobs, progress)


def draw_frames(
    plan: VideoPlan, level: Level, settings: ShotSettings
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a video, (height, width, 3) RGB; levels share scenes and figures."""
    rng = np.random.default_rng(plan.seed)
    frames = dict(zip(plan.order, plan.lengths, strict=True))
    activities = [
        _draw_activity(plan, i, frames[i] * SNIPPET_FRAMES, settings, rng)
        for i in range(len(ACTIVITIES))
    ]
    grain = Grain(settings.height, settings.width, rng)
    shown = course(plan, level)
    for snippet, (motion, spot) in enumerate(zip(shown.motion, shown.spot, strict=True)):
        begin = 0 if snippet < plan.lengths[0] else plan.lengths[0]
        for frame in range(SNIPPET_FRAMES):
            at = (snippet - begin) * SNIPPET_FRAMES + frame  # within the current activity
            yield grain.over(_draw_frame(activities, int(motion), int(spot), at))


def _draw_frame(
    activities: list[_Activity], motion: int, spot: int, at: int
) -> NDArray[np.float32]:
    if spot == NOTHING:
        image = activities[motion].backdrop.copy()
        activities[motion].close.draw(image, at)
        return image
    image = activities[spot].spot.background.copy()
    if motion != NOTHING:
        activities[motion].there.draw(image, at)
    return image


def _draw_activity(
    plan: VideoPlan, number: int, frames: int, settings: ShotSettings, rng: np.random.Generator
) -> _Activity:
    """Draw an activity, with the same random numbers for either kind and type."""
    looks, places, steps, backs = rng.spawn(4)
    motion = KIND_MOTIONS[number][plan.kinds[number]]
    surrounding = SPOT_TYPES[number][plan.types[number]]
    scene = draw_scene(surrounding, settings.height, settings.width, places)
    look = draw_look(looks)
    if number == WANDERING:
        track = simulate([motion] * frames, settings.fps, scene.ground, steps)
    else:
        track = _stay(motion, frames, settings.fps, _somewhere(scene.ground, steps), steps)
    there = limbs(track, look, scene.camera, scene.light)

    camera, light = _close_camera(settings), draw_light(backs)
    aside = number == WANDERING  # walkers are seen from the side, wavers from the front
    held = _stay(motion, frames, settings.fps, (0.0, CLOSE_UP_DISTANCE), steps, aside=aside)
    backdrop = _draw_backdrop(camera, light, settings, backs)
    return _Activity(scene, there, backdrop, limbs(held, look, camera, light))


def _stay(
    motion: Motion,
    frames: int,
    fps: int,
    place: tuple[float, float],
    rng: np.random.Generator,
    *,
    aside: bool = False,
) -> Track:
    """Return a track on one spot, or followed by the camera; it faces the camera, or sideways."""
    time = np.arange(frames) / fps
    sway = 0.25 * np.sin(2 * np.pi * (time / rng.uniform(4, 8) + rng.random()))
    toward = rng.choice((0.0, np.pi)) if aside else -np.pi / 2
    heading = toward + rng.uniform(-0.35, 0.35) + sway
    tempo = rng.uniform(0.9, 1.1)
    phase = rng.uniform(0, 2 * np.pi) + 2 * np.pi * tempo * GAITS[motion].cadence * time
    weights = np.zeros((frames, len(MOTIONS)))
    weights[:, MOTIONS.index(motion)] = 1.0
    return Track(np.tile(place, (frames, 1)), heading, phase, weights)


def _somewhere(ground: Ground, rng: np.random.Generator) -> tuple[float, float]:
    x = rng.uniform(-0.6, 0.6) * ground.half_width
    return float(x), float(rng.uniform(ground.near, ground.far))


def _close_camera(settings: ShotSettings) -> Camera:
    """Return a camera at half a body's height, so that the figure is centered in the picture."""
    focal = CLOSE_UP_HEIGHT * settings.height * CLOSE_UP_DISTANCE
    return Camera(focal, 0.5, settings.width / 2, settings.height / 2)


def _draw_backdrop(
    camera: Camera, light: NDArray[np.float32], settings: ShotSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw a background out of focus: one tone with soft clouds."""
    canvas = Canvas(settings.height, settings.width, camera)
    tone = rng.uniform(90, 190)
    canvas.fill(canvas.rows(0.0, 1.0), shade((tone, tone, tone), rng, 0.5))
    canvas.speckle(rng, cell=0.3, strength=0.15)
    backdrop: NDArray[np.float32] = np.clip(canvas.finish() * light, 0, 255)
    return backdrop


def _class_name(plan: VideoPlan) -> str:
    """Return the motion of an abnormal video and its place, as in "run-street"."""
    number = ACTIVITIES.index(plan.forbidden)
    motion = KIND_MOTIONS[number][plan.kinds[number]]
    return f"{motion}-{SPOT_TYPES[number][plan.types[number]]}"
