"""The networks that can make features, by the names that a recipe's `backbone` takes.

Plain data: what each takes and gives, and the module that holds it. Nothing of torch is imported
before a network is built. Another network is a module with the functions of `NetworkModule` and a
row of `ARCHITECTURES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol, cast

from vad_toolkit.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from vad_toolkit.backbones.backbone import Backbone

Stream = Literal["rgb", "flow"]
CHANNELS: Mapping[str, int] = {"rgb": 3, "flow": 2}  # of a clip, by stream
# What makes a network's input of pixels x in 0..255, channel by channel; applied in `features`.
Normalisation = Literal[
    "x*2/255-1",
    "(x-114.75)/57.375",
    "kinetics",  # (x/255 - (0.43216, 0.394666, 0.37645)) / (0.22803, 0.22145, 0.216989)
    "imagenet",  # (x/255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    "half",  # (x/255 - 0.45) / 0.225
]


class NetworkModule(Protocol):
    """What the module of a network (or of a family of them) holds."""

    def build(self, name: str, channels: int) -> Backbone:
        """The network without weights, to be loaded with tensors of its own names."""

    def recognise(self, published: Mapping[str, Tensor]) -> str | None:
        """The name of the network that a published file's tensors are of; None: not of this module.

        Names are as in the file; those of nested dicts are joined by `|`.
        """

    def convert(self, name: str, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Published tensors to those of `build`. Raises WeightsError where one is missing."""


@dataclass(frozen=True)
class Architecture:
    """One network: clips (n, channels, frames, size, size) to features (n, feature_dim)."""

    name: str
    module: str  # below vad_toolkit.backbones; a NetworkModule
    title: str
    feature_dim: int
    normalisation: Normalisation  # of RGB, as its owners train and test it
    streams: tuple[Stream, ...] = ("rgb",)
    frames: int = 16  # of a clip, as its owners (or the published features) take them
    min_frames: int = 1
    max_frames: int | None = None
    resize: int | tuple[int, int] = 256  # short side, or (width, height) with the aspect lost
    crop_size: int = 224
    min_size: int = 32
    max_size: int | None = None

    def check_clip(self, frames: int, size: int) -> None:
        """Raises InputError where the network takes no clips of so many frames, or of that size."""
        for what, value, low, high in (
            ("snippets of", frames, self.min_frames, self.max_frames),
            ("crops of size", size, self.min_size, self.max_size),
        ):
            if value < low or (high is not None and value > high):
                only = str(low) if low == high else f"{low} to {high}" if high else f"{low} or more"
                unit = "frames" if what == "snippets of" else "pixels"
                raise InputError(f"{self.name} takes no {what} {value} {unit}: it takes {only}")

    def load_module(self) -> NetworkModule:
        """The module of this network, which imports torch."""
        return cast(NetworkModule, import_module(f"vad_toolkit.backbones.{self.module}"))

    def build(self, channels: int = 3) -> Backbone:
        """The network, without weights."""
        return self.load_module().build(self.name, channels)


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
) -> Architecture:
    """A network of torchvision: what `weights.transforms()` and its documentation say."""
    return Architecture(
        name=name,
        module="torchvision_video",
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


ARCHITECTURES: Mapping[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            "inception-i3d",
            module="inception_i3d",
            title="Inception-I3D",
            feature_dim=1024,
            normalisation="x*2/255-1",
            streams=("rgb", "flow"),
            min_frames=9,
        ),
        Architecture(
            "i3d-resnet50",
            module="resnet50_i3d",
            title="I3D-ResNet50",
            feature_dim=2048,
            normalisation="(x-114.75)/57.375",
            min_frames=7,
        ),
        Architecture(
            "i3d-resnet50-nonlocal",
            module="resnet50_i3d",
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


def find_architecture(name: str) -> Architecture:
    """The network of that name.

    Raises:
        InputError: no such name.
    """
    if name not in ARCHITECTURES:
        raise InputError(f"no network {name!r}: there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
