"""Draws the demo's videos, encodes them as H.264 and writes their manifests.

OUT/dataset.json             seed and settings; a folder holds one dataset only
OUT/videos/<id>.mp4          a video is there whole or not at all
OUT/manifests/{train,test}.jsonl, dataset.toml
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.dataset_info import INFO_FILE, DatasetInfo, write_dataset_info
from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.experiments.demo.choreography import (
    ABNORMAL,
    SPLITS,
    DatasetSettings,
    VideoPlan,
    plan_dataset,
)
from vad_toolkit.experiments.synthetic.drawing import Grain
from vad_toolkit.experiments.synthetic.people import draw_look, limbs, simulate
from vad_toolkit.experiments.synthetic.scenes import draw_scene
from vad_toolkit.experiments.synthetic.video_folder import VIDEOS, claim, render_missing
from vad_toolkit.video.encode import write_video

DATASET = "vad-demo"
DRAWING = 2  # changes with every change of what is drawn, so that old videos are not mixed with new


@dataclass(frozen=True)
class DemoDataset:
    """Where a rendered dataset lies, and how many of its videos were drawn now."""

    videos: Path
    train_manifest: Path
    test_manifest: Path
    rendered: int
    reused: int


def render_dataset(
    out: Path,
    seed: int = 0,
    settings: DatasetSettings | None = None,
    jobs: int = -1,
    progress: ProgressCallback = silent,
) -> DemoDataset:
    """Render the dataset into `out`, or what is missing of it there.

    The same seed and settings give the same bytes with the same versions of numpy and PyAV. `jobs`
    processes draw at a time; -1 is one a core.

    Raises:
        InputError: the seed or a setting is out of range, or `out` holds another dataset or other
            files.
    """
    settings = settings or DatasetSettings()
    plans = plan_dataset(settings, seed)
    claim(out, {"drawing": DRAWING, "seed": seed, "settings": settings.as_dict()})
    rendered = render_missing(out, plans, partial(render_video, settings=settings), jobs, progress)
    manifests = out / "manifests"
    write_dataset_info(manifests / INFO_FILE, _INFO)
    for split in SPLITS:
        entries = [_entry(plan, settings.fps) for plan in plans if plan.split == split]
        write_manifest(manifests / f"{split}.jsonl", entries)
    train, test = (manifests / f"{split}.jsonl" for split in SPLITS)
    return DemoDataset(out / VIDEOS, train, test, rendered, len(plans) - rendered)


def draw_frames(plan: VideoPlan, settings: DatasetSettings) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video, (height, width, 3) RGB."""
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


def render_video(plan: VideoPlan, path: Path, settings: DatasetSettings) -> str:
    """Draw and encode one video, atomically; give back its id."""
    write_video(path, draw_frames(plan, settings), settings.fps, settings.crf)
    return plan.id


_INFO = DatasetInfo(
    name=DATASET,
    title="Moving figures in a street and on a sports field, rendered",
    citation="none",
    homepage="none",
    license="CC0-1.0",
    notes="Made by vad demo; walking is normal in the street only, running on the field only.",
)


def _entry(plan: VideoPlan, fps: int) -> Entry:
    """A manifest line. Training has labels for whole videos only."""
    return Entry(
        id=plan.id,
        path=f"{plan.id}.mp4",
        label=1 if plan.label else 0,
        classes=(f"{ABNORMAL[plan.surrounding]}-{plan.surrounding}",) if plan.label else (),
        frames=plan.frames,
        container_frames=plan.frames,
        fps=float(fps),
        events=plan.events if plan.split == "test" else None,
    )
