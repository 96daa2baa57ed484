"""Published weight files to this toolkit's tensors: which network a file holds, and whether it is
whole.

How a network's published names map to ours stands in its own module (`BackboneModule`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vad_toolkit.backbones.registry import BACKBONES, CHANNELS, BackboneInfo
from vad_toolkit.errors import WeightsError
from vad_toolkit.weights.published import read_published

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class ReadWeights:
    """What a published file holds: the tensors of `BackboneInfo.build`, by our names."""

    backbone: str
    stream: str
    tensors: Tensors


def read_weights(path: Path, backbone: str | None = None, stream: str | None = None) -> ReadWeights:
    """The network of a published file, told by its structure unless `backbone` names it.

    Raises:
        WeightsError: no layout that is known, another network or stream than the one named, or a
            tensor that is missing, misshapen or not finite.
        InputError: no network of that name.
    """
    wanted = BACKBONES[backbone] if backbone is not None else None
    published = read_published(path)
    found = _recognise(published)
    if found is None:
        raise WeightsError(
            f"{path} has the layout of no network that is known ({', '.join(BACKBONES)})"
        )
    if wanted is not None and found != wanted:
        raise WeightsError(f"{path} holds {found.name}, not {wanted.name}")
    try:
        tensors = found.load_module().convert(found.name, published)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    stream = stream or _stream(tensors, found)
    return ReadWeights(found.name, stream, _checked(tensors, found, stream, path))


def random_weights(
    seed: int, backbone: str = "inception-i3d", stream: str = "rgb", variance: float = 2.0
) -> Tensors:
    """Uniform weights from PCG64's draws, the same on every machine; see `RandomSource`.

    Biases and means are 0, the scales of norms and variances 1; whole numbers are the network's
    own.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    tensors: Tensors = {}
    network = BACKBONES[backbone].build(CHANNELS[stream])
    for name, tensor in network.state_dict().items():
        shape = tuple(tensor.shape)
        if not tensor.is_floating_point():
            tensors[name] = tensor
            continue
        bound = np.sqrt(3.0 * variance / np.prod(shape[1:])) if len(shape) > 1 else 0.0
        values = (generator.random(shape) * 2 - 1) * bound
        if len(shape) == 1 and name.endswith((".weight", ".running_var")):
            values = np.ones(shape)
        tensors[name] = torch.from_numpy(values.astype(np.float32))
    return tensors


def expected_tensors(backbone: str, stream: str) -> Tensors:
    """Every tensor of a network by name, on the meta device: shapes and dtypes, no values."""
    with torch.device("meta"):
        return dict(BACKBONES[backbone].build(CHANNELS[stream]).state_dict())


def _recognise(published: Mapping[str, Tensor]) -> BackboneInfo | None:
    """The network that tensors of these names are of, by asking each module in turn."""
    for info in {info.module: info for _, info in BACKBONES.items()}.values():
        if (name := info.load_module().recognise(published)) is not None:
            return BACKBONES[name]
    return None


def _stream(tensors: Tensors, architecture: BackboneInfo) -> str:
    """The stream whose network these tensors fit; the first one where they fit none."""
    for stream in architecture.streams:
        expected = expected_tensors(architecture.name, stream)
        if all(
            name in tensors and tensors[name].shape == expected[name].shape for name in expected
        ):
            return stream
    return architecture.streams[0]


def _checked(tensors: Tensors, architecture: BackboneInfo, stream: str, path: Path) -> Tensors:
    if stream not in architecture.streams:
        raise WeightsError(f"{path} holds {architecture.name}, which has no stream {stream!r}")
    expected = expected_tensors(architecture.name, stream)
    for name, model in expected.items():
        if name not in tensors:
            raise WeightsError(f"{path}: tensor {name!r} is missing")
        if tensors[name].shape != model.shape:
            found, shape = tuple(tensors[name].shape), tuple(model.shape)
            raise WeightsError(
                f"{path}: tensor {name!r} has shape {found}, expected {shape} for the stream "
                f"{stream}"
            )
        if not bool(torch.isfinite(tensors[name]).all()):
            raise WeightsError(f"{path}: tensor {name!r} holds numbers that are not finite")
    return {name: tensors[name].to(model.dtype).contiguous() for name, model in expected.items()}
