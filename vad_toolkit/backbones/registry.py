"""Registry of backbones: the networks that turn clips into features.

A backbone is described by plain data, and by the module that builds it: listing or checking names
imports no torch. Adding one takes a module with the functions of `BackboneModule` and a row of
`BACKBONES`; outside of the package, `register_backbone`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol, cast

from vad_toolkit.core.registry import Registry
from vad_toolkit.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from vad_toolkit.backbones.backbone import Backbone

Stream = Literal["rgb", "flow"]
CHANNELS: Mapping[str, int] = {"rgb": 3, "flow": 2}  # of a clip, by modality
# How pixels x in 0..255 are scaled, channel by channel, before they enter a network.
Normalisation = Literal[
    "x*2/255-1",
    "(x-114.75)/57.375",
    "kinetics",  # (x/255 - (0.43216, 0.394666, 0.37645)) / (0.22803, 0.22145, 0.216989)
    "imagenet",  # (x/255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    "half",  # (x/255 - 0.45) / 0.225
]


class BackboneModule(Protocol):
    """The functions that the module of a backbone (or of a family of them) provides."""

    def build(self, name: str, channels: int) -> Backbone:
        """Return the network without weights, for tensors of its own names."""

    def recognise(self, published: Mapping[str, Tensor]) -> str | None:
        """Return the name of the backbone that a published file's tensors belong to, or None.

        Names are as in the file; those of nested dicts are joined by `|`.
        """

    def convert(self, name: str, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return published tensors as those of `build`. Raises WeightsError if one is missing."""


@dataclass(frozen=True)
class BackboneInfo:
    """Description of one backbone: clips (n, channels, frames, size, size) to (n, feature_dim).

    Attributes:
        module: The importable name of its `BackboneModule`.
        normalisation: Of RGB, as its owners train and test it.
        frames: Frames per clip, as its owners (or the published features) take them.
        resize: Pixels of the short side, or (width, height) without keeping the aspect.
    """

    name: str
    module: str
    title: str
    feature_dim: int
    normalisation: Normalisation
    streams: tuple[Stream, ...] = ("rgb",)
    frames: int = 16
    min_frames: int = 1
    max_frames: int | None = None
    resize: int | tuple[int, int] = 256
    crop_size: int = 224
    min_size: int = 32
    max_size: int | None = None

    def check_clip(self, frames: int, size: int) -> None:
        """Raise InputError if the backbone takes no clips of this length or size."""
        for what, unit, value, low, high in (
            ("snippets of", "frames", frames, self.min_frames, self.max_frames),
            ("crops of size", "pixels", size, self.min_size, self.max_size),
        ):
            if value < low or (high is not None and value > high):
                only = str(low) if low == high else f"{low} to {high}" if high else f"{low} or more"
                raise InputError(f"{self.name} takes no {what} {value} {unit}; it takes {only}")

    def load_module(self) -> BackboneModule:
        """Import the module of this backbone, which imports torch."""
        return cast(BackboneModule, import_module(self.module))

    def build(self, channels: int = 3) -> Backbone:
        """Return the network without weights."""
        return self.load_module().build(self.name, channels)


_PACKAGE = "vad_toolkit.backbones"


def _torchvision(
    name: str,
    feature_dim: int,
    normalisation: Normalisation = "imagenet",
    frames: int = 32,
    min_frames: int = 1,
    max_frames: int | None = None,
    resize: int | tuple[int, int] = 256,
    crop_size: int = 224,
    min_size: int = 32,
    max_size: int | None = None,
) -> BackboneInfo:
    """Describe a network of torchvision by its `weights.transforms()` and documentation."""
    return BackboneInfo(
        name=name,
        module=f"{_PACKAGE}.torchvision_video",
        title=f"torchvision's {name}",
        feature_dim=feature_dim,
        normalisation=normalisation,
        frames=frames,
        min_frames=min_frames,
        max_frames=max_frames,
        resize=resize,
        crop_size=crop_size,
        min_size=min_size,
        max_size=max_size,
    )


BUILTIN = {
    info.name: info
    for info in (
        BackboneInfo(
            "inception-i3d",
            module=f"{_PACKAGE}.inception_i3d",
            title="Inception-I3D",
            feature_dim=1024,
            normalisation="x*2/255-1",
            streams=("rgb", "flow"),
            min_frames=9,
        ),
        BackboneInfo(
            "i3d-resnet50",
            module=f"{_PACKAGE}.resnet50_i3d",
            title="I3D-ResNet50",
            feature_dim=2048,
            normalisation="(x-114.75)/57.375",
            min_frames=7,
        ),
        BackboneInfo(
            "i3d-resnet50-nonlocal",
            module=f"{_PACKAGE}.resnet50_i3d",
            title="I3D-ResNet50 with non-local blocks",
            feature_dim=2048,
            normalisation="(x-114.75)/57.375",
            min_frames=7,
        ),
        _torchvision("s3d", 1024, "kinetics", 128, min_frames=14, resize=(256, 256), min_size=224),
        *(
            _torchvision(name, 512, "kinetics", 16, resize=(171, 128), crop_size=112)
            for name in ("r3d_18", "mc3_18", "r2plus1d_18")
        ),
        *(
            _torchvision(name, 768, "half", 16, 16, 16, min_size=224, max_size=224)
            for name in ("mvit_v1_b", "mvit_v2_s")
        ),
        _torchvision("swin3d_t", 768),
        _torchvision("swin3d_s", 768),
        _torchvision("swin3d_b", 1024),
    )
}


BACKBONES: Registry[BackboneInfo] = Registry("backbone", BUILTIN)


def list_backbones() -> list[str]:
    """Return the names of the backbones, built in and from plugins.

    Example:
        >>> list_backbones()[:2]
        ['inception-i3d', 'i3d-resnet50']
    """
    return list(BACKBONES)


def register_backbone(info: BackboneInfo) -> None:
    """Register a backbone from outside of the package.

    Args:
        info: Its description; `info.module` names the module with `build`, `recognise` and
            `convert` (see `BackboneModule`), usually the one that calls this function.

    Raises:
        InputError: If another module has registered the name.

    Example:
        >>> import vad_toolkit as vad
        >>> vad.register_backbone(vad.BackboneInfo(
        ...     "my-network", module="my_network", title="My network", feature_dim=512,
        ...     normalisation="imagenet",
        ... ))
        >>> "my-network" in vad.list_backbones()
        True
    """
    BACKBONES.register(info.name, info)
