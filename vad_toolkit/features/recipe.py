"""A recipe: everything that decides a feature's value, and nothing else.

Its canonical JSON and the sha256 of that stand in every pack and every checkpoint. Two packs with
one recipe hash hold comparable features and can be merged; a head scores only features made by the
recipe it was trained on. Fields that have one allowed value today (`frame_rate`, `flow`) are there
so that hashes stay what they are when they learn more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vad_toolkit.errors import InputError
from vad_toolkit.features.crop_order import CENTER, CORNERS, MIRRORED
from vad_toolkit.features.imported import ImportedRecipe
from vad_toolkit.files import canonical_json, read_settings, sha256_text

Stream = Literal["rgb", "flow"]
Kind = TypeVar("Kind", "Recipe", ImportedRecipe)
CropLayout = Literal["ten", "five", "center"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

# torchvision's order (FiveCrop, TenCrop): four corners, centre, then the same of the mirrored
# frame.
CROP_ORDER: Mapping[CropLayout, tuple[str, ...]] = {
    "center": CENTER,
    "five": CORNERS,
    "ten": CORNERS + MIRRORED,
}

# sha256 of the file that the weights' owners published; the catalogue knows them by the same.
K400_RGB_SHA256 = "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd"


class Recipe(BaseModel):
    """How features are made. Immutable, strict; equal recipes have equal `sha256`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    snippet_frames: int = Field(16, ge=9, le=256)
    step: int = Field(16, ge=1, le=256)
    frame_rate: None = None  # native: frames are taken as the video has them
    resize: int = Field(256, ge=32, le=4096)  # short side in pixels, aspect kept
    resize_method: Literal["bilinear-antialias-uint8"] = "bilinear-antialias-uint8"
    crops: CropLayout = "ten"
    crop_size: int = Field(224, ge=32, le=4096)
    crop_order: tuple[str, ...] = ()  # filled in from `crops`
    normalisation: Literal["x*2/255-1"] = "x*2/255-1"
    tail: Literal["loop", "drop"] = "loop"
    streams: tuple[Stream, ...] = ("rgb",)
    flow: None = None
    backbone: Literal["inception-i3d"] = "inception-i3d"
    weights: Mapping[Stream, Sha256] = {"rgb": K400_RGB_SHA256}
    precision: Literal["float32", "bfloat16"] = "float32"

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if isinstance(data, dict):
            data = dict(data)
            for key in ("crop_order", "streams"):  # JSON and TOML have lists, not tuples
                if isinstance(data.get(key), list):
                    data[key] = tuple(data[key])
            if not data.get("crop_order"):
                orders: Mapping[Any, tuple[str, ...]] = CROP_ORDER
                data["crop_order"] = orders.get(str(data.get("crops", "ten")), ())
        return data

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.step > self.snippet_frames:
            raise ValueError(f"step {self.step} is longer than a snippet ({self.snippet_frames})")
        if self.crop_size > self.resize:
            raise ValueError(f"crop_size {self.crop_size} is larger than resize {self.resize}")
        if self.crop_order != CROP_ORDER[self.crops]:
            raise ValueError(f"crop_order has to be {list(CROP_ORDER[self.crops])}")
        if self.streams != ("rgb",):
            raise ValueError("streams has to be ['rgb']: flow is not supported by this version")
        if set(self.weights) != set(self.streams):
            raise ValueError("weights has to name one sha256 for each stream")
        return self

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

    def snippet_count(self, frames: int) -> int:
        """Snippets N of a video of `frames` decoded frames; 0 for an empty one.

        Snippet i begins at frame i * step. `loop` keeps a last snippet that is short and repeats
        its own frames until it is full; `drop` leaves it out.
        """
        if self.tail == "loop":
            return -(-frames // self.step)
        return max(0, (frames - self.snippet_frames) // self.step + 1)

    def frame_snippets(self, snippets: int, frames: int) -> NDArray[np.intp]:
        """The snippet that gives each frame its score, (frames,).

        Snippet i has frames [i * step, (i + 1) * step); the last one has all that are left.
        """
        return np.minimum(np.arange(frames) // self.step, snippets - 1)


AnyRecipe = Recipe | ImportedRecipe


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "i3d-rgb-tencrop": {"crops": "ten"},
    "i3d-rgb-fivecrop": {"crops": "five"},
    "i3d-rgb-center": {"crops": "center"},
}


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

    `weights` may be a name ("i3d-rgb-k400", or one given to `vad weights import`): the recipe then
    holds the sha256 that it stands for.

    Raises:
        InputError: no such preset or file, an unknown field, or a value that is not allowed.
        WeightsError: weights by a name that is not known.
    """
    if name_or_file in PRESETS:
        fields = dict(PRESETS[name_or_file])
    else:
        fields = read_settings(Path(name_or_file), "recipe", PRESETS)
    if overrides:
        fields.update(overrides)
        if "crops" in overrides and "crop_order" not in overrides:
            fields.pop("crop_order", None)
    if isinstance(fields.get("weights"), str):
        from vad_toolkit.backbones.store import resolve_name  # brings torch, which recipes need not

        fields["weights"] = {"rgb": resolve_name(fields["weights"])}
    return _build(Recipe, fields)


def _build(kind: type[Kind], fields: Any) -> Kind:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "recipe"
        value = "" if first["type"] == "value_error" else f" (given: {first['input']!r})"
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"recipe field {where}: {message}{value}") from error
