"""A small pack, its manifest and checkpoints with weights of no meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from vad_toolkit.crops import CENTER
from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.features.imported import ImportedRecipe
from vad_toolkit.features.pack import write_pack
from vad_toolkit.features.recipe import AnyRecipe, Recipe
from vad_toolkit.features.video import VideoFeatures, VideoMeta
from vad_toolkit.models.registry import build_model
from vad_toolkit.training.checkpoint import describe_checkpoint, save_checkpoint
from vad_toolkit.training.config import load_config

WIDTH = 8
FRAMES = {"normal/a": 100, "normal/b": 40, "fight/a": 90, "fire/a": 64}
ENTRIES = (
    Entry(id="normal/a", path="normal/a.mp4", label=0),
    Entry(id="normal/b", path="normal/b.mp4", label=0, frames=40),
    Entry(id="fight/a", path="fight/a.mp4", label=1, classes=("fight",), events=((16, 48),)),
    Entry(id="fire/a", path="fire/a.mp4", label=1, classes=("fire",), events=((50, 70),)),
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tests run side by side."""
    torch.set_num_threads(1)


@pytest.fixture
def recipe() -> Recipe:
    """One crop, so that features stay small."""
    return Recipe(crops="center")


def imported_recipe(**fields: object) -> ImportedRecipe:
    """Of published features of one crop."""
    return ImportedRecipe.model_validate({"layout": "rtfm", "crop_order": CENTER} | fields)


@pytest.fixture
def make_pack(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a pack of random features: videos by id, with frames and snippets."""

    def make(name: str, recipe: AnyRecipe, sizes: Mapping[str, tuple[int, int]]) -> Path:
        rng = np.random.default_rng(0)

        def video(id: str, frames: int, snippets: int) -> tuple[str, VideoFeatures]:
            shape = (snippets, recipe.crop_count, WIDTH)
            meta = VideoMeta(
                frames=frames,
                frames_reported=frames,
                frames_duplicated=0,
                fps=25.0 if id != "fire/a" else 0.0,
                width=64,
                height=64,
                source_sha256="0" * 64,
                decoder="none",
                decoder_version="0",
            )
            return id, VideoFeatures(meta, {"rgb": rng.standard_normal(shape).astype(np.float16)})

        path = tmp_path / name
        write_pack(path, recipe, [video(id, *size) for id, size in sizes.items()], dataset="small")
        return path

    return make


@pytest.fixture
def pack(make_pack: Callable[..., Path], recipe: Recipe) -> Path:
    """Four videos of our own recipe."""
    sizes = {id: (frames, recipe.snippet_count(frames)) for id, frames in FRAMES.items()}
    return make_pack("features.h5", recipe, sizes)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The test split."""
    path = tmp_path / "small" / "test.jsonl"
    write_manifest(path, ENTRIES)
    return path


@pytest.fixture
def make_run(recipe: Recipe) -> Callable[..., Path]:
    """A function that writes a run folder of one seed: best and last differ in their weights."""

    def make(folder: Path, seed: int = 0, recipe: AnyRecipe = recipe, **facts: str) -> Path:
        config = load_config("sultani", {"head.hidden": [4, 2]})
        folder.mkdir(parents=True)
        for name, step in (("best", 10), ("last", 20)):
            torch.manual_seed(1000 * seed + step)
            info = describe_checkpoint(
                config,
                recipe,
                pack_sha256="a" * 64,
                manifest_sha256=facts.get("manifest_sha256", "b" * 64),
                input_dim=WIDTH,
                step=step,
                seed=seed,
                metric=0.75,
                validation_loss=0.5,
            )
            save_checkpoint(folder / f"{name}.safetensors", build_model(config, WIDTH), info)
        return folder

    return make


@pytest.fixture
def run(tmp_path: Path, make_run: Callable[..., Path]) -> Path:
    """One run of seed 0."""
    return make_run(tmp_path / "run")
