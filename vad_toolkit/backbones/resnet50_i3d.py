"""I3D-ResNet50 with and without non-local blocks (Wang et al., Non-local Neural Networks, CVPR
2018, arXiv 1711.07971), written for fast inference.

The architecture is that of facebookresearch/video-nonlocal-net's 32-frame models
(`resnet_video_org`: `i3d_baseline_32x2`, `i3d_nonlocal_32x2`), which Tushar-N/pytorch-resnet3d and
GowthamGottimukkala/I3D_Feature_Extraction_resnet carry over to PyTorch: a ResNet-50 whose stem
halves time, whose bottlenecks have a temporal kernel of 3 in every block of res2, in every other
one of res3 and res4 and in the middle one of res5, and which pools time by 2 after the stem and
after res2. Non-local blocks (embedded Gaussian, keys and values pooled 2x2 in space) follow every
other block of res3 and res4.

As in `inception_i3d`, batch norm is folded into the convolution before it and everything runs
channels-last-3d; in a non-local block the keys' and the values' convolutions are one, split after.
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
EPSILON = 1e-5  # of the batch norm that was folded

# stage -> (inner width; spatial stride of its first block; temporal kernel of each block).
STAGES: Mapping[str, tuple[int, int, tuple[int, ...]]] = {
    "res2": (64, 1, (3, 3, 3)),
    "res3": (128, 2, (3, 1, 3, 1)),
    "res4": (256, 2, (3, 1, 3, 1, 3, 1)),
    "res5": (512, 2, (1, 3, 1)),
}
EXPANSION = 4  # of a block's output over its inner width
NONLOCAL_STAGES = ("res3", "res4")  # behind every block with an odd index


class NonLocalBlock(nn.Module):
    """x + W softmax(q k / sqrt(inner)) v over all places in time and space of one clip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = width // 2
        self.query = nn.Conv3d(width, self.inner, 1)  # theta
        self.key_value = nn.Conv3d(width, 2 * self.inner, 1)  # phi and g side by side
        self.out = FoldedConv3d(self.inner, width, 1, own_bias=True)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool3d(x, (1, 2, 2))
        key, value = self.key_value(pooled).split(self.inner, dim=1)
        query = self.query(x)
        attended = F.scaled_dot_product_attention(_places(query), _places(key), _places(value))
        out: Tensor = self.out(attended.transpose(1, 2).reshape(query.shape))
        return out.add_(x)


class Bottleneck(nn.Module):
    """Temporal (or 1x1x1) convolution, 1x3x3, 1x1x1, and the shortcut; a non-local block after."""

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
    """Clips (n, channels, frames, height, width), normalised, to features (n, 2048)."""

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
        """Clips to res5: (n, 2048, about frames / 8, about height / 32, about width / 32)."""
        x = clips.contiguous(memory_format=torch.channels_last_3d)
        x = F.max_pool3d(F.relu_(self.stem(x)), (2, 3, 3), 2)
        for name, stage in self.stages.items():
            if name == "res3":
                x = F.max_pool3d(x, (2, 1, 1))
            x = stage(x)
        return x

    def forward(self, clips: Tensor) -> Tensor:
        """Features: res5, averaged over time and space."""
        return self.trunk(clips).mean(dim=(2, 3, 4))

    def logits(self, clips: Tensor) -> Tensor:
        """Kinetics-400 logits (n, 400) of the features."""
        logits: Tensor = self.classifier(self(clips))
        return logits


def _places(x: Tensor) -> Tensor:
    """(n, channels, T, H, W) to the sequence of its places, (n, T * H * W, channels)."""
    return x.flatten(2).transpose(1, 2)


# A tensor that tells each published layout, and what it calls a convolution's and a norm's tensors.
BLOBS = "blobs|"  # below which Caffe2's files hold their tensors
OWN, PYTORCH, CAFFE2 = "stages.res2.0.a.weight", "layer1.0.conv1.weight", "res2_0_branch2a_w"
SUFFIXES: Mapping[str, tuple[str, str, str, str, str, str]] = {
    "pytorch": (".weight", ".bias", ".weight", ".bias", ".running_mean", ".running_var"),
    "caffe2": ("_w", "_b", "_s", "_b", "_rm", "_riv"),
}


def build(name: str, channels: int) -> I3DResNet50:
    """`BackboneModule.build`."""
    return I3DResNet50(channels, nonlocal_blocks=name == "i3d-resnet50-nonlocal")


def recognise(published: Mapping[str, Tensor]) -> str | None:
    """`BackboneModule.recognise`: our own layout, the PyTorch ports', or Caffe2's blobs."""
    names = {name.removeprefix(BLOBS) for name in published}
    if OWN in names or CAFFE2 in names or (PYTORCH in names and "conv1.weight" in names):
        is_nonlocal = any("nonlocal" in name or ".nl." in name for name in names)
        return "i3d-resnet50-nonlocal" if is_nonlocal else "i3d-resnet50"
    return None


def convert(name: str, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`BackboneModule.convert`."""
    published = {key.removeprefix(BLOBS): tensor for key, tensor in published.items()}
    if OWN in published:
        return published
    layout = "caffe2" if CAFFE2 in published else "pytorch"
    weight, bias, gamma, beta, mean, variance = SUFFIXES[layout]

    def lookup(tensor: str) -> Tensor:
        if tensor in published:
            return published[tensor]
        why = "this is not a whole I3D-ResNet50"
        if layout == "caffe2" and tensor.endswith(mean):
            why = "files with frozen batch norm (32x4, 128x1) are of other networks; 32x2 is ours"
        raise WeightsError(f"no tensor {tensor!r}: {why}")

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
    # Fully convolutional tests keep the classifier as a convolution of size 1.
    tensors["classifier.weight"] = lookup(classifier + weight).flatten(1)
    tensors["classifier.bias"] = lookup(classifier + bias)
    return tensors


def _published_names(path: str, layout: str) -> tuple[str, str]:
    """What a layout calls the convolution and the batch norm of `path`, such as stages.res3.1.a."""
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
