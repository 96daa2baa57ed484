"""Conversion of published weight files: recognize the network of a file, check every tensor.

The module of a network maps the published tensor names to its own (`BackboneModule`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vad_toolkit.backbones.registry import BACKBONES, CHANNELS, BackboneInfo
from vad_toolkit.errors import InputError, WeightsError
from vad_toolkit.weights.published import read_published

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class ReadWeights:
    """Content of a published file: the tensors of `BackboneInfo.build` by name."""

    backbone: str
    stream: str
    tensors: Tensors


def read_weights(path: Path, backbone: str | None = None, stream: str | None = None) -> ReadWeights:
    """Read the network of a published file.

    Args:
        path: The file.
        backbone: The network that the file must hold. If None, it is recognized by its structure.
        stream: The modality, "rgb" or "flow". If None, it is recognized by its structure.

    Raises:
        WeightsError: If the file has an unknown layout, another network or modality, or a tensor
            that is missing, has another shape or is not finite.
        InputError: If there is no backbone of that name.
    """
    wanted = BACKBONES[backbone] if backbone is not None else None
    published = read_published(path)
    found = wanted
    if wanted is None or not _holds(wanted, published, is_named=True):
        found = next((info for _, info in BACKBONES.items() if _holds(info, published)), None)
    if found is None:
        known = ", ".join(BACKBONES)
        raise WeightsError(f"{path} has the layout of no known backbone; available: {known}")
    if wanted is not None and found != wanted:
        raise WeightsError(f"{path} holds the backbone {found.name}, not {wanted.name}")
    convert = getattr(found.load_module(), "convert", lambda name, published: dict(published))
    try:
        tensors = convert(found.name, published)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    stream = stream or _find_stream(tensors, found)
    return ReadWeights(found.name, stream, _check_tensors(tensors, found, stream, path))


def random_weights(
    seed: int, backbone: str = "inception-i3d", stream: str = "rgb", variance: float = 2.0
) -> Tensors:
    """Return uniform random weights from PCG64, which are the same on every machine.

    Biases and means are 0, scales of norms and variances 1. Integer tensors keep their values.

    Args:
        seed: Of the generator.
        backbone: A name of `BACKBONES`.
        stream: "rgb" or "flow".
        variance: See `RandomSource`.
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
    """Return every tensor of a network by name, on the meta device: shapes and dtypes only."""
    with torch.device("meta"):
        return dict(BACKBONES[backbone].build(CHANNELS[stream]).state_dict())


def _holds(info: BackboneInfo, published: Mapping[str, Tensor], is_named: bool = False) -> bool:
    """Return True if the published tensors belong to this backbone.

    If the user names a backbone without `recognize`, this is taken for granted, so that the check
    of its tensors can name a missing one.
    """
    try:
        recognize = getattr(info.load_module(), "recognize", None)
    except InputError:
        if is_named:
            raise
        return False  # a broken plugin must not stop the import of other weights
    if recognize is not None:
        return bool(recognize(info.name, published))
    return is_named or published.keys() == expected_tensors(info.name, info.streams[0]).keys()


def _find_stream(tensors: Tensors, info: BackboneInfo) -> str:
    """Return the modality whose network has these shapes, or the first one if none has."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    for stream in info.streams:
        expected = expected_tensors(info.name, stream).items()
        if shapes.items() >= {name: tensor.shape for name, tensor in expected}.items():
            return stream
    return info.streams[0]


def _check_tensors(tensors: Tensors, info: BackboneInfo, stream: str, path: Path) -> Tensors:
    """Return the tensors of the network, checked, in its dtypes; others are left out."""
    if stream not in info.streams:
        raise WeightsError(f"{path} holds the backbone {info.name}, which has no stream {stream!r}")
    expected = expected_tensors(info.name, stream)
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
            raise WeightsError(f"{path}: tensor {name!r} has values that are not finite")
    return {name: tensors[name].to(model.dtype).contiguous() for name, model in expected.items()}
