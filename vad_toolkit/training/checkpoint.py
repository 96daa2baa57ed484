"""Checkpoints: one safetensors file with the weights and all that is needed to use them.

The header's metadata holds the JSON of `CheckpointInfo` under one key; a copy lies next to the file
for people (`best.safetensors`, `best.json`). Times, host names and paths are not stored, so that
equal training gives equal bytes. Nothing is unpickled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor

import vad_toolkit
from vad_toolkit.core.files import AnyPath, canonical_json, write_json
from vad_toolkit.core.registry import load_plugin
from vad_toolkit.core.settings import Settings, describe_error
from vad_toolkit.datasets.length_rule import LengthRule
from vad_toolkit.errors import InputError, VadError, WeightsError
from vad_toolkit.models.base import MilModel
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.models.registry import METHODS, build_model
from vad_toolkit.recipes.recipe import AnyRecipe, Sha256, parse_recipe
from vad_toolkit.training.load_config import parse_config
from vad_toolkit.training.state import read_tensors, write_tensors

FORMAT: Literal["vad-checkpoint"] = "vad-checkpoint"
FORMAT_VERSION: Literal[1] = 1
BEST = "best.safetensors"
LAST = "last.safetensors"
SEED_FOLDER = re.compile(r"seed-(0|[1-9][0-9]*)")
# Modules only: a .py file that a checkpoint names must not be run.
PLUGIN_MODULE = r"^(?!.*\.py$)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"


class CheckpointInfo(Settings):
    """The metadata of a checkpoint, as stored."""

    format: Literal["vad-checkpoint"] = FORMAT
    format_version: Literal[1] = FORMAT_VERSION
    method: str
    config: dict[str, Any]
    input_dim: Annotated[int, Field(ge=1, le=1_000_000)]
    recipe: dict[str, Any]
    recipe_sha256: Sha256
    pack_sha256: Sha256
    manifest_sha256: Sha256
    step: Annotated[int, Field(ge=0)]
    seed: int
    metric: float | None  # video-level ROC-AUC on the validation videos; None without validation
    validation_loss: float | None
    versions: dict[str, str]
    VERSION_1 = frozenset(__annotations__)  # the fields above
    plugin: str | None = None  # the module that registered the method; None if it is built in
    length_rule: LengthRule | None = None  # of the training videos; None if it is not known


@dataclass(frozen=True)
class Checkpoint:
    """A trained model that is ready to score, and its origin."""

    path: Path
    info: CheckpointInfo
    config: TrainConfig
    recipe: AnyRecipe
    model: MilModel  # on the requested device, in evaluation mode, without gradients


def describe_checkpoint(config: TrainConfig, recipe: AnyRecipe, **facts: Any) -> CheckpointInfo:
    """Return the metadata that `save_checkpoint` stores; `facts` are the remaining fields."""
    return CheckpointInfo(
        method=config.method,
        config=config.canonical_fields(),
        recipe=json.loads(recipe.canonical_json()),
        recipe_sha256=recipe.sha256,
        versions={"vad-toolkit": vad_toolkit.__version__, "torch": torch.__version__},
        plugin=METHODS.plugin_of(config.method),
        **facts,
    )


def save_checkpoint(path: Path, model: MilModel, info: CheckpointInfo) -> None:
    """Write `path` (.safetensors) and the .json file next to it, each completely or not at all.

    Raises:
        VadError: If a weight is not finite; nothing is written then.
    """
    tensors = model.state_dict()
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise VadError(
                f"step {info.step}: the weights {name} are not finite; lower "
                "optimiser.learning_rate"
            )
    write_tensors(path, tensors, info.canonical_json())
    write_json(path.with_suffix(".json"), info.canonical_fields())


def write_description(path: Path) -> None:
    """Write the .json file next to checkpoint `path` again, from the checkpoint's metadata."""
    info, _ = _read(path)
    write_json(path.with_suffix(".json"), info.canonical_fields())


