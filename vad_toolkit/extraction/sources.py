"""What is to be extracted: videos, each with the id that it has in the pack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.errors import InputError
from vad_toolkit.video.paths import EXAMPLE, find_videos, is_frame_folder


@dataclass(frozen=True)
class VideoSource:
    """A video to extract: its id in the pack, and where it lies.

    `frames` and `fps` are what a manifest says of it, None where nothing does.
    """

    id: str
    path: Path
    frames: int | None = None
    fps: float | None = None


def list_sources(inputs: Sequence[Path]) -> list[VideoSource]:
    """Videos named one by one, or all below a folder; a folder's ids are paths relative to it.

    The id of a file has no suffix. A folder of frames is one video, also where it is named itself.

    Raises:
        InputError: nothing there, a folder without videos or one that may or may not be a video
            (`find_videos`), or two videos with one id.
    """
    sources: dict[str, VideoSource] = {}
    for item in inputs:
        if not item.exists():
            raise InputError(f"no video or folder {str(item)!r}")
        is_video = not item.is_dir() or is_frame_folder(item)
        videos = [item] if is_video else find_videos(item)
        if not videos:
            raise InputError(
                f"no videos below {str(item)!r}: neither files nor folders of frames ({EXAMPLE})"
            )
        for path in videos:
            name = Path(_own_name(item)) if is_video else path.relative_to(item)
            source = VideoSource((name if path.is_dir() else name.with_suffix("")).as_posix(), path)
            if (other := sources.get(source.id)) is not None:
                raise InputError(
                    f"{other.path} and {path} would both be {source.id!r}: rename one of them, or "
                    "run them separately"
                )
            sources[source.id] = source
    return list(sources.values())


def _own_name(path: Path) -> str:
    """The last part of a path, also where that is "." or ".."."""
    return path.name if path.name not in ("", "..") else path.resolve().name
