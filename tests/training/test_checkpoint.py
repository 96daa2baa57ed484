from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vad_toolkit.core.files import canonical_json
from vad_toolkit.errors import InputError, WeightsError
from vad_toolkit.models.registry import build_model
from vad_toolkit.training.checkpoint import (
    METADATA_KEY,
    describe_checkpoint,
    find_runs,
    load_checkpoint,
    save_checkpoint,
)


@pytest.fixture
def saved(tmp_path: Path, recipe, small_config) -> Path:
    torch.manual_seed(0)
    model = build_model(small_config, 8)
    model.standardise.fit(torch.arange(8.0), torch.full((8,), 2.0))
    info = describe_checkpoint(
        small_config,
        recipe,
        pack_sha256="1" * 64,
        manifest_sha256="2" * 64,
        input_dim=8,
        step=5,
        seed=3,
        metric=0.75,
        validation_loss=0.5,
    )
    path = tmp_path / "run" / "best.safetensors"
    save_checkpoint(path, model, info)
    return path


def rewrite(path: Path, **changes: object) -> None:
    """Store other words, or other tensors, in a checkpoint."""
    tensors = load_file(path)
    stored = json.loads(path.with_suffix(".json").read_text())
    tensors.update(changes.pop("tensors", {}))
    for name in changes.pop("without", []):
        del tensors[name]
    save_file(tensors, path, metadata={METADATA_KEY: canonical_json({**stored, **changes})})


@pytest.mark.parametrize("folder", [False, True])
def test_what_is_saved_is_loaded(saved: Path, recipe, small_config, folder: bool) -> None:
    checkpoint = load_checkpoint(saved.parent if folder else saved)
    assert checkpoint.path == saved
    assert checkpoint.config == small_config
    assert checkpoint.recipe == recipe
    assert checkpoint.recipe_sha256 == recipe.sha256
    assert (checkpoint.method, checkpoint.step, checkpoint.seed) == ("clav-como", 5, 3)
    assert (checkpoint.metric, checkpoint.input_dim) == (0.75, 8)
    assert (checkpoint.pack_sha256, checkpoint.manifest_sha256) == ("1" * 64, "2" * 64)
    assert checkpoint.versions["torch"] == torch.__version__
    model = checkpoint.model
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert model.standardise.mean.tolist() == list(range(8))
    torch.manual_seed(0)
    original = build_model(small_config, 8).eval()
    original.standardise.fit(torch.arange(8.0), torch.full((8,), 2.0))
    x = torch.randn(1, 2, 5, 8)
    assert torch.equal(model(x).scores, original(x).scores)


def test_the_json_beside_it_says_the_same(saved: Path) -> None:
    from safetensors import safe_open

    with safe_open(saved, "pt") as file:
        inside = json.loads(file.metadata()[METADATA_KEY])
    assert json.loads(saved.with_suffix(".json").read_text()) == inside


def test_nothing_temporary_is_left(saved: Path) -> None:
    assert sorted(p.name for p in saved.parent.iterdir()) == ["best.json", "best.safetensors"]


def test_runs_are_found(saved: Path, tmp_path: Path) -> None:
    run = saved.parent
    assert find_runs(run) == [run]
    assert find_runs(saved) == [saved]
    many = tmp_path / "many"
    for seed in (10, 2, 0):
        (many / f"seed-{seed}").mkdir(parents=True)
        (many / f"seed-{seed}" / "best.safetensors").write_bytes(saved.read_bytes())
    (many / "seed-7").mkdir()  # a run that did not come as far as a checkpoint
    assert [p.name for p in find_runs(many)] == ["seed-0", "seed-2", "seed-10"]
    with pytest.raises(InputError, match=r"holds runs of 3 seeds: name one, as in .*seed-0"):
        load_checkpoint(many)


@pytest.mark.parametrize(
    ("name", "message"),
    [("nothing", "no checkpoint .* give a .safetensors file or a run folder"), ("", "not a run")],
)
def test_no_checkpoint_there(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_checkpoint(tmp_path / name)
    with pytest.raises(InputError, match="no run at"):
        find_runs(tmp_path / name)


@pytest.mark.parametrize("keep", [0, 4, 100, -7])
def test_a_cut_file_is_damaged(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="damaged or not a safetensors file") as caught:
        load_checkpoint(saved)
    assert "\n" not in str(caught.value)


def test_a_text_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_text("hello " * 50)
    with pytest.raises(WeightsError, match="damaged or not a safetensors file"):
        load_checkpoint(path)


def test_somebody_elses_tensors_are_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="no checkpoint of this toolkit: train one by vad train"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"format_version": 2}, InputError, "version 2: this version reads"),
        ({"format": "other"}, InputError, "has format 'other'"),
        ({"step": "five"}, WeightsError, "is damaged: step: Input should be a valid integer"),
        ({"extra": 1}, WeightsError, "is damaged: extra: Extra inputs are not permitted"),
        ({"recipe_sha256": "0" * 64}, WeightsError, "its method or recipe is not the one it names"),
        ({"method": "sultani"}, WeightsError, "its method or recipe is not the one it names"),
        ({"config": {"method": "x"}}, InputError, "made by another version: method 'x'"),
        ({"recipe": {"crops": "six"}}, InputError, "made by another version: recipe field"),
        ({"input_dim": 9}, WeightsError, "does not fit its config: como.streams.context"),
        ({"input_dim": 999_999}, WeightsError, "does not fit its config: como.streams.context"),
        ({"without": ["embed.bias"]}, WeightsError, "embed.bias is missing"),
        ({"tensors": {"more": torch.zeros(1)}}, WeightsError, "more has no place in the model"),
        ({"tensors": {"embed.bias": torch.zeros(8).half()}}, WeightsError, "torch.float16 (8,)"),
        ({"tensors": {"embed.bias": torch.full((8,), torch.nan)}}, WeightsError, "not finite"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_refused(saved, changes, kind, message) -> None:
    rewrite(saved, **changes)
    with pytest.raises(kind, match=re.escape(message)) as caught:
        load_checkpoint(saved)
    assert "\n" not in str(caught.value)
