"""Registry of backbones: the networks that turn clips into features.

A backbone is described by plain data and by the module that builds it, so listing or checking names
imports no torch. A new backbone needs a module with a `build` function (see `BackboneModule`) and
one row in `BUILTIN`, or `register_backbone` if it is outside of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from vad_toolkit.core.registry import Registry
from vad_toolkit.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from vad_toolkit.backbones.backbone import Backbone

Stream = Literal["rgb", "flow"]
CHANNELS: Mapping[str, int] = {"rgb": 3, "flow": 2}  # of a clip, by modality
# How pixels x in 0..255 are scaled, per channel, before they enter a network.
Normalisation = Literal[
    "x*2/255-1",
    "(x-114.75)/57.375",
    "kinetics",  # (x/255 - (0.43216, 0.394666, 0.37645)) / (0.22803, 0.22145, 0.216989)
    "imagenet",  # (x/255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    "half",  # (x/255 - 0.45) / 0.225
]


class BackboneModule(Protocol):
    """Functions that the module of one or several backbones provides.

    Only `build` is required. Without `recognize`, a file belongs to a backbone if it has exactly
    the tensor names of the network; without `convert`, its tensors are loaded as they are.
    """

    def build(self, name: str, channels: int) -> Backbone:
        """Return the network of the backbone `name` without weights."""

    def recognize(self, name: str, published: Mapping[str, Tensor]) -> bool:
        """Return True if the tensors of a weights file belong to the backbone `name`.

        Tensors have their names in the file; the names of nested dicts are joined by `|`.
        """

    def convert(self, name: str, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a file under the names of `build`.

        Raises:
            WeightsError: If a tensor is missing.
        """


@dataclass(frozen=True)
class BackboneInfo:
    """Description of a backbone: clips (n, channels, frames, size, size) to (n, feature_dim).

    Attributes:
        name: The value of `backbone` in recipes.
        module: The importable name of its `BackboneModule`.
        title: The name for people.
        feature_dim: The dimension of a feature.
        normalisation: The scaling of RGB pixels, as its authors train and test it.
        streams: The modalities for which it can be built.
        frames: Frames per clip, as its authors (or the published features) use it.
        min_frames: The shortest clip.
        max_frames: The longest clip. If None, there is no limit.
        resize: The short side of a frame in pixels, or (width, height) if the aspect ratio is lost.
        crop_size: The side of a crop in pixels.
        min_size: The smallest crop.
        max_size: The largest crop. If None, there is no limit.

    Example:
        >>> import vad_toolkit as vad
        >>> vad.BackboneInfo(
        ...     "my-network", module="my_network", title="My network", feature_dim=512,
        ...     normalisation="imagenet",
        ... ).frames
        16
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
        """Raise InputError if the backbone cannot take clips of this length or crop size."""
        for setting, value, low, high in (
            ("snippet_frames", frames, self.min_frames, self.max_frames),
            ("crop_size", size, self.min_size, self.max_size),
        ):
            if value < low or (high is not None and value > high):
                allowed = (
                    f"{low}" if low == high else f"from {low} to {high}" if high else f">= {low}"
                )
                raise InputError(
                    f"{setting} must be {allowed} for the backbone {self.name}, got {value}"
                )

    def load_module(self) -> BackboneModule:
        """Import the module of this backbone, which imports torch.

        Raises:
            InputError: If it cannot be imported.
        """
        try:
            return cast(BackboneModule, import_module(self.module))
        except ImportError as error:
            raise InputError(
                f"the module {self.module} of the backbone {self.name} cannot be imported: {error}"
            ) from error

    def build(self, channels: int = 3) -> Backbone:
        """Return the network without weights."""
        return self.load_module().build(self.name, channels)


_INCEPTION = "vad_toolkit.backbones.inception_i3d"
_RESNET = "vad_toolkit.backbones.resnet50_i3d"
_TORCHVISION = "vad_toolkit.backbones.torchvision_video"


def _torchvision(name: str, feature_dim: int, **settings: Any) -> BackboneInfo:
    """Describe a network of torchvision by its `weights.transforms()` and documentation."""
    settings = {"normalisation": "imagenet", "frames": 32, **settings}
    return BackboneInfo(name, _TORCHVISION, f"torchvision's {name}", feature_dim, **settings)


_S3D = {"normalisation": "kinetics", "frames": 128, "min_frames": 14, "min_size": 224}
_R3D = {"normalisation": "kinetics", "frames": 16, "resize": (171, 128), "crop_size": 112}
_MVIT = {"normalisation": "half", **dict.fromkeys(("frames", "min_frames", "max_frames"), 16)}
_MVIT |= dict.fromkeys(("min_size", "max_size"), 224)
BUILTIN = {
    info.name: info
    for info in (
        BackboneInfo(
            "inception-i3d",
            _INCEPTION,
            "Inception-I3D",
            feature_dim=1024,
            normalisation="x*2/255-1",
            streams=("rgb", "flow"),
            min_frames=9,
        ),
        *(
            BackboneInfo(name, _RESNET, title, 2048, "(x-114.75)/57.375", min_frames=7)
            for name, title in (
                ("i3d-resnet50", "I3D-ResNet50"),
                ("i3d-resnet50-nonlocal", "I3D-ResNet50 with non-local blocks"),
            )
        ),
        _torchvision("s3d", 1024, resize=(256, 256), **_S3D),
        *(_torchvision(name, 512, **_R3D) for name in ("r3d_18", "mc3_18", "r2plus1d_18")),
        *(_torchvision(name, 768, **_MVIT) for name in ("mvit_v1_b", "mvit_v2_s")),
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
        info: Its description; `info.module` names the module with the function `build` (see
            `BackboneModule`), usually the module that calls this function.

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
