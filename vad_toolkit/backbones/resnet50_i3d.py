"""I3D-ResNet50 with and without non-local blocks, for fast inference.

Source: Wang et al., Non-local Neural Networks, CVPR 2018, arXiv 1711.07971. The architecture is
that of the 32-frame models of facebookresearch/video-nonlocal-net (`resnet_video_org`:
`i3d_baseline_32x2`, `i3d_nonlocal_32x2`), which Tushar-N/pytorch-resnet3d and
GowthamGottimukkala/I3D_Feature_Extraction_resnet port to PyTorch. It is a ResNet-50 with these
changes: the stem halves time; bottlenecks have a temporal kernel of 3 in every block of res2, in
every second one of res3 and res4 and in the middle one of res5; time is pooled by 2 after the stem
and after res2. Non-local blocks (embedded Gaussian, keys and values pooled 2x2 in space) follow
every second block of res3 and res4.

As in `inception_i3d`, batch norm is folded and tensors are channels-last-3d. The convolutions for
the keys and values of a non-local block are one, whose output is split.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vad_toolkit.backbones.backbone import Backbone, FoldedConv3d, fold
from vad_toolkit.errors import WeightsError

FEATURE_DIM = 2048
CLASSES = 400
EPSILON = 1e-5  # of batch norm

# stage -> (inner width; spatial stride of the first block; temporal kernel of each block).
STAGES: Mapping[str, tuple[int, int, tuple[int, ...]]] = {
    "res2": (64, 1, (3, 3, 3)),
    "res3": (128, 2, (3, 1, 3, 1)),
    "res4": (256, 2, (3, 1, 3, 1, 3, 1)),
    "res5": (512, 2, (1, 3, 1)),
}
EXPANSION = 4  # ratio of the output width of a block to its inner width
NONLOCAL_STAGES = ("res3", "res4")  # after every block with an odd index


class NonLocalBlock(nn.Module):
    """x + W softmax(q k / sqrt(inner)) v over all positions in time and space of a clip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = width // 2
        self.query = nn.Conv3d(width, self.inner, 1)  # theta
        self.key_value = nn.Conv3d(width, 2 * self.inner, 1)  # phi and g
        self.out = FoldedConv3d(self.inner, width, 1, own_bias=True)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool3d(x, (1, 2, 2))
        key, value = self.key_value(pooled).split(self.inner, dim=1)
        query = self.query(x)
        attended = F.scaled_dot_product_attention(
            _positions(query), _positions(key), _positions(value)
        )
        out: Tensor = self.out(attended.transpose(1, 2).reshape(query.shape))
        return out.add_(x)


