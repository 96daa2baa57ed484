"""torchvision's video networks as backbones: the features before the classifier.

The networks run as torchvision has them; features are what its classifier reads, averaged over time
and space where the classifier's answers are (S3D), so that the classifier's answer to the features
is the network's answer to the clip.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision.models import get_model

from vad_toolkit.backbones.backbone import Backbone
from vad_toolkit.backbones.registry import BUILTIN

OWN = "network."  # before torchvision's names in our own layout


class TorchvisionVideo(Backbone):
    """Clips (n, 3, frames, height, width), normalised, to features (n, feature_dim)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.channels = 3
        self.network = get_model(name)
        path, last = _find_classifier(self.network)
        self.network.set_submodule(path, nn.Identity())
        self.classifier = nn.Linear(last.weight.shape[1], last.weight.shape[0])
        self.feature_dim = self.classifier.in_features

    def forward(self, clips: Tensor) -> Tensor:
        features: Tensor = self.network(clips)
        return features

    def logits(self, clips: Tensor) -> Tensor:
        """Kinetics-400 logits (n, 400) of the features."""
        logits: Tensor = self.classifier(self(clips))
        return logits


def build(name: str, channels: int) -> TorchvisionVideo:
    """`BackboneModule.build`; `channels` is 3."""
    return TorchvisionVideo(name)


def recognise(published: Mapping[str, Tensor]) -> str | None:
    """`BackboneModule.recognise`: every tensor of one network, in torchvision's layout or ours."""
    found = {name: tensor.shape for name, tensor in published.items()}
    is_own = any(name.startswith(OWN) for name in found)
    for name, info in BUILTIN.items():
        if info.module == __name__:
            with torch.device("meta"):
                network = TorchvisionVideo(name) if is_own else get_model(name)
            if found == {key: tensor.shape for key, tensor in network.state_dict().items()}:
                return name
    return None


def convert(name: str, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`BackboneModule.convert`: the names get a prefix, and S3D's classifier becomes a matrix."""
    if any(key.startswith(OWN) for key in published):
        return dict(published)
    with torch.device("meta"):
        classifier, _ = _find_classifier(get_model(name))
    tensors: dict[str, Tensor] = {}
    for key, tensor in published.items():
        if key == f"{classifier}.weight":
            tensors["classifier.weight"] = tensor.flatten(1)
        elif key == f"{classifier}.bias":
            tensors["classifier.bias"] = tensor
        else:
            tensors[OWN + key] = tensor
    return tensors


def _find_classifier(network: nn.Module) -> tuple[str, nn.Linear | nn.Conv3d]:
    """Path and module of the last layer, which has a weight (classes, feature_dim, ...)."""
    layers = [(p, m) for p, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv3d)]
    return layers[-1]
