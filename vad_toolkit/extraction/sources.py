"""The input of an extraction: videos with their ids, and the recipe of an existing pack."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vad_toolkit.core.files import AnyPath
from vad_toolkit.errors import InputError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import Recipe, load_recipe
from vad_toolkit.video.paths import EXAMPLE, find_videos, is_frame_folder


@dataclass(frozen=True)
class VideoSource:
    """A video to extract."""

    id: str  # in the pack
    path: Path  # a video file or a folder of frames
    frames: int | None = None  # according to a manifest
    fps: float | None = None  # frames per second, according to a manifest


def list_sources(inputs: AnyPath | Sequence[AnyPath]) -> list[VideoSource]:
    """List videos that are given one by one, and all videos below folders.

    The id of a file is its name without suffix; below a folder it is the path relative to that
    folder. A folder of frames is one video, even if it is given itself.

    Raises:
        InputError: If a path does not exist, a folder has no videos or is ambiguous
            (`find_videos`), or two videos have the same id.
    """
    paths = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    sources: dict[str, VideoSource] = {}
    for item in map(Path, paths):
        if not item.exists():
            raise InputError(f"{str(item)!r} does not exist; give a video file or a folder")
        is_video = not item.is_dir() or is_frame_folder(item)
        videos = [item] if is_video else find_videos(item)
        if not videos:
            raise InputError(
                f"{str(item)!r} holds no videos: neither video files nor folders of frames "
                f"({EXAMPLE})"
            )
        for path in videos:
            # The last part of "." or ".." is that of the folder itself.
            own = item if item.name not in ("", "..") else item.resolve()
            name = Path(own.name) if is_video else path.relative_to(item)
            source = VideoSource((name if path.is_dir() else name.with_suffix("")).as_posix(), path)
            if (other := sources.get(source.id)) is not None:
                raise InputError(
                    f"{other.path} and {path} have the same id {source.id!r}; rename one of them, "
                    "or extract them into two packs"
                )
            sources[source.id] = source
    return list(sources.values())


def recipe_of_pack(pack: AnyPath, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Return the recipe of a pack, with some fields replaced, as by `load_recipe`.

    Raises:
        InputError: If the pack holds imported features, or a field or value is not allowed.
        PackError: If the pack cannot be read.
    """
    with FeaturePack.open(Path(pack)) as opened:
        recipe = opened.recipe
    if not isinstance(recipe, Recipe):
        raise InputError(
            f"{pack} holds imported features ({recipe.layout}), whose recipe is not known; give "
            "--recipe, such as the preset of the published features"
        )
    return load_recipe(recipe, overrides)
