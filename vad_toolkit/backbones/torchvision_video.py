"""torchvision's video networks as backbones: features are the input of the classifier.

The networks run unchanged. If the classifier's output is averaged over time and space (S3D), so are
the features: the classifier applied to the features gives the output of the network.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision.models import get_model

from vad_toolkit.backbones.backbone import Backbone

OWN = "network."  # prefix of torchvision's tensor names in the toolkit's own layout


class TorchvisionVideo(Backbone):
    """Network from normalized clips (n, 3, frames, height, width) to features (n, feature_dim)."""

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
        """Return Kinetics-400 logits (n, 400)."""
        logits: Tensor = self.classifier(self(clips))
        return logits


def build(name: str, channels: int) -> TorchvisionVideo:
    """Return the network without weights (see `BackboneModule`); `channels` must be 3."""
    return TorchvisionVideo(name)


def recognize(name: str, published: Mapping[str, Tensor]) -> bool:
    """Recognize a file with exactly the tensors and shapes of torchvision or of `build`."""
    is_own = any(key.startswith(OWN) for key in published)
    with torch.device("meta"):
        network = TorchvisionVideo(name) if is_own else get_model(name)
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    return shapes == {key: tensor.shape for key, tensor in published.items()}


def convert(name: str, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under the names of `build`, with S3D's classifier as a matrix."""
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
    """Return the path and module of the last layer, whose weight is (classes, feature_dim, ...)."""
    layers = [(p, m) for p, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv3d)]
    return layers[-1]
