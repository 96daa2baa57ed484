from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vad_toolkit.core.files import canonical_json
from vad_toolkit.core.registry import load_plugin
from vad_toolkit.errors import InputError, VadError, WeightsError
from vad_toolkit.models.registry import METHODS, build_model
from vad_toolkit.training.checkpoint import (
    describe_checkpoint,
    find_runs,
    load_checkpoint,
    save_checkpoint,
)
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.state import METADATA_KEY


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


def save_plugin_checkpoint(path: Path, recipe, plugin) -> None:
    load_plugin(plugin.name)
    config = load_config("linear-mil")
    info = describe_checkpoint(
        config,
        recipe,
        pack_sha256="1" * 64,
        manifest_sha256="2" * 64,
        input_dim=8,
        step=5,
        seed=3,
        metric=None,
        validation_loss=None,
    )
    save_checkpoint(path, build_model(config, 8), info)


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
    assert checkpoint.info.recipe_sha256 == recipe.sha256
    assert (checkpoint.info.method, checkpoint.info.step, checkpoint.info.seed) == (
        "clav-como",
        5,
        3,
    )
    assert (checkpoint.info.metric, checkpoint.info.input_dim) == (0.75, 8)
    assert (checkpoint.info.pack_sha256, checkpoint.info.manifest_sha256) == ("1" * 64, "2" * 64)
    assert checkpoint.info.versions["torch"] == torch.__version__
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
    with pytest.raises(InputError, match=r"holds runs of 3 seeds; name one, as in .*seed-0"):
        load_checkpoint(many)


@pytest.mark.parametrize("name", ["nothing", ""])
@pytest.mark.parametrize("load", [load_checkpoint, find_runs])
def test_no_checkpoint_there(tmp_path: Path, name: str, load) -> None:
    with pytest.raises(InputError, match=r"no checkpoint or run at .*; give a .safetensors file"):
        load(tmp_path / name)


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
    with pytest.raises(InputError, match="not a checkpoint of this toolkit"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"format_version": 2}, InputError, "version 2; this version of vad-toolkit reads"),
        ({"format": "other"}, InputError, "has format 'other'"),
        ({"step": "five"}, WeightsError, "metadata field step: Input should be a valid integer"),
        ({"extra": 1}, WeightsError, "metadata field extra: unknown; available: format"),
        ({"recipe_sha256": "0" * 64}, WeightsError, "recipe differs from its metadata"),
        ({"method": "sultani"}, WeightsError, "its method or recipe differs from its metadata"),
        ({"config": {"method": "x"}}, InputError, "best.safetensors: unknown method 'x'; avail"),
        ({"recipe": {"crops": "six"}}, InputError, "best.safetensors: recipe field"),
        ({"input_dim": 9}, WeightsError, "does not fit its config: como.streams.context"),
        ({"input_dim": 999_999}, WeightsError, "does not fit its config: como.streams.context"),
        ({"without": ["embed.bias"]}, WeightsError, "embed.bias is missing"),
        ({"tensors": {"more": torch.zeros(1)}}, WeightsError, "the model has no more"),
        ({"tensors": {"embed.bias": torch.zeros(8).half()}}, WeightsError, "got torch.float16"),
        ({"tensors": {"embed.bias": torch.full((8,), torch.nan)}}, WeightsError, "not finite"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_refused(saved, changes, kind, message) -> None:
    rewrite(saved, **changes)
    with pytest.raises(kind, match=re.escape(message)) as caught:
        load_checkpoint(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["config", "metadata"])
def test_a_field_of_a_newer_version_names_the_version(saved: Path, place: str) -> None:
    stored = json.loads(saved.with_suffix(".json").read_text())
    versions = {**stored["versions"], "vad-toolkit": "99.1"}
    head = {**stored["config"]["head"], "deeper": 2}
    config = {**stored["config"], "head": head}
    changes = {"config": config} if place == "config" else {"newer": 1}
    rewrite(saved, versions=versions, **changes)
    field = "config key head.deeper" if place == "config" else "metadata field newer"
    message = rf"{field}: not known to .*by version 99\.1: install vad-toolkit>=99\.1"
    with pytest.raises(VadError, match=message):
        load_checkpoint(saved)


def test_an_older_checkpoint_gets_the_defaults_of_later_fields(saved: Path) -> None:
    config = json.loads(saved.with_suffix(".json").read_text())["config"]
    del config["head"]["embed_dropout"], config["precision"]
    rewrite(saved, config=config)
    loaded = load_checkpoint(saved).config
    assert (loaded.precision, loaded.head.embed_dropout) == ("float32", 0.6)


def test_a_built_in_method_names_no_plugin(saved: Path) -> None:
    assert "plugin" not in json.loads(saved.with_suffix(".json").read_text())


def test_the_plugin_of_a_method_is_recorded_and_imported(tmp_path, recipe, plugin) -> None:
    path = tmp_path / "best.safetensors"
    save_plugin_checkpoint(path, recipe, plugin)
    assert json.loads(path.with_suffix(".json").read_text())["plugin"] == plugin.name
    plugin.forget()
    assert "linear-mil" not in METHODS
    assert load_checkpoint(path).info.method == "linear-mil"
    assert "linear-mil" in METHODS


@pytest.mark.parametrize("named", ["linear_mil", "../linear_mil.py", "linear_mil.py", "not one"])
def test_a_missing_plugin_is_named_and_no_file_is_run(tmp_path, recipe, plugin, named) -> None:
    path = tmp_path / "best.safetensors"
    save_plugin_checkpoint(path, recipe, plugin)
    rewrite(path, plugin=named)
    plugin.forget()
    if named == "linear_mil":
        plugin.file.unlink()
    message = f"needs method 'linear-mil' from plugin {named!r}: install it, or give its .py"
    with pytest.raises(InputError, match=re.escape(message)):
        load_checkpoint(path)
    assert "linear-mil" not in METHODS
