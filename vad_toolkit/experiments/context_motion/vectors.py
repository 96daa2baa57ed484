"""The benchmark's fast form: feature vectors drawn from a stated model, in place of videos.

x = motion + spot + distractor + style + noise, (D,) a snippet and crop:

    motion      its code, times a strength that changes from snippet to snippet
    spot        the code of the spot in view and its type, times a strength of the video's own
    distractor  in half of the snippets one of 8 codes, whatever else is in view
    style       a point in 4 dimensions, drawn for each video: what all its snippets share
    noise       standard normal, in each number, snippet and crop

Codes are orthogonal and all of one length. They are drawn from the seed, and are those of both
splits and of all three levels, so that a head may be trained at one level and tested at another.

OUT/pack.h5, train.jsonl, test.jsonl, dataset.toml
OUT/context-motion.json    what it was drawn with; written last
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit import __version__
from vad_toolkit.core.crops import crop_order
from vad_toolkit.core.files import canonical_json, check_new_folder, sha256_text, write_json
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.building.build import TEST_FILE, TRAIN_FILE, BuiltDataset, write_dataset
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.errors import InputError, PackError
from vad_toolkit.experiments.context_motion.courses import (
    ACTIVITIES,
    KINDS,
    NOTHING,
    SNIPPET_FRAMES,
    Level,
    Size,
    VideoPlan,
    course,
    plan_videos,
)
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.imported import ImportedRecipe

WIDTH = 256  # D
CODE_LENGTH = 5.0  # in standard deviations of the noise in any one direction
MOTION_STRENGTH = (0.6, 1.4)
SPOT_STRENGTH = (0.8, 1.2)
DISTRACTORS = 8
DISTRACTOR_SHARE = 0.5  # of the snippets
STYLE_DIMENSIONS = 4
STYLE_SPREAD = 2.5  # standard deviation in each of them
DRAWING = 1  # changes with every change of what is drawn
PACK_FILE = "pack.h5"
RECORD_FILE = "context-motion.json"
CROP_COUNTS = (1, 5, 10)


@dataclass(frozen=True)
class Codes:
    """Directions of everything that a snippet may show.

    motion: (activities, kinds, D). spot: (spots, types, D). distractor: (8, D). style: (4, D), of
    length 1.
    """

    motion: NDArray[np.float64]
    spot: NDArray[np.float64]
    distractor: NDArray[np.float64]
    style: NDArray[np.float64]


@dataclass(frozen=True)
class VectorDataset:
    """Where a drawn dataset lies."""

    pack: Path
    train: Path
    test: Path

    @classmethod
    def in_folder(cls, folder: Path) -> VectorDataset:
        """The files that `write_vectors` writes there."""
        return cls(folder / PACK_FILE, folder / TRAIN_FILE, folder / TEST_FILE)


def draw_codes(seed: int) -> Codes:
    """The codes of a dataset: orthogonal, in directions drawn from the seed."""
    rng = np.random.default_rng((seed, 2))
    seen = len(ACTIVITIES) * KINDS
    count = 2 * seen + DISTRACTORS + STYLE_DIMENSIONS
    directions = np.linalg.qr(rng.standard_normal((WIDTH, count)))[0].T  # (count, D)
    motion, spot, distractor, style = np.split(
        directions, np.cumsum((seen, seen, DISTRACTORS)), axis=0
    )
    shape = (len(ACTIVITIES), KINDS, WIDTH)
    return Codes(
        CODE_LENGTH * motion.reshape(shape),
        CODE_LENGTH * spot.reshape(shape),
        CODE_LENGTH * distractor,
        style,
    )


def draw_features(
    plan: VideoPlan, level: Level, codes: Codes, crops: int = 1
) -> NDArray[np.float16]:
    """Features of a video, (T', C, D). What is drawn for a plan is the same at all levels."""
    rng = np.random.default_rng(plan.seed)
    snippets = plan.snippets
    shown = course(plan, level)
    motion_strength = rng.uniform(*MOTION_STRENGTH, size=snippets)
    spot_strength = rng.uniform(*SPOT_STRENGTH)
    which = rng.integers(DISTRACTORS, size=snippets)
    distracted = rng.random(snippets) < DISTRACTOR_SHARE
    style = rng.normal(0, STYLE_SPREAD, size=STYLE_DIMENSIONS)
    noise = rng.standard_normal((snippets, crops, WIDTH))

    kinds, types = np.array(plan.kinds), np.array(plan.types)
    moving, seen = shown.motion != NOTHING, shown.spot != NOTHING
    content = (
        (motion_strength * moving)[:, None] * codes.motion[shown.motion, kinds[shown.motion]]
        + (spot_strength * seen)[:, None] * codes.spot[shown.spot, types[shown.spot]]
        + distracted[:, None] * codes.distractor[which]
        + style @ codes.style
    )  # (T', D); NOTHING picks some code, which is then multiplied by 0
    features: NDArray[np.float16] = (content[:, None] + noise).astype(np.float16)
    return features


def write_vectors(
    out: Path,
    level: Level,
    seed: int = 0,
    size: Size | None = None,
    crops: int = 1,
    progress: ProgressCallback = silent,
) -> VectorDataset:
    """Draw a dataset into `out`: a pack of both splits and their manifests.

    The same arguments give the same features with the same version of numpy.

    Raises:
        InputError: an argument that is not allowed, or `out` has something in it.
    """
    size = size or Size()
    if crops not in CROP_COUNTS:
        raise InputError(f"crops = {crops}: has to be one of {', '.join(map(str, CROP_COUNTS))}")
    plans = plan_videos(size, seed)
    check_new_folder(out)
    dataset = VectorDataset.in_folder(out)
    recipe = ImportedRecipe(
        layout="generated",
        features=f"context-motion vectors, drawing {DRAWING}, seed {seed}",
        snippet_frames=SNIPPET_FRAMES,
        step=SNIPPET_FRAMES,
        crop_order=crop_order("torchvision", crops),
    )
    name = f"context-motion-vectors-{level}"
    write_pack(
        dataset.pack,
        recipe,
        _videos(plans, level, draw_codes(seed), crops, progress),
        dataset=name,
        license="CC0-1.0",
    )
    entries = [plan.entry(plan.id, (plan.forbidden or "",), None) for plan in plans]
    write_dataset(
        BuiltDataset(
            info=DatasetInfo(
                name=name,
                title=f"Context-motion benchmark, feature vectors, level {level}",
                citation="none",
                homepage="none",
                license="CC0-1.0",
                notes=f"Drawn by vad_toolkit.experiments.context_motion.vectors, seed {seed}.",
            ),
            train=tuple(entry for entry in entries if entry.events is None),
            test=tuple(entry for entry in entries if entry.events is not None),
        ),
        out,
    )
    write_json(out / RECORD_FILE, describe_vectors(level, seed, size, crops))
    return dataset


def ready_vectors(
    out: Path, level: Level, seed: int, size: Size | None = None, crops: int = 1
) -> VectorDataset | None:
    """The dataset in `out` where it is whole and drawn with these arguments; else None."""
    try:
        record = json.loads((out / RECORD_FILE).read_text(encoding="utf-8"))
        dataset = VectorDataset.in_folder(out)
        with FeaturePack.open(dataset.pack):
            pass
    except (OSError, ValueError, PackError):
        return None
    return dataset if record == describe_vectors(level, seed, size, crops) else None


def describe_vectors(
    level: Level, seed: int | None, size: Size | None = None, crops: int = 1
) -> dict[str, Any]:
    """Everything that decides what is drawn, in plain values; `seed` None: each run's own."""
    size = size or Size()
    return {
        "drawing": DRAWING,
        "level": str(level),
        "seed": seed,
        "videos_of_each_label": asdict(size),
        "crops": crops,
    }


def _videos(
    plans: Sequence[VideoPlan],
    level: Level,
    codes: Codes,
    crops: int,
    progress: ProgressCallback,
) -> Iterator[tuple[str, VideoFeatures]]:
    for done, plan in enumerate(plans, start=1):
        frames = plan.snippets * SNIPPET_FRAMES
        meta = VideoMeta(
            frames=frames,
            frames_reported=frames,
            frames_duplicated=0,
            fps=0.0,
            width=0,
            height=0,
            source_sha256=sha256_text(canonical_json([str(level), plan.id, *plan.seed])),
            decoder="drawn",
            decoder_version=__version__,
        )
        yield plan.id, VideoFeatures(meta, {"rgb": draw_features(plan, level, codes, crops)})
        progress(ProgressEvent("draw", done, len(plans), "videos", plan.id))
