"""Checkpoints: one safetensors file with weights, input statistics and all that using them needs.

The header's metadata holds, under one key, the JSON of `CheckpointInfo`; a copy of it stands beside
the file for people (`best.safetensors`, `best.json`). No time, host or path enters, so that equal
training gives equal bytes. Nothing is unpickled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import vad_toolkit
from vad_toolkit.core.files import atomic_path, canonical_json, write_json
from vad_toolkit.errors import InputError, VadError, WeightsError
from vad_toolkit.models.base import MilModel
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.models.registry import build_model
from vad_toolkit.recipes.recipe import AnyRecipe, Sha256, parse_recipe
from vad_toolkit.training.load_config import parse_config

FORMAT: Literal["vad-checkpoint"] = "vad-checkpoint"
FORMAT_VERSION: Literal[1] = 1
METADATA_KEY = "vad"  # one key: the order of several in a safetensors header is not fixed
BEST = "best.safetensors"
LAST = "last.safetensors"
SEED_FOLDER = re.compile(r"seed-(0|[1-9][0-9]*)")


class CheckpointInfo(BaseModel):
    """What a checkpoint says of itself, as stored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

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


@dataclass(frozen=True)
class Checkpoint:
    """A trained model, ready to score, and where it comes from."""

    path: Path
    method: str
    config: TrainConfig
    recipe: AnyRecipe
    recipe_sha256: str
    pack_sha256: str  # `content_sha256` of the training pack
    manifest_sha256: str
    input_dim: int
    step: int
    seed: int
    metric: float | None  # video-level ROC-AUC on the validation videos; None without validation
    versions: Mapping[str, str]
    model: MilModel  # on the device asked for, in evaluation mode, without gradients


def describe_checkpoint(
    config: TrainConfig,
    recipe: AnyRecipe,
    *,
    pack_sha256: str,
    manifest_sha256: str,
    input_dim: int,
    step: int,
    seed: int,
    metric: float | None,
    validation_loss: float | None,
) -> CheckpointInfo:
    """What `save_checkpoint` stores beside the weights."""
    return CheckpointInfo(
        method=config.method,
        config=config.model_dump(mode="json"),
        input_dim=input_dim,
        recipe=recipe.model_dump(mode="json"),
        recipe_sha256=recipe.sha256,
        pack_sha256=pack_sha256,
        manifest_sha256=manifest_sha256,
        step=step,
        seed=seed,
        metric=metric,
        validation_loss=validation_loss,
        versions={"vad-toolkit": vad_toolkit.__version__, "torch": torch.__version__},
    )


def save_checkpoint(path: Path, model: MilModel, info: CheckpointInfo) -> None:
    """Write `path` (.safetensors) and the same name with .json, each whole or not at all.

    Raises:
        VadError: a weight is not finite; nothing is written.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise VadError(
                f"step {info.step}: the weights {name} are not finite; lower "
                "optimiser.learning_rate"
            )
    stored = info.model_dump(mode="json")
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={METADATA_KEY: canonical_json(stored)}))
    write_json(path.with_suffix(".json"), stored)


def write_description(path: Path) -> None:
    """Write the .json beside checkpoint `path` anew, from what the checkpoint says of itself."""
    info, _ = _read(path)
    write_json(path.with_suffix(".json"), info.model_dump(mode="json"))


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Load a .safetensors file, or the best step of a run folder.

    Raises:
        InputError: there is no such checkpoint, or it is no checkpoint of this toolkit and version.
        WeightsError: it is damaged, or its tensors do not fit its config.
    """
    path = Path(path)
    file = _find_file(path)
    info, tensors = _read(file)
    try:
        config = parse_config(info.config)
        recipe = parse_recipe(canonical_json(info.recipe))
    except InputError as error:
        raise InputError(f"{file} was made by another version: {error}") from error
    if info.method != config.method or info.recipe_sha256 != recipe.sha256:
        raise WeightsError(f"{file} is damaged: its method or recipe is not the one it names")
    return Checkpoint(
        path=file,
        method=info.method,
        config=config,
        recipe=recipe,
        recipe_sha256=info.recipe_sha256,
        pack_sha256=info.pack_sha256,
        manifest_sha256=info.manifest_sha256,
        input_dim=info.input_dim,
        step=info.step,
        seed=info.seed,
        metric=info.metric,
        versions=info.versions,
        model=_assemble(file, config, info.input_dim, tensors).to(device),
    )


