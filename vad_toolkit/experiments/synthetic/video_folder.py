"""A folder of rendered videos: it holds one dataset, and a second run draws what is missing.

OUT/dataset.json             what was drawn
OUT/videos/<id>.mp4          a video is there whole or not at all
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from joblib import Parallel, delayed

from vad_toolkit.core.files import TEMPORARY_MARK, claim_folder
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent

RECORD_FILE = "dataset.json"
VIDEOS = "videos"


class Named(Protocol):
    """A plan of a video."""

    @property
    def id(self) -> str: ...


Plan = TypeVar("Plan", bound=Named)


def claim(out: Path, record: Mapping[str, Any]) -> None:
    """Make `out` the folder of the dataset that `record` describes. Raises InputError."""
    claim_folder(out, RECORD_FILE, record, "a dataset")


def render_missing(
    out: Path,
    plans: Sequence[Plan],
    render: Callable[[Plan, Path], str],
    jobs: int,
    progress: ProgressCallback,
) -> int:
    """Call `render(plan, path)` for each video that is not in `out` yet; how many that were.

    `jobs` processes draw at a time; -1 is one a core.
    """
    videos = out / VIDEOS
    for stale in videos.rglob(f"*{TEMPORARY_MARK}*"):
        stale.unlink()
    missing = [plan for plan in plans if not _path(videos, plan).exists()]
    reused = len(plans) - len(missing)
    for done, name in enumerate(_render_all(missing, videos, render, jobs), start=1):
        progress(ProgressEvent("render", reused + done, len(plans), "videos", name))
    return len(missing)


def _path(videos: Path, plan: Named) -> Path:
    return videos / f"{plan.id}.mp4"


def _render_all(
    plans: Sequence[Plan], videos: Path, render: Callable[[Plan, Path], str], jobs: int
) -> Iterator[str]:
    """Ids of videos, each as soon as it is there."""
    if jobs == 1 or len(plans) < 2:
        yield from (render(plan, _path(videos, plan)) for plan in plans)
        return
    work = (delayed(render)(plan, _path(videos, plan)) for plan in plans)
    yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(work)
