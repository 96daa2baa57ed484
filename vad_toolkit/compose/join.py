"""Joining of the features of clips to those of longer videos, without a new extraction.

Each clip's last snippet is completed by the recipe's tail rule and counts as a whole snippet. A
joined video therefore covers step * snippets frames, and ground truth made from the clips' snippets
is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

import vad_toolkit
from vad_toolkit.core.files import canonical_json, sha256_text
from vad_toolkit.errors import InputError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.recipes.recipe import Recipe


def join_pack(
    pack: FeaturePack, plan: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, VideoFeatures]]:
    """Yield videos for `write_pack`: the features of their clips, joined along N in order.

    `fps`, width and height are those of the first clip; under a recipe that resamples, `fps` is the
    recipe's frame rate. `source_sha256` covers the ids and source digests of the clips. Digests of
    the features are verified.

    Args:
        pack: Features of the clips.
        plan: Ids of clips by id of the joined video. A clip may be used several times.

    Raises:
        InputError: If the recipe's snippets overlap, its tail rule is `drop-next`, or a video of
            the plan has no clips.
        PackError: If the pack does not have a clip.
        PackCorrupt: If a clip is damaged.
    """
    step = pack.recipe.step
    if step != pack.recipe.snippet_frames:
        raise InputError(
            f"{pack.path} has snippets of {pack.recipe.snippet_frames} frames every {step}; only "
            "snippets that do not overlap can be joined"
        )
    if isinstance(pack.recipe, Recipe) and pack.recipe.tail == "drop-next":
        raise InputError(
            f"{pack.path} has the tail rule drop-next, by which a joined video would have one "
            "snippet less than its parts; extract the clips with tail loop or drop"
        )
    for id, clips in plan.items():
        if not clips:
            raise InputError(f"video {id!r} of the plan has no clips")
        yield id, _join(pack, clips, step)


def _join(pack: FeaturePack, clips: Sequence[str], step: int) -> VideoFeatures:
    parts = [pack.video(clip) for clip in clips]
    streams = {
        stream: np.concatenate([part.streams[stream] for part in parts])
        for stream in parts[0].streams
    }
    frames = step * len(next(iter(streams.values())))
    sources = [[clip, part.meta.source_sha256] for clip, part in zip(clips, parts, strict=True)]
    first = parts[0].meta
    rate = pack.recipe.frame_rate if isinstance(pack.recipe, Recipe) else None
    meta = VideoMeta(
        frames=frames,
        frames_reported=frames,
        frames_duplicated=0,
        fps=first.fps if rate is None else rate,
        width=first.width,
        height=first.height,
        source_sha256=sha256_text(canonical_json(sources)),
        decoder="joined",
        decoder_version=vad_toolkit.__version__,
        clips=tuple(clips),
    )
    return VideoFeatures(meta, streams)
