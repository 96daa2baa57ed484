"""Recipes of features that somebody else extracted and published.

Packs store them like the toolkit's own recipes, but the features cannot be reproduced here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from vad_toolkit.backbones.registry import Stream
from vad_toolkit.core.crops import check_crop_order
from vad_toolkit.core.settings import AsTuple, Settings

CropOrder = Annotated[tuple[str, ...], AsTuple, AfterValidator(check_crop_order)]
NOT_STATED = "not stated"


def _check_streams(value: tuple[Stream, ...]) -> tuple[Stream, ...]:
    if not value or len(set(value)) != len(value):
        raise ValueError("streams must name rgb, flow or both, each once")
    return value


Streams = Annotated[tuple[Stream, ...], AsTuple, AfterValidator(_check_streams)]


class ImportedRecipe(Settings):
    """The known properties of imported features. Equal recipes have equal `sha256`."""

    VERSION_1 = frozenset(
        {
            *("kind", "layout", "features", "rule", "spans"),
            *("snippet_frames", "step", "crop_order", "streams"),
        }
    )

    kind: Literal["imported"] = "imported"
    layout: str = Field(min_length=1, description="The layout of the published files.")
    features: str = Field(
        default=NOT_STATED, min_length=1, description="Network and preprocessing, in words."
    )
    rule: str = Field(
        default="frames",
        min_length=1,
        description="The ground-truth rule of the labels, which also gives the number of snippets.",
    )
    spans: Literal["step", "segments"] = Field(
        default="step",
        description="The frames of a row: `step` frames, or one of N equal parts of the video.",
    )
    snippet_frames: int = Field(default=16, ge=1, le=256)
    step: int = Field(default=16, ge=1, le=256)
    crop_order: CropOrder
    streams: Streams = ("rgb",)

    @property
    def crop_count(self) -> int:
        """C of the features (N, C, D)."""
        return len(self.crop_order)

    @property
    def weights(self) -> Mapping[str, str]:
        """Empty: the digests of the weights are not known."""
        return {}

    def snippet_count(self, frames: int, fps: float = 0.0) -> None:
        """Return None: published files do not always follow their own rule, so theirs counts."""

    def frame_snippets(self, snippets: int, frames: int, fps: float = 0.0) -> NDArray[np.intp]:
        """Return the index of the snippet that scores each frame, (frames,)."""
        if self.spans == "step":
            return np.minimum(np.arange(frames) // self.step, snippets - 1)
        return segment_of_frame(snippets, frames, self.step)


def segment_of_frame(segments: int, frames: int, step: int) -> NDArray[np.intp]:
    """Return the index of the part that each frame lies in when a video has equal parts, (frames,).

    A video has frames // step snippets, at least 1. The `segments` parts begin at snippets
    linspace(1, snippets, segments + 1), rounded half up, as in Evaluate_Anomaly_Detector of Sultani
    et al. (CVPR 2018). If several parts begin at the same snippet, the last of them has it. Frames
    after the last snippet belong to the last part.
    """
    count = max(1, frames // step)
    bounds = np.floor(np.linspace(1, count, segments + 1) + 0.5).astype(np.intp) - 1
    starts = bounds[:-1]
    snippets = np.searchsorted(starts, np.arange(count), side="right") - 1
    return snippets[np.minimum(np.arange(frames) // step, count - 1)]
