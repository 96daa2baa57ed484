"""The fast form of the benchmark: feature vectors drawn from a model instead of videos.

x = motion + spot + distractor + style + noise, (D,) per snippet and crop:

    motion      its code, times a strength that changes from snippet to snippet
    spot        the code of the visible spot and its type, times a strength of the video
    distractor  in half of the snippets one of 8 codes, independently of everything else
    style       a point in 4 dimensions per video, shared by all its snippets
    noise       standard normal, independent in each dimension, snippet and crop

Codes are orthogonal and of equal length. They are drawn from the seed and are the same for both
splits and all three levels, so that a head can be trained at one level and tested at another.

OUT/pack.h5, train.jsonl, test.jsonl, dataset.toml
OUT/context-motion.json    the arguments; written last
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
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
from vad_toolkit.experiments.synthetic.video_folder import SPLITS, manifest_entry
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.imported import ImportedRecipe

WIDTH = 256  # D
CODE_LENGTH = 5.0  # in standard deviations of the noise along any direction
MOTION_STRENGTH = (0.6, 1.4)
SPOT_STRENGTH = (0.8, 1.2)
DISTRACTORS = 8
DISTRACTOR_SHARE = 0.5  # of the snippets
STYLE_DIMENSIONS = 4
STYLE_SPREAD = 2.5  # standard deviation in each of them
DRAWING = 1  # increased with every change of the vectors
PACK_FILE = "pack.h5"
RECORD_FILE = "context-motion.json"
CROP_COUNTS = (1, 5, 10)
SIZE = Size()


@dataclass(frozen=True)
class Codes:
    """Codes of everything that a snippet may show."""

    motion: NDArray[np.float64]  # (activities, kinds, D)
    spot: NDArray[np.float64]  # (spots, types, D)
    distractor: NDArray[np.float64]  # (8, D)
    style: NDArray[np.float64]  # (4, D), of length 1


@dataclass(frozen=True)
class VectorDataset:
    """The pack and the manifests of a drawn dataset."""

    pack: Path
    train: Path
    test: Path

    @classmethod
    def in_folder(cls, folder: Path) -> VectorDataset:
        """Return the files that `write_vectors` writes into a folder."""
        return cls(folder / PACK_FILE, folder / TRAIN_FILE, folder / TEST_FILE)


def draw_codes(seed: int) -> Codes:
    """Return the codes of a dataset: orthogonal, in directions drawn from the seed."""
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
    """Return features of a video, (T', C, D); random numbers are the same at all levels."""
    rng = np.random.default_rng(plan.seed)
    snippets = plan.snippets
    shown = course(plan, level)
    motion_strength = rng.uniform(*MOTION_STRENGTH, size=snippets)
    spot_strength = rng.uniform(*SPOT_STRENGTH)
    chosen = rng.integers(DISTRACTORS, size=snippets)
    distracted = rng.random(snippets) < DISTRACTOR_SHARE
    style = rng.normal(0, STYLE_SPREAD, size=STYLE_DIMENSIONS)
    noise = rng.standard_normal((snippets, crops, WIDTH))

    kinds, types = np.array(plan.kinds), np.array(plan.types)
    moving, seen = shown.motion != NOTHING, shown.spot != NOTHING
    content = (
        (motion_strength * moving)[:, None] * codes.motion[shown.motion, kinds[shown.motion]]
        + (spot_strength * seen)[:, None] * codes.spot[shown.spot, types[shown.spot]]
        + distracted[:, None] * codes.distractor[chosen]
        + style @ codes.style
    )  # (T', D); NOTHING selects some code, which is multiplied by 0
    features: NDArray[np.float16] = (content[:, None] + noise).astype(np.float16)
    return features


def write_vectors(
    out: Path,
    level: Level,
    seed: int = 0,
    size: Size = SIZE,
    crops: int = 1,
    progress: ProgressCallback = silent,
) -> VectorDataset:
    """Draw a dataset into `out`: a pack with both splits, and their manifests.

    The same arguments give the same features with the same version of numpy.

    Args:
        out: A new or empty folder.
        level: Where the surroundings of a motion are seen.
        seed: Seed of everything that is drawn, >= 0.
        size: Number of videos.
        crops: 1, 5 or 10 crops, which differ in noise only.
        progress: Called with the number of videos done.

    Raises:
        InputError: If a value is not allowed, or `out` is not empty.
    """
    if crops not in CROP_COUNTS:
        raise InputError(f"crops must be one of {', '.join(map(str, CROP_COUNTS))}, got {crops}")
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
    train, test = (
        tuple(
            manifest_entry(plan, plan.id, attrgetter("forbidden"), None)
            for plan in plans
            if plan.split == split
        )
        for split in SPLITS
    )
    info = DatasetInfo(
        name=name,
        title=f"Context-motion benchmark, feature vectors, level {level}",
        citation="none",
        homepage="none",
        license="CC0-1.0",
        notes=f"Drawn by vad context-motion, seed {seed}.",
    )
    write_dataset(BuiltDataset(info, train, test), out)
    write_json(out / RECORD_FILE, describe_vectors(level, seed, size, crops))
    return dataset


def ready_vectors(
    out: Path, level: Level, seed: int, size: Size = SIZE, crops: int = 1
) -> VectorDataset | None:
    """Return the dataset in `out` if it is complete and of these arguments, else None."""
    try:
        record = json.loads((out / RECORD_FILE).read_text(encoding="utf-8"))
        dataset = VectorDataset.in_folder(out)
        with FeaturePack.open(dataset.pack):
            pass
    except (OSError, ValueError, PackError):
        return None
    return dataset if record == describe_vectors(level, seed, size, crops) else None


def describe_vectors(
    level: Level, seed: int | None, size: Size = SIZE, crops: int = 1
) -> dict[str, Any]:
    """Return all arguments of a dataset as plain values; None is the seed of each run."""
    return {
        "drawing": DRAWING,
        "level": str(level),
        "seed": seed,
        "videos_of_each_label": asdict(size),
        "crops": crops,
    }


def _videos(
    plans: Sequence[VideoPlan], level: Level, codes: Codes, crops: int, progress: ProgressCallback
) -> Iterator[tuple[str, VideoFeatures]]:
    for done, plan in enumerate(plans, start=1):
        meta = VideoMeta(
            frames=plan.frames,
            frames_reported=plan.frames,
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
