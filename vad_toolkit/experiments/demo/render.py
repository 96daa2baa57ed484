"""Rendering of the demo's dataset (files: `vad_toolkit.experiments.synthetic.video_folder`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.experiments.demo.choreography import (
    ABNORMAL,
    DatasetSettings,
    VideoPlan,
    plan_dataset,
)
from vad_toolkit.experiments.synthetic.drawing import Grain
from vad_toolkit.experiments.synthetic.people import draw_look, limbs, simulate
from vad_toolkit.experiments.synthetic.scenes import draw_scene
from vad_toolkit.experiments.synthetic.video_folder import RenderedDataset, render_folder

DATASET = "vad-demo"
DRAWING = 2  # increased with every change of the pictures, so that old and new do not mix
INFO = DatasetInfo(
    name=DATASET,
    title="Moving figures in a street and on a sports field, rendered",
    citation="none",
    homepage="none",
    license="CC0-1.0",
    notes="Made by vad demo; walking is normal in the street only, running on the field only.",
)


def render_dataset(
    out: Path,
    seed: int = 0,
    settings: DatasetSettings | None = None,
    jobs: int = -1,
    progress: ProgressCallback = silent,
) -> RenderedDataset:
    """Render the dataset into `out`, or the videos that are missing there.

    The same seed and settings give the same bytes with the same versions of numpy and PyAV.

    Args:
        out: A new or empty folder, or one of the same dataset.
        seed: Seed of everything that is drawn, >= 0.
        settings: Number and format of the videos. If None, the defaults.
        jobs: Number of processes; -1 for one per core.
        progress: Called with the number of videos done.

    Raises:
        InputError: If the seed or `jobs` is out of range, or `out` holds something else.
    """
    settings = settings or DatasetSettings()
    plans = plan_dataset(settings, seed)
    record = {"drawing": DRAWING, "seed": seed, "settings": asdict(settings)}
    draw = partial(draw_frames, settings=settings)
    return render_folder(out, record, INFO, plans, draw, _class_name, settings, jobs, progress)


def draw_frames(plan: VideoPlan, settings: DatasetSettings) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a video, (height, width, 3) RGB."""
    rng = np.random.default_rng(plan.seed)
    scene = draw_scene(plan.surrounding, settings.height, settings.width, rng)
    figures = []
    for motions in plan.motions:
        look = draw_look(rng)
        track = simulate(motions, settings.fps, scene.ground, rng)
        figures.append(limbs(track, look, scene.camera, scene.light))
    grain = Grain(settings.height, settings.width, rng)
    for frame in range(plan.frames):
        image = scene.background.copy()
        for figure in sorted(figures, key=lambda figure: -figure.depth[frame].mean()):
            figure.draw(image, frame)
        yield grain.over(image)


def _class_name(plan: VideoPlan) -> str:
    return f"{ABNORMAL[plan.surrounding]}-{plan.surrounding}"