class Bottleneck(nn.Module):
    """Temporal (or 1x1x1), 1x3x3 and 1x1x1 convolution with shortcut; optional non-local block."""

    def __init__(
        self, inputs: int, inner: int, temporal: int, stride: int, is_nonlocal: bool
    ) -> None:
        super().__init__()
        outputs = inner * EXPANSION
        self.a = FoldedConv3d(inputs, inner, (temporal, 1, 1), padding=(temporal // 2, 0, 0))
        self.b = FoldedConv3d(inner, inner, (1, 3, 3), (1, stride, stride), padding=(0, 1, 1))
        self.c = FoldedConv3d(inner, outputs, 1)
        self.shortcut = (
            FoldedConv3d(inputs, outputs, 1, (1, stride, stride)) if inputs != outputs else None
        )
        self.nonlocal_block = NonLocalBlock(outputs) if is_nonlocal else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.c(F.relu_(self.b(F.relu_(self.a(x)))))
        out = F.relu_(out.add_(x if self.shortcut is None else self.shortcut(x)))
        return out if self.nonlocal_block is None else self.nonlocal_block(out)


class I3DResNet50(Backbone):
    """Network from normalized clips (n, channels, frames, height, width) to features (n, 2048)."""

    def __init__(self, channels: int = 3, nonlocal_blocks: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.feature_dim = FEATURE_DIM
        self.stem = FoldedConv3d(channels, 64, (5, 7, 7), 2, padding=(2, 3, 3))
        width = 64
        self.stages = nn.ModuleDict()
        for name, (inner, stride, kernels) in STAGES.items():
            blocks = []
            for index, temporal in enumerate(kernels):
                is_nonlocal = nonlocal_blocks and name in NONLOCAL_STAGES and index % 2 == 1
                first = stride if index == 0 else 1
                blocks.append(Bottleneck(width, inner, temporal, first, is_nonlocal))
                width = inner * EXPANSION
            self.stages[name] = nn.Sequential(*blocks)
        self.classifier = nn.Linear(FEATURE_DIM, CLASSES)

    def trunk(self, clips: Tensor) -> Tensor:
        """Return res5 for clips: about (n, 2048, frames / 8, height / 32, width / 32)."""
        x = clips.contiguous(memory_format=torch.channels_last_3d)
        x = F.max_pool3d(F.relu_(self.stem(x)), (2, 3, 3), 2)
        for name, stage in self.stages.items():
            if name == "res3":
                x = F.max_pool3d(x, (2, 1, 1))
            x = stage(x)
        return x

    def forward(self, clips: Tensor) -> Tensor:
        """Return res5, averaged over time and space."""
        return self.trunk(clips).mean(dim=(2, 3, 4))

    def logits(self, clips: Tensor) -> Tensor:
        """Return Kinetics-400 logits (n, 400)."""
        logits: Tensor = self.classifier(self(clips))
        return logits


def _positions(x: Tensor) -> Tensor:
    """Return the positions of (n, channels, T, H, W) as a sequence (n, T * H * W, channels)."""
    return x.flatten(2).transpose(1, 2)


# One tensor by which each layout is recognized, and the suffixes of its tensors: weight and bias of
# a convolution; gamma, beta, mean and variance of a batch norm.
BLOBS = "blobs|"  # prefix of tensors in Caffe2's files
OWN, PYTORCH, CAFFE2 = "stages.res2.0.a.weight", "layer1.0.conv1.weight", "res2_0_branch2a_w"
SUFFIXES: Mapping[str, tuple[str, str, str, str, str, str]] = {
    "pytorch": (".weight", ".bias", ".weight", ".bias", ".running_mean", ".running_var"),
    "caffe2": ("_w", "_b", "_s", "_b", "_rm", "_riv"),
}


def build(name: str, channels: int) -> I3DResNet50:
    """Return the network without weights (see `BackboneModule`)."""
    return I3DResNet50(channels, nonlocal_blocks=name == "i3d-resnet50-nonlocal")


def recognize(name: str, published: Mapping[str, Tensor]) -> bool:
    """Recognize the toolkit's own layout, that of the PyTorch ports, and Caffe2's blobs."""
    names = {name.removeprefix(BLOBS) for name in published}
    if not (OWN in names or CAFFE2 in names or names.issuperset((PYTORCH, "conv1.weight"))):
        return False
    is_nonlocal = any("nonlocal" in name or ".nl." in name for name in names)
    return is_nonlocal == (name == "i3d-resnet50-nonlocal")


def convert(name: str, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a published file with batch norm folded (see `BackboneModule`)."""
    published = {key.removeprefix(BLOBS): tensor for key, tensor in published.items()}
    if OWN in published:
        return published
    layout = "caffe2" if CAFFE2 in published else "pytorch"
    weight, bias, gamma, beta, mean, variance = SUFFIXES[layout]

    def lookup(tensor: str) -> Tensor:
        if tensor in published:
            return published[tensor]
        hint = "expected a complete I3D-ResNet50"
        if layout == "caffe2" and tensor.endswith(mean):
            hint = "files with frozen batch norm (32x4, 128x1) hold other networks; use 32x2"
        raise WeightsError(f"tensor {tensor!r} is missing; {hint}")

    tensors: dict[str, Tensor] = {}
    with torch.device("meta"):
        network = build(name, 3)
    for path, module in network.named_modules():
        if isinstance(module, FoldedConv3d):
            convolution, norm = _published_names(path, layout)
            tensors[f"{path}.weight"], tensors[f"{path}.bias"] = fold(
                kernel=lookup(convolution + weight),
                gamma=lookup(norm + gamma),
                beta=lookup(norm + beta),
                mean=lookup(norm + mean),
                variance=lookup(norm + variance),
                epsilon=EPSILON,
                bias=lookup(convolution + bias) if module.own_bias else None,
            )
        elif isinstance(module, NonLocalBlock):
            prefix = _published_names(f"{path}.out", layout)[0].removesuffix("out")
            for ours, theirs in (("query", ("theta",)), ("key_value", ("phi", "g"))):
                for ending, suffix in (("weight", weight), ("bias", bias)):
                    tensors[f"{path}.{ours}.{ending}"] = torch.cat(
                        [lookup(f"{prefix}{part}{suffix}") for part in theirs]
                    )
    classifier = "pred" if layout == "caffe2" else "fc"
    # Files for fully convolutional tests have the classifier as a 1x1x1 convolution.
    tensors["classifier.weight"] = lookup(classifier + weight).flatten(1)
    tensors["classifier.bias"] = lookup(classifier + bias)
    return tensors


def _published_names(path: str, layout: str) -> tuple[str, str]:
    """Return a layout's names of the convolution and batch norm at `path`: stages.res3.1.a."""
    if path == "stem":
        return ("conv1", "res_conv1_bn") if layout == "caffe2" else ("conv1", "bn1")
    _, stage, block, *_, part = path.split(".")
    number = int(stage.removeprefix("res"))
    if layout == "caffe2":
        if part == "out":
            return f"nonlocal_conv{number}_{block}_out", f"nonlocal_conv{number}_{block}_bn"
        branch = "1" if part == "shortcut" else f"2{part}"
        return f"{stage}_{block}_branch{branch}", f"{stage}_{block}_branch{branch}_bn"
    prefix = f"layer{number - 1}.{block}"
    if part == "out":
        return f"{prefix}.nl.out", f"{prefix}.nl.bn"
    if part == "shortcut":
        return f"{prefix}.downsample.0", f"{prefix}.downsample.1"
    index = "abc".index(part) + 1
    return f"{prefix}.conv{index}", f"{prefix}.bn{index}"
