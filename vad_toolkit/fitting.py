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
    return check_fit(
        manifest,
        {id: pack.meta(id).frames for id in pack.ids},
        {id: pack.shape(id)[0] for id in pack.ids},
        pack.recipe.snippet_count,
        needs_events=needs_events,
    )
