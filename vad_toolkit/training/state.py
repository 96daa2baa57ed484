"""The saved state of a run, from which it resumes after a kill with the same result.

`state.safetensors` in the run folder holds tensors (model, optimizer, random generators, sampler,
the bytes of the best checkpoint) and one JSON object in its header. It is written atomically.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vad_toolkit.core.files import atomic_path
from vad_toolkit.core.settings import Settings
from vad_toolkit.errors import VadError
from vad_toolkit.training.validation import Validation

STATE = "state.safetensors"
METADATA_KEY = "vad"  # only one, because safetensors does not fix the order of several keys
Whole = Annotated[int, Field(ge=0)]


class Position(Settings):
    """The part of a state that is not tensors."""

    format: Literal["vad-training-state"] = "vad-training-state"
    format_version: Literal[1] = 1
    step: Whole  # the last finished one
    log_bytes: Whole  # of log.jsonl, up to that step
    sums: dict[str, float]  # over the steps since the last line of the log
    steps: Whole  # their number
    best: Validation | None
    latest: Validation | None


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: str) -> None:
    """Write tensors and one text as a safetensors file, atomically."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(stored, metadata={METADATA_KEY: metadata}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """Read a safetensors file, on the CPU; the text is None if the file has none.

    Raises:
        SafetensorError, OSError, ValueError: If the file is damaged or of another kind.
    """
    with safe_open(path, framework="pt", device="cpu") as stored:
        metadata = (stored.metadata() or {}).get(METADATA_KEY)
        return {name: stored.get_tensor(name) for name in stored.keys()}, metadata  # noqa: SIM118


def read_state(out: Path) -> tuple[Position, dict[str, Tensor]] | None:
    """Read the state of run folder `out`, on the CPU; None if there is none.

    Raises:
        VadError: If it is damaged.
    """
    if not (out / STATE).is_file():
        return None
    try:
        tensors, metadata = read_tensors(out / STATE)
        return Position.model_validate_json(metadata or ""), tensors
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(out) from error


def damaged(out: Path) -> VadError:
    """Return the error for a damaged state."""
    return VadError(f"{out / STATE} is damaged; remove it to train this run from the beginning")


def flatten(nested: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings under names with dots, {"a": {0: x}} -> {"a.0": x}."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with `name` and a dot, without these."""
    return {key[len(name) + 1 :]: x for key, x in tensors.items() if key.startswith(f"{name}.")}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state of each parameter from tensors that are named `<number>.<name>`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
