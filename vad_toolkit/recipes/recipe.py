"""A recipe: everything that decides a feature's value, and nothing else.

Its canonical JSON and the sha256 of that stand in every pack and every checkpoint. Two packs with
one recipe hash hold comparable features and can be merged; a head scores only features made by the
recipe it was trained on. Recipes by name stand in `presets.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vad_toolkit.backbones.registry import Normalisation, Stream, find_architecture
from vad_toolkit.core.crops import CENTER, CORNERS, MIRRORED, check_crop_order
from vad_toolkit.core.files import canonical_json, read_settings, sha256_text
from vad_toolkit.errors import InputError
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.recipes.presets import PRESETS

Kind = TypeVar("Kind", "Recipe", ImportedRecipe)
CropLayout = Literal["ten", "five", "center"]
Tail = Literal["loop", "drop", "drop-next"]
Precision = Literal["float32", "tf32", "bfloat16"]
ResizeMethod = Literal[
    "bilinear-antialias-uint8", "bilinear-uint8", "bilinear-pillow", "lanczos-pillow"
]
FlowAlgorithm = Literal["tvl1", "tvl1-opencv", "raft-large", "raft-small"]
FlowQuantisation = Literal["clamp20", "video-features", "mmaction2-uint8"]
STREAMS: tuple[tuple[Stream, ...], ...] = (("rgb",), ("flow",), ("rgb", "flow"))
Pixels = Annotated[int, Field(ge=32, le=4096)]
SHA256 = r"^[0-9a-f]{64}$"
Sha256 = Annotated[str, Field(pattern=SHA256)]

# The order that a layout has where none is given: torchvision's (FiveCrop, TenCrop), four corners,
# centre, then the same of the mirrored frame.
CROP_ORDER: Mapping[CropLayout, tuple[str, ...]] = {
    "center": CENTER,
    "five": CORNERS,
    "ten": CORNERS + MIRRORED,
}

# sha256 of the file that the weights' owners published; the catalogue knows them by the same.
K400_RGB_SHA256 = "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd"


class FlowRecipe(BaseModel):
    """How optical flow is made of frames, and how the network reads it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    algorithm: FlowAlgorithm = "tvl1"
    quantisation: FlowQuantisation = "clamp20"


