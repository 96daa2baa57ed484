"""The benchmark's rendered form: figures at their spots or in close-up, with the demo's renderer.

A place's ground is a street or a field, its hall a lounge or a gym. Walking belongs in the street
and running on the field, waving in the lounge and jumping jacks in the gym. A wide shot shows the
empty spot. A close-up shows the figure before a plain backdrop that is drawn for each activity of
each video, whatever its spot is: the camera goes with it. A shot is as long as a snippet, 16
frames, or several of them, so that no snippet shows two.

OUT/dataset.json             level, seed and settings; a folder holds one dataset only
OUT/videos/<id>.mp4          a video is there whole or not at all
OUT/manifests/{train,test}.jsonl, dataset.toml
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.building.build import SIDES
from vad_toolkit.datasets.dataset_info import INFO_FILE, DatasetInfo, write_dataset_info
from vad_toolkit.datasets.manifest import write_manifest
from vad_toolkit.errors import InputError
from vad_toolkit.experiments.context_motion.courses import (
    ACTIVITIES,
    LENGTHS,
    NOTHING,
    SNIPPET_FRAMES,
    SPLITS,
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
from vad_toolkit.experiments.synthetic.video_folder import VIDEOS, claim, render_missing
from vad_toolkit.video.encode import write_video

# By activity, then by kind, or by type of its spot: kind i is allowed at type i.
KIND_MOTIONS = ((Motion.WALK, Motion.RUN), (Motion.WAVE, Motion.JACK))
SPOT_TYPES = (
    (Surrounding.STREET, Surrounding.FIELD),
    (Surrounding.LOUNGE, Surrounding.GYM),
)
WANDERING = 0  # the activity that goes about its spot; the other one stays where it is
CLOSE_UP_HEIGHT = 0.7  # of the figure, in picture heights
CLOSE_UP_DISTANCE = 6.0  # of the camera, in body heights
DRAWING = 1  # changes with every change of what is drawn
SIZE = Size(train=80, test=32)


@dataclass(frozen=True)
class VideoSettings:
    """How videos are drawn and stored. Raises InputError."""

    fps: int = 15
    height: int = 128
    width: int = 160
    crf: int = 20  # H.264 constant rate factor
    lengths: tuple[int, ...] = LENGTHS  # that an activity may have, in snippets

    def __post_init__(self) -> None:
        if self.fps < 1:
            raise InputError(f"fps = {self.fps}: has to be at least 1")
        for name, value in (("height", self.height), ("width", self.width)):
            if value < 32 or value % 2:
                raise InputError(f"{name} = {value}: has to be even and at least 32 pixels")


@dataclass(frozen=True)
class RenderedDataset:
    """Where a rendered dataset lies, and how many of its videos were drawn now."""

    videos: Path
    train: Path
    test: Path
    rendered: int
    reused: int


@dataclass(frozen=True)
class _Activity:
    """All that may be seen of an activity: its spot, and the figure there and in close-up."""

    spot: Scene
    there: Limbs
    backdrop: NDArray[np.float32]
    close: Limbs


def render_videos(
    out: Path,
    level: Level,
    seed: int = 0,
    size: Size = SIZE,
    settings: VideoSettings | None = None,
    jobs: int = -1,
    progress: ProgressCallback = silent,
) -> RenderedDataset:
    """Render a dataset into `out`, or what is missing of it there.

    The same arguments give the same bytes with the same versions of numpy and PyAV. `jobs`
    processes draw at a time; -1 is one a core.

    Raises:
        InputError: an argument that is not allowed, or `out` holds something else.
    """
    settings = settings or VideoSettings()
    plans = plan_videos(size, seed, settings.lengths)
    name = f"context-motion-videos-{level}"
    record = {
        "dataset": name,
        "drawing": DRAWING,
        "seed": seed,
        "videos_of_each_label": asdict(size),
        "settings": {**asdict(settings), "lengths": list(settings.lengths)},
    }
    claim(out, record)
    draw = partial(render_video, level=level, settings=settings)
    rendered = render_missing(out, plans, draw, jobs, progress)
    info = DatasetInfo(
        name=name,
        title=f"Context-motion benchmark, rendered videos, level {level}",
        citation="none",
        homepage="none",
        license="CC0-1.0",
        notes=f"Made by vad_toolkit.experiments.context_motion.videos, seed {seed}.",
    )
    manifests = out / "manifests"
    write_dataset_info(manifests / INFO_FILE, info)
    for split in SPLITS:
        entries = (
            plan.entry(f"{plan.id}.mp4", (_class_name(plan),), float(settings.fps))
            for plan in plans
            if plan.split == split
        )
        write_manifest(manifests / SIDES[split], entries)
    train, test = (manifests / SIDES[split] for split in SPLITS)
    return RenderedDataset(out / VIDEOS, train, test, rendered, len(plans) - rendered)


def render_video(plan: VideoPlan, path: Path, level: Level, settings: VideoSettings) -> str:
    """Draw and encode one video, atomically; give back its id."""
    write_video(path, draw_frames(plan, level, settings), settings.fps, settings.crf)
    return plan.id


def draw_frames(
    plan: VideoPlan, level: Level, settings: VideoSettings
) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video, (height, width, 3) RGB. Scenes and figures are those of all levels."""
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
            at = (snippet - begin) * SNIPPET_FRAMES + frame  # of the activity whose turn it is
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
    plan: VideoPlan, number: int, frames: int, settings: VideoSettings, rng: np.random.Generator
) -> _Activity:
    """The same draws for either kind and type, so that nothing but these differs."""
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
    aside = number == WANDERING  # who walks is seen from the side, who waves from the front
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
    """A figure that moves on one spot, or that the camera goes with: turned to it, or aside."""
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


def _close_camera(settings: VideoSettings) -> Camera:
    """At half a body's height, so that the figure stands in the middle of the picture."""
    focal = CLOSE_UP_HEIGHT * settings.height * CLOSE_UP_DISTANCE
    return Camera(focal, 0.5, settings.width / 2, settings.height / 2)


def _draw_backdrop(
    camera: Camera,
    light: NDArray[np.float32],
    settings: VideoSettings,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Out of focus: one tone with soft clouds."""
    canvas = Canvas(settings.height, settings.width, camera)
    tone = rng.uniform(90, 190)
    canvas.fill(canvas.rows(0.0, 1.0), shade((tone, tone, tone), rng, 0.5))
    canvas.speckle(rng, cell=0.3, strength=0.15)
    backdrop: NDArray[np.float32] = np.clip(canvas.finish() * light, 0, 255)
    return backdrop


def _class_name(plan: VideoPlan) -> str:
    """As "run-street": the motion and where it does not belong; "" for a normal video."""
    if plan.forbidden is None:
        return ""
    number = ACTIVITIES.index(plan.forbidden)
    motion = KIND_MOTIONS[number][plan.kinds[number]]
    return f"{motion}-{SPOT_TYPES[number][plan.types[number]]}"