def load_checkpoint(path: AnyPath, device: torch.device | str = "cpu") -> Checkpoint:
    """Load a .safetensors file, or the best step of a run folder.

    If the method is not registered, the plugin that the checkpoint names is imported.

    Raises:
        InputError: If there is no such checkpoint, it is not a checkpoint of this toolkit, or it
            needs a newer version or a missing plugin.
        WeightsError: If it is damaged, or its tensors do not fit its config.
    """
    path = Path(path)
    runs = find_runs(path)
    if runs != [path]:
        raise InputError(f"{path} holds runs of {len(runs)} seeds; name one, as in {runs[0]}")
    file = path / BEST if path.is_dir() else path
    info, tensors = _read(file)
    _need_method(file, info)
    written_by = info.versions.get("vad-toolkit")
    try:
        config = parse_config(info.config, written_by)
        recipe = parse_recipe(canonical_json(info.recipe), written_by)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    if info.method != config.method or info.recipe_sha256 != recipe.sha256:
        raise WeightsError(f"{file} is damaged: its method or recipe differs from its metadata")
    with torch.device("meta"):  # saves the time and memory of an initialization
        model = build_model(config, info.input_dim)
    _check_tensors(file, model, tensors)
    model.load_state_dict(tensors, assign=True)
    model = model.eval().requires_grad_(False).to(device)
    return Checkpoint(file, info, config, recipe, model)


def initial_model(checkpoint: Checkpoint) -> MilModel:
    """Return the network as it was before training, initialized again from the run's seed.

    It has the checkpoint's input statistics, and is on the CPU, in evaluation mode, without
    gradients. It is identical if torch has the same version (`info.versions`).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(checkpoint.info.seed)
        model = build_model(checkpoint.config, checkpoint.info.input_dim)
    model.standardise.load_state_dict(checkpoint.model.standardise.state_dict())
    if model.components is not None and checkpoint.model.components is not None:
        model.components.load_state_dict(checkpoint.model.components.state_dict())
    return model.eval().requires_grad_(False)


def find_runs(path: AnyPath) -> list[Path]:
    """Return `path` if it is a run folder or a checkpoint, or else its seed-* folders in order.

    Raises:
        InputError: If there are none.
    """
    path = Path(path)
    if path.is_file() or (path / BEST).is_file():
        return [path]
    numbered = {
        int(match[1]): child
        for child in (path.iterdir() if path.is_dir() else ())
        if (match := SEED_FOLDER.fullmatch(child.name)) and (child / BEST).is_file()
    }
    if not numbered:
        raise InputError(
            f"no checkpoint or run at {str(path)!r}; give a .safetensors file, or a folder of vad "
            f"train that holds {BEST} or seed-* folders with it"
        )
    return [numbered[seed] for seed in sorted(numbered)]


def _read(file: Path) -> tuple[CheckpointInfo, dict[str, Tensor]]:
    try:
        tensors, metadata = read_tensors(file)
    except (SafetensorError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{file} is damaged or not a safetensors file ({reason})") from error
    if metadata is None:
        raise InputError(f"{file} is not a checkpoint of this toolkit (see vad train)")
    try:
        stored = json.loads(metadata)
        kind, version = stored["format"], stored["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{file} is damaged: its metadata cannot be read") from error
    if kind != FORMAT or version != FORMAT_VERSION:
        raise InputError(
            f"{file} has format {kind!r} version {version!r}; this version of vad-toolkit reads "
            f"{FORMAT!r} version {FORMAT_VERSION}"
        )
    try:
        return CheckpointInfo.model_validate(stored), tensors
    except ValidationError as error:
        versions = stored.get("versions")
        written_by = versions.get("vad-toolkit") if isinstance(versions, dict) else None
        problem = describe_error(error, CheckpointInfo, "metadata field", written_by)
        raise WeightsError(f"{file} cannot be used: {problem}") from error


def _need_method(file: Path, info: CheckpointInfo) -> None:
    """Import the plugin of the checkpoint's method, if the method is not registered."""
    if info.method in METHODS or info.plugin is None:
        return  # an unknown method without a plugin is an error of its config
    if re.fullmatch(PLUGIN_MODULE, info.plugin):
        with suppress(InputError):
            load_plugin(info.plugin)
    if info.method not in METHODS:
        raise InputError(
            f"{file} needs method {info.method!r} from plugin {info.plugin!r}: install it, or give "
            "its .py file with --plugin"
        )


def _check_tensors(file: Path, model: MilModel, tensors: Mapping[str, Tensor]) -> None:
    expected = model.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise WeightsError(f"{file} does not fit its config: {name} is missing")
        if name not in expected:
            raise WeightsError(f"{file} does not fit its config: the model has no {name}")
        found, wanted = tensors[name], expected[name]
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise WeightsError(
                f"{file} does not fit its config: {name} must be {wanted.dtype} "
                f"{tuple(wanted.shape)}, got {found.dtype} {tuple(found.shape)}"
            )
        if not torch.isfinite(found).all():
            raise WeightsError(f"{file} is damaged: {name} has values that are not finite")
