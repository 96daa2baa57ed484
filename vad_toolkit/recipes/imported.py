"""The recipe of features that somebody published: what is known of how they were made.

They stand in a pack like our own, but their numbers cannot be made again here, and how many
snippets a video has is given, not derived: published files do not always keep their own rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vad_toolkit.core.crops import check_crop_order
from vad_toolkit.core.files import canonical_json, sha256_text

NOT_STATED = "not stated"


class ImportedRecipe(BaseModel):
    """What is known of imported features. Immutable, strict; equal ones have equal `sha256`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["imported"] = "imported"
    layout: str = Field(min_length=1, description="Of the files that they came in.")
    features: str = Field(
        default=NOT_STATED, min_length=1, description="Network and preprocessing, in words."
    )
    rule: str = Field(
        default="frames",
        min_length=1,
        description="The ground-truth rule that their labels are made by, and that says how many "
        "snippets a video has.",
    )
    spans: Literal["step", "segments"] = Field(
        default="step",
        description="What a row covers: `step` frames, or one of N equal parts of the video.",
    )
    snippet_frames: int = Field(default=16, ge=1, le=256)
    step: int = Field(default=16, ge=1, le=256)
    crop_order: tuple[str, ...]
    streams: tuple[Literal["rgb", "flow"], ...] = ("rgb",)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if isinstance(data, dict):  # JSON has lists, not tuples
            data = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in data.items()
            }
        return data

    @field_validator("crop_order")
    @classmethod
    def _check_crops(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_crop_order(value)

    @field_validator("streams")
    @classmethod
    def _check_streams(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("streams has to name rgb, flow or both, each once")
        return value

    @property
    def crop_count(self) -> int:
        """C of the features (N, C, D)."""
        return len(self.crop_order)

    @property
    def weights(self) -> Mapping[str, str]:
        """Nothing: the weights that made them are not known by a digest."""
        return {}

    def canonical_json(self) -> str:
        """The text that `sha256` is taken of, and that packs and checkpoints carry."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def sha256(self) -> str:
        """The recipe's identity."""
        return sha256_text(self.canonical_json())

    def snippet_count(self, frames: int, fps: float = 0.0) -> None:
        """Not derived: None for any video."""

    def frame_snippets(self, snippets: int, frames: int, fps: float = 0.0) -> NDArray[np.intp]:
        """The snippet of each frame, (frames,): `step` frames each, or N equal parts.

        Equal parts are those of the code of Sultani et al. (CVPR 2018): bounds between the video's
        own snippets of 16 frames, at linspace(1, snippets of the video, N + 1), rounded.
        """
        if self.spans == "step":
            return np.minimum(np.arange(frames) // self.step, snippets - 1)
        return segment_of_frame(snippets, frames, self.step)


def segment_of_frame(segments: int, frames: int, step: int) -> NDArray[np.intp]:
    """The one of `segments` parts that each of a video's `frames` lies in, (frames,).

    The video has frames // step snippets, at least 1; the parts' bounds lie between them, at
    linspace(1, snippets, segments + 1) rounded half up, as in Sultani et al.'s
    Evaluate_Anomaly_Detector. Where a video has fewer snippets than parts, several parts begin at
    one snippet and the last of them has it. Frames after the last snippet belong to the last part.
    """
    count = max(1, frames // step)
    bounds = np.floor(np.linspace(1, count, segments + 1) + 0.5).astype(np.intp) - 1
    starts = bounds[:-1]
    snippets = np.searchsorted(starts, np.arange(count), side="right") - 1
    return snippets[np.minimum(np.arange(frames) // step, count - 1)]
