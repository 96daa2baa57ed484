"""Whether a pack holds a manifest's videos: where datasets and features meet."""

from __future__ import annotations

from vad_toolkit.datasets.fit import check_fit
from vad_toolkit.datasets.manifest import Manifest
from vad_toolkit.features.pack import FeaturePack


def pack_problems(manifest: Manifest, pack: FeaturePack, *, needs_events: bool = True) -> list[str]:
    """Everything that keeps a manifest from being used with a pack, one line a problem.

    Args:
        manifest: the videos that are wanted.
        pack: an open pack; only metadata and shapes are read.
        needs_events: whether abnormal videos need known events: yes for a test, no for training.

    Returns:
        Lines that each name a video (`datasets.fit.check_fit`); empty when all fits.
    """
    videos = {id: pack.meta(id) for id in pack.ids}
    return check_fit(
        manifest,
        {id: meta.frames for id, meta in videos.items()},
        {id: pack.shape(id)[0] for id in videos},
        {id: pack.recipe.snippet_count(meta.frames, meta.fps) for id, meta in videos.items()},
        needs_events=needs_events,
    )
