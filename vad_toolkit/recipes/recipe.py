"""Recipes: all settings that decide the value of a feature, and nothing else.

The canonical JSON and sha256 of a recipe are stored in packs and checkpoints. Packs with equal
hashes hold comparable features and can be merged. A model scores only features that were made by
the recipe it was trained on. `presets.toml` has the recipes with names.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, field_validator, model_validator

from vad_toolkit.backbones.registry import BACKBONES, Normalisation, Stream
from vad_toolkit.core.crops import crop_order
from vad_toolkit.core.files import AnyPath
from vad_toolkit.core.settings import AsTuple, Settings, describe_error, read_settings
from vad_toolkit.errors import InputError
from vad_toolkit.flow.registry import FLOWS
from vad_toolkit.recipes.imported import CropOrder, ImportedRecipe, Streams

Kind = TypeVar("Kind", "Recipe", ImportedRecipe)
CropLayout = Literal["ten", "five", "center"]
ResizeMethod = Literal[
    "bilinear-antialias-uint8", "bilinear-uint8", "bilinear-pillow", "lanczos-pillow"
]
Pixels = Annotated[int, Field(ge=32, le=4096)]
SHA256 = r"^[0-9a-f]{64}$"
Sha256 = Annotated[str, Field(pattern=SHA256)]

# The default order of each layout: that of torchvision's FiveCrop and TenCrop.
CROP_ORDER = {
    name: crop_order("torchvision", count)
    for name, count in {"center": 1, "five": 5, "ten": 10}.items()
}

# sha256 of the published file of i3d-rgb-k400, as in the catalog of weights.
K400_RGB_SHA256 = "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd"


class FlowRecipe(Settings):
    """Settings of the optical flow and of its conversion to network input."""

    VERSION_1 = frozenset({"algorithm", "quantisation"})

    algorithm: str = "tvl1"  # a name in `FLOWS`
    quantisation: Literal["clamp20", "video-features", "mmaction2-uint8"] = "clamp20"

    @field_validator("algorithm")
    @classmethod
    def _check_algorithm(cls, name: str) -> str:
        try:
            return FLOWS.check(name)
        except InputError as error:
            raise ValueError(str(error)) from None


class Recipe(Settings):
    """Settings of an extraction. Equal recipes have equal `sha256`.

    Example:
        >>> Recipe(crops="center").crop_order
        ('center',)
    """

    VERSION_1 = frozenset(
        {
            *("snippet_frames", "step", "frame_rate", "resize", "resize_method", "crops"),
            *("crop_size", "crop_order", "normalisation", "tail", "streams", "flow"),
            *("backbone", "weights", "precision"),
        }
    )

    snippet_frames: int = Field(16, ge=1, le=256)
    step: int = Field(16, ge=1, le=256)
    # Frames per second that are taken of a video, repeated or skipped; None takes all frames.
    frame_rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    # Pixels of the shorter side, aspect ratio kept; or [width, height], aspect ratio not kept.
    resize: Annotated[Pixels | tuple[Pixels, Pixels], AsTuple] = 256
    resize_method: ResizeMethod = "bilinear-antialias-uint8"
    crops: CropLayout = "ten"
    crop_size: Pixels = 224
    crop_order: CropOrder = ()  # if empty, torchvision's
    normalisation: Normalisation = "x*2/255-1"
    tail: Literal["loop", "drop", "drop-next"] = "loop"
    streams: Streams = ("rgb",)
    flow: FlowRecipe | None = None
    backbone: str = "inception-i3d"
    weights: Mapping[Stream, Sha256] = {"rgb": K400_RGB_SHA256}
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("crop_order"):
            return data | {"crop_order": CROP_ORDER.get(str(data.get("crops", "ten")), ())}
        return data

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.step > self.snippet_frames:
            raise ValueError(
                f"step must be <= snippet_frames ({self.snippet_frames}), got {self.step}"
            )
        short = self.resize if isinstance(self.resize, int) else min(self.resize)
        if self.crop_size > short:
            raise ValueError(f"crop_size must be <= resize ({short}), got {self.crop_size}")
        if len(self.crop_order) != len(CROP_ORDER[self.crops]):
            raise ValueError(
                f"crop_order must name {len(CROP_ORDER[self.crops])} crops when crops is "
                f"{self.crops!r}, got {len(self.crop_order)}"
            )
        if self.streams == ("flow", "rgb"):
            raise ValueError('streams must be ["rgb"], ["flow"] or ["rgb", "flow"]')
        if ("flow" in self.streams) != (self.flow is not None):
            raise ValueError(
                "flow must be set when streams has flow, and only then, as in "
                'flow = {algorithm = "tvl1", quantisation = "clamp20"}'
            )
        hint = "" if self.backbone in BACKBONES else "; if a plugin has it, give --plugin MODULE"
        try:
            network = BACKBONES[self.backbone]
            network.check_clip(self.snippet_frames, self.crop_size)
        except InputError as error:
            raise ValueError(f"{error}{hint}") from error
        if missing := [stream for stream in self.streams if stream not in network.streams]:
            raise ValueError(
                f"{self.backbone} has no weights for {missing[0]}; streams must be among "
                f"{', '.join(network.streams)}"
            )
        if set(self.weights) != set(self.streams):
            raise ValueError(f"weights must have one sha256 for each of {', '.join(self.streams)}")
        return self

    @property
    def crop_count(self) -> int:
        """C of the features (N, C, D)."""
        return len(self.crop_order)

    def taken_frames(self, frames: int, fps: float = 0.0, first: int = 0) -> NDArray[np.intp]:
        """Return the indices of the frames that the snippets of a video consist of, in order.

        If `frame_rate` is None, these are all frames. Otherwise the j-th one is the frame that is
        on screen j / frame_rate seconds after the first: frame floor(j * fps / frame_rate). The
        first `first` ones are left out. Raises InputError if the recipe resamples and `fps`, the
        frames per second of the video, is 0 (not known).
        """
        if self.frame_rate is None:
            return np.arange(first, frames)
        if not fps > 0:
            raise InputError(
                f"the recipe takes {self.frame_rate:g} frames per second, but the video has no "
                "frame rate; use a recipe with frame_rate null"
            )
        # Rates such as 30000/1001 are stored as floats. The fraction that was meant makes the
        # chosen frames independent of rounding.
        video, wanted = (Fraction(rate).limit_denominator(1001) for rate in (fps, self.frame_rate))
        ratio = video / wanted
        indices = np.arange(first, math.ceil(frames / ratio))
        return (indices * ratio.numerator // ratio.denominator).astype(np.intp)

    def snippet_count(self, frames: int, fps: float = 0.0) -> int:
        """Return the number of snippets N of a video of `frames` decoded frames; 0 if it is empty.

        Snippet i begins at frame i * step. `tail` decides about the last, incomplete snippet:
        "loop" repeats its own frames until it is full, "drop" leaves it out. "drop-next" also
        leaves out a last snippet that no other frame follows, which gives floor((frames - 1) / 16)
        for snippets of 16 frames and step 16.

        A recipe that resamples needs `fps`, as for `taken_frames`.
        """
        if self.frame_rate is not None and frames:
            frames = len(self.taken_frames(frames, fps))
        if self.tail == "loop":
            return -(-frames // self.step)
        needed = self.snippet_frames + (self.tail == "drop-next")
        return max(0, (frames - needed) // self.step + 1)

    def frame_snippets(self, snippets: int, frames: int, fps: float = 0.0) -> NDArray[np.intp]:
        """Return the index of the snippet that scores each frame, (frames,).

        Snippet i scores frames [i * step, (i + 1) * step), the last one all frames that are left.
        If the recipe resamples, a frame that was not taken has the snippet of the frame before it.
        """
        index = np.arange(frames)
        if self.frame_rate is not None:
            index = np.searchsorted(self.taken_frames(frames, fps), index, side="right") - 1
        return np.minimum(index // self.step, snippets - 1)


AnyRecipe: TypeAlias = Recipe | ImportedRecipe


def list_recipes() -> list[str]:
    """Return the names of the recipes that come with the toolkit.

    Example:
        >>> list_recipes()[:3]
        ['i3d-rgb-tencrop', 'i3d-rgb-fivecrop', 'i3d-rgb-center']
    """
    return list(presets())


@cache
def presets() -> Mapping[str, Mapping[str, Any]]:
    """Return the recipes of presets.toml by name, as they are written there."""
    return read_settings(Path(__file__).with_name("presets.toml"), "recipe", ())


def parse_recipe(text: str, written_by: str | None = None) -> AnyRecipe:
    """Read the canonical JSON of a recipe. Raises InputError if it is not one of this version.

    `written_by` is the version of vad-toolkit that wrote it, which explains unknown fields.
    """
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"the recipe is not JSON ({error})") from error
    if isinstance(fields, dict) and fields.get("kind") == "imported":
        return _build(ImportedRecipe, fields, written_by)
    return _build(Recipe, fields, written_by)


def load_recipe(recipe: AnyPath | Recipe, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Load a recipe and replace some of its fields.

    Args:
        recipe: The name of a preset (`list_recipes`), a .toml or .json file, or a recipe.
        overrides: New values by field. A dotted key replaces a part of a field: `flow.algorithm`,
            `weights.flow`. `weights` may be names from the catalog or from `import_weights`, as in
            {"rgb": "i3d-rgb-k400"}, or one name if there is one modality; the recipe then holds the
            sha256 of each.

    Raises:
        InputError: If there is no such preset or file, a field is unknown or a value not allowed.
        WeightsError: If a name of weights is unknown.

    Example:
        >>> load_recipe("i3d-rgb-tencrop", {"crops": "center"}).crop_count
        1
    """
    if isinstance(recipe, Recipe):
        fields = recipe.canonical_fields()
    elif recipe in presets():
        fields = dict(presets()[str(recipe)])
    else:
        fields = read_settings(Path(recipe), "recipe", presets())
    overrides = overrides or {}
    for key, value in overrides.items():
        _replace(fields, key, value)
    if "crops" in overrides and "crop_order" not in overrides:
        fields.pop("crop_order", None)
    if "weights" in fields:
        fields["weights"] = _digests(fields["weights"], fields.get("streams", ["rgb"]))
    return _build(Recipe, fields)


def _replace(fields: dict[str, Any], key: str, value: Any) -> None:
    """Replace a field, or for a dotted key an entry of a field."""
    name, dot, entry = key.partition(".")
    if dot:
        before = fields.get(name) or {}
        if name not in ("flow", "weights") or not isinstance(before, Mapping):
            raise InputError(f"recipe field {key}: unknown; only flow and weights have parts")
        value = {**before, entry: value}
    fields[name] = value


def _digests(weights: Any, streams: Any) -> Any:
    """Replace names of weights by their sha256; keep everything else for the validation."""
    if isinstance(weights, str) and isinstance(streams, list | tuple) and len(streams) == 1:
        weights = {streams[0]: weights}
    if not isinstance(weights, Mapping):
        return weights
    digests = {}
    for stream, name in weights.items():
        if isinstance(name, str) and not re.fullmatch(SHA256, name):
            # Not imported at the top, because it imports torch, which recipes do not need.
            from vad_toolkit.weights.store import resolve_name

            name = resolve_name(name)
        digests[stream] = name
    return digests


def _build(kind: type[Kind], fields: Any, written_by: str | None = None) -> Kind:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InputError(describe_error(error, kind, "recipe field", written_by)) from error
