"""Small packs to describe: our own features, and imported ones of which little is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.packs.pack import LICENSE_NOT_STATED
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import AnyRecipe, Recipe, load_recipe

MakePack = Callable[..., Path]
CENTER = load_recipe("i3d-rgb-center")


@pytest.fixture
def make_pack(tmp_path: Path) -> MakePack:
    """A pack of videos of 40 frames by id: `make_pack("p.h5", "fight/one", "two")`."""

    def make(
        name: str,
        *ids: str,
        by: AnyRecipe = CENTER,
        license: str = LICENSE_NOT_STATED,
        dataset: str = "made-up",
        clips: tuple[str, ...] = (),
    ) -> Path:
        known = isinstance(by, Recipe)
        meta = VideoMeta(
            frames=40,
            frames_reported=40,
            frames_duplicated=0,
            fps=25.0 if known else 0.0,
            width=320 if known else 0,
            height=240 if known else 0,
            source_sha256="ab" * 32,
            decoder="decord" if known else "import",
            decoder_version="0.6.0",
            clips=clips,
        )
        streams = {
            stream: np.full((3, by.crop_count, 8 + index), index + 1, np.float16)
            for index, stream in enumerate(by.streams)
        }
        path = tmp_path / name
        videos = ((id, VideoFeatures(meta, streams)) for id in ids)
        write_pack(path, by, videos, dataset=dataset, license=license)
        return path

    return make