def initial_model(checkpoint: Checkpoint) -> MilModel:
    """The network as its training began: drawn again from the run's seed, on the CPU.

    With the checkpoint's input statistics, in evaluation mode, without gradients. It is the very
    one where torch's version is (`versions`).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(checkpoint.seed)
        model = build_model(checkpoint.config, checkpoint.input_dim)
    model.standardise.load_state_dict(checkpoint.model.standardise.state_dict())
    if model.components is not None and checkpoint.model.components is not None:
        model.components.load_state_dict(checkpoint.model.components.state_dict())
    return model.eval().requires_grad_(False)


def find_runs(path: Path) -> list[Path]:
    """The runs at `path`: itself (run folder or checkpoint file), or its seed-* folders in order.

    Raises:
        InputError: there are none.
    """
    path = Path(path)
    if path.is_file() or (path / BEST).is_file():
        return [path]
    seeds = _seed_folders(path)
    if not seeds:
        raise InputError(
            f"no run at {str(path)!r}: it has neither {BEST} nor seed-* folders with one"
        )
    return seeds


def _seed_folders(path: Path) -> list[Path]:
    numbered = {
        int(match[1]): child
        for child in (path.iterdir() if path.is_dir() else ())
        if (match := SEED_FOLDER.fullmatch(child.name)) and (child / BEST).is_file()
    }
    return [numbered[seed] for seed in sorted(numbered)]


def _find_file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"no checkpoint {str(path)!r}: give a .safetensors file or a run folder")
    if (path / BEST).is_file():
        return path / BEST
    seeds = _seed_folders(path)
    if seeds:
        raise InputError(f"{path} holds runs of {len(seeds)} seeds: name one, as in {seeds[0]}")
    raise InputError(f"{path} is not a run: it has no {BEST}")


def _read(file: Path) -> tuple[CheckpointInfo, dict[str, Tensor]]:
    try:
        with safe_open(file, framework="pt", device="cpu") as stored:
            text = (stored.metadata() or {}).get(METADATA_KEY)
            if text is None:
                raise InputError(f"{file} is no checkpoint of this toolkit: train one by vad train")
            info = _parse_info(file, text)
            return info, {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{file} is damaged or not a safetensors file ({reason})") from error


def _parse_info(file: Path, text: str) -> CheckpointInfo:
    try:
        stored = json.loads(text)
        kind, version = stored["format"], stored["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{file} is damaged: its description cannot be read") from error
    if kind != FORMAT or version != FORMAT_VERSION:
        raise InputError(
            f"{file} has format {kind!r} version {version!r}: this version reads "
            f"{FORMAT!r} version {FORMAT_VERSION}"
        )
    try:
        return CheckpointInfo.model_validate(stored)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WeightsError(f"{file} is damaged: {where}: {first['msg']}") from error


def _assemble(
    file: Path, config: TrainConfig, input_dim: int, tensors: Mapping[str, Tensor]
) -> MilModel:
    """The model around the stored tensors; on the meta device first, so that sizes cost nothing."""
    with torch.device("meta"):
        model = build_model(config, input_dim)
    expected = model.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise WeightsError(f"{file} does not fit its config: {name} is missing")
        if name not in expected:
            raise WeightsError(f"{file} does not fit its config: {name} has no place in the model")
        found, wanted = tensors[name], expected[name]
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise WeightsError(
                f"{file} does not fit its config: {name} is {found.dtype} {tuple(found.shape)}, "
                f"should be {wanted.dtype} {tuple(wanted.shape)}"
            )
        if not torch.isfinite(found).all():
            raise WeightsError(f"{file}: {name} holds values that are not finite")
    model.load_state_dict(tensors, assign=True)
    return model.eval().requires_grad_(False)