class Recipe(BaseModel):
    """How features are made. Immutable, strict; equal recipes have equal `sha256`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    snippet_frames: int = Field(16, ge=1, le=256)
    step: int = Field(16, ge=1, le=256)
    # Frames a second that are taken of a video, repeated or left out; None: as the video has them.
    frame_rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    # Pixels of the short side, aspect kept; or [width, height], aspect not kept.
    resize: Pixels | tuple[Pixels, Pixels] = 256
    resize_method: ResizeMethod = "bilinear-antialias-uint8"
    crops: CropLayout = "ten"
    crop_size: Pixels = 224
    crop_order: tuple[str, ...] = ()  # torchvision's where not given
    normalisation: Normalisation = "x*2/255-1"
    tail: Tail = "loop"
    streams: tuple[Stream, ...] = ("rgb",)
    flow: FlowRecipe | None = None
    backbone: str = "inception-i3d"
    weights: Mapping[Stream, Sha256] = {"rgb": K400_RGB_SHA256}
    precision: Precision = "float32"

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if isinstance(data, dict):
            data = dict(data)
            for key in ("crop_order", "streams", "resize"):  # JSON and TOML have lists, not tuples
                if isinstance(data.get(key), list):
                    data[key] = tuple(data[key])
            if isinstance(data.get("frame_rate"), int):
                data["frame_rate"] = float(data["frame_rate"])
            if not data.get("crop_order"):
                orders: Mapping[Any, tuple[str, ...]] = CROP_ORDER
                data["crop_order"] = orders.get(str(data.get("crops", "ten")), ())
        return data

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.step > self.snippet_frames:
            raise ValueError(f"step {self.step} is longer than a snippet ({self.snippet_frames})")
        short = self.resize if isinstance(self.resize, int) else min(self.resize)
        if self.crop_size > short:
            raise ValueError(f"crop_size {self.crop_size} is larger than resize {short}")
        check_crop_order(self.crop_order)
        if len(self.crop_order) != len(CROP_ORDER[self.crops]):
            raise ValueError(
                f"crop_order names {len(self.crop_order)} crops, and crops is {self.crops!r}"
            )
        if self.streams not in STREAMS:
            raise ValueError('streams has to be ["rgb"], ["flow"] or ["rgb", "flow"]')
        if ("flow" in self.streams) != (self.flow is not None):
            raise ValueError(
                "flow has to say how flow is made where streams names it, and is null elsewhere: "
                'flow = {algorithm = "tvl1", quantisation = "clamp20"}'
            )
        self._check_network()
        if set(self.weights) != set(self.streams):
            raise ValueError("weights has to name one sha256 for each stream")
        return self

    def _check_network(self) -> None:
        """Whether the network takes these streams, and clips of this size."""
        try:
            network = find_architecture(self.backbone)
            network.check_clip(self.snippet_frames, self.crop_size)
        except InputError as error:
            raise ValueError(str(error)) from error
        if missing := [stream for stream in self.streams if stream not in network.streams]:
            raise ValueError(f"{self.backbone} has no weights for {missing[0]}: only for RGB")

    @property
    def crop_count(self) -> int:
        """C of the features (N, C, D)."""
        return len(self.crop_order)

    def canonical_json(self) -> str:
        """The text that `sha256` is taken of, and that packs and checkpoints carry."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def sha256(self) -> str:
        """The recipe's identity."""
        return sha256_text(self.canonical_json())

    def taken_frames(self, frames: int, fps: float = 0.0, first: int = 0) -> NDArray[np.intp]:
        """The frames that a video's snippets are made of, by their index in the video, in order.

        Those that are taken at place `first` or later.

        All of them where `frame_rate` is None. Elsewhere the frame that is on the screen at each
        multiple of 1 / frame_rate seconds, the video's own frames being 1 / fps seconds apart:
        frame floor(j * fps / frame_rate) for j = 0, 1, ...

        Raises:
            InputError: the recipe resamples, and `fps` is 0: the video states no frame rate.
        """
        if self.frame_rate is None:
            return np.arange(first, frames)
        ratio = self._frames_a_step(fps)
        count = -(-frames * ratio.denominator // ratio.numerator)
        taken: NDArray[np.intp] = np.arange(first, count) * ratio.numerator // ratio.denominator
        return taken

    def _frames_a_step(self, fps: float) -> Fraction:
        if not fps > 0:
            raise InputError(
                f"the recipe takes {self.frame_rate:g} frames a second, and the video states no "
                "frame rate: use a recipe with frame_rate null"
            )
        assert self.frame_rate is not None
        # Rates such as 30000/1001 come as floats: the fraction that was meant, so that no frame
        # depends on how a float was rounded.
        video, wanted = (Fraction(rate).limit_denominator(1001) for rate in (fps, self.frame_rate))
        return video / wanted

    def snippet_count(self, frames: int, fps: float = 0.0) -> int:
        """Snippets N of a video of `frames` decoded frames; 0 for an empty one.

        Snippet i begins at frame i * step. `loop` keeps a last snippet that is short and repeats
        its own frames until it is full; `drop` leaves it out; `drop-next` leaves out one that is
        not followed by another frame, too: floor((frames - 1) / 16) for 16 of step 16.

        Raises:
            InputError: the recipe resamples, and `fps` is 0.
        """
        if self.frame_rate is not None and frames:
            frames = len(self.taken_frames(frames, fps))
        if self.tail == "loop":
            return -(-frames // self.step)
        needed = self.snippet_frames + (self.tail == "drop-next")
        return max(0, (frames - needed) // self.step + 1)

    def frame_snippets(self, snippets: int, frames: int, fps: float = 0.0) -> NDArray[np.intp]:
        """The snippet that gives each frame its score, (frames,).

        Snippet i has frames [i * step, (i + 1) * step); the last one has all that are left. Where
        the recipe resamples, a frame that was not taken has the score of the one taken before it.

        Raises:
            InputError: the recipe resamples, and `fps` is 0.
        """
        index = np.arange(frames)
        if self.frame_rate is not None:
            index = np.searchsorted(self.taken_frames(frames, fps), index, side="right") - 1
        return np.minimum(index // self.step, snippets - 1)


AnyRecipe = Recipe | ImportedRecipe


def parse_recipe(text: str) -> AnyRecipe:
    """Read a recipe's JSON, as it stands in a pack or a checkpoint: our own, or of imported ones.

    Raises:
        InputError: not a recipe of this version.
    """
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"the recipe is not JSON ({error})") from error
    is_imported = isinstance(fields, dict) and fields.get("kind") == "imported"
    return _build(ImportedRecipe, fields) if is_imported else _build(Recipe, fields)


def load_recipe(name_or_file: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe by preset name or from a .toml or .json file, with fields replaced by `overrides`.

    `weights` may be names, as in `{"rgb": "i3d-rgb-k400"}` (of the catalogue, or given to `vad
    weights import`): the recipe then holds the sha256 that each stands for. One name alone is that
    of the only stream. A key with a dot replaces part of a field: `flow.algorithm`, `weights.flow`.

    Raises:
        InputError: no such preset or file, an unknown field, or a value that is not allowed.
        WeightsError: weights by a name that is not known.
    """
    if name_or_file in PRESETS:
        fields = dict(PRESETS[name_or_file])
    else:
        fields = read_settings(Path(name_or_file), "recipe", PRESETS)
    return _changed(fields, overrides or {})


def change_recipe(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """A recipe with some fields replaced, as `load_recipe` replaces them; raises as it does."""
    return _changed(recipe.model_dump(mode="json"), overrides)


def _changed(fields: dict[str, Any], overrides: Mapping[str, Any]) -> Recipe:
    for key, value in overrides.items():
        _replace(fields, key, value)
    if "crops" in overrides and "crop_order" not in overrides:
        fields.pop("crop_order", None)
    if "weights" in fields:
        fields["weights"] = _digests(fields["weights"], fields.get("streams", ["rgb"]))
    return _build(Recipe, fields)


def _replace(fields: dict[str, Any], key: str, value: Any) -> None:
    """Set a field, or with a dot in the key an entry of one."""
    name, dot, entry = key.partition(".")
    if not dot:
        fields[name] = value
        return
    before = fields.get(name) or {}
    if name not in ("flow", "weights") or not isinstance(before, Mapping):
        raise InputError(f"recipe field {key}: only flow and weights have fields of their own")
    fields[name] = {**before, entry: value}


def _digests(weights: Any, streams: Any) -> Any:
    """Names of weights replaced by the sha256 that they stand for; what is none stays."""
    if isinstance(weights, str) and isinstance(streams, list | tuple) and len(streams) == 1:
        weights = {streams[0]: weights}
    if not isinstance(weights, Mapping):
        return weights
    digests = {}
    for stream, name in weights.items():
        if isinstance(name, str) and not re.fullmatch(SHA256, name):
            # Not imported above: it brings torch, which recipes need not.
            from vad_toolkit.weights.store import resolve_name

            name = resolve_name(name)
        digests[stream] = name
    return digests


def _build(kind: type[Kind], fields: Any) -> Kind:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "recipe"
        value = "" if first["type"] == "value_error" else f" (given: {first['input']!r})"
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"recipe field {where}: {message}{value}") from error
