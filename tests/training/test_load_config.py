from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.models.registry import METHODS
from vad_toolkit.training.load_config import config_names, load_config, parse_config


def test_every_name_loads_and_its_dump_gives_it_back(tmp_path: Path) -> None:
    for name in config_names():
        config = load_config(name)
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(config.model_dump(mode="json")))
        assert load_config(file) == config


def test_the_default_is_the_paper_sized_head() -> None:
    config = load_config()
    assert config == load_config("clav-como")
    assert (config.method, config.data.segments, config.pairs) == ("clav-como", 32, 32)
    assert (config.optimiser.name, config.optimiser.weight_decay) == ("adam", 5e-3)
    assert config.optimiser.clip_norm == 1.0


def test_a_method_brings_its_own_defaults() -> None:
    config = parse_config({"method": "sultani", "optimiser": {"clip_norm": 2.0}})
    assert (config.optimiser.name, config.optimiser.learning_rate) == ("adagrad", 1e-3)
    assert (config.optimiser.weight_decay, config.optimiser.clip_norm) == (1e-3, 2.0)
    assert (config.pairs, config.data.segments) == (30, 32)


def test_a_toml_file_and_settings_are_laid_over_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('steps = 7\n[head]\nactivate = "gate"\nnodes = 5\nscore_hidden = [9, 3]\n')
    dumped = load_config(file, {"head.activate": "none", "losses.margin": 1}).model_dump()
    assert dumped["steps"] == 7
    assert (dumped["head"]["activate"], dumped["head"]["nodes"]) == ("none", 5)
    assert dumped["head"]["score_hidden"] == (9, 3)
    assert dumped["losses"]["margin"] == 1.0
    assert dumped["head"]["width"] == 512


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"head.activate": "x"}, "config key head.activate: Input should be 'bank', 'gate' or"),
        ({"head.nope": 1}, "config key head.nope: unknown; available: width, kernel, "),
        ({"nope": 1}, "config key nope: unknown; available: method, input, "),
        ({"steps": 0}, "config key steps: Input should be greater than or equal to 1 (given: 0)"),
        ({"steps": "many"}, "(given: 'many')"),
        ({"head": 3}, "config key head: "),
        (
            {"method": "other"},
            "unknown method 'other'; available: clav-como, linear, sultani, rtfm, ur-dmu, mgfn",
        ),
        ({"method": ["sultani"]}, "unknown method \"['sultani']\"; available: "),
        ({"method": "sultani", "head.activate": "gate"}, "available: hidden, dropout"),
        (
            {"head.window": 2},
            "config key head.window: must be odd, to be centered on a snippet, got 2",
        ),
        ({"optimiser.name": "sgd"}, "'adam', 'adamw' or 'adagrad' (given: 'sgd')"),
        (
            {"input.components": 8, "data.standardise": False},
            "config: input.components = 8 needs data.standardise = true",
        ),
        ({"input.noise": -1.0}, "config key input.noise: Input should be greater than or equal"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(overrides: dict, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        load_config(None, overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "steps = = 3", "is not a config"),
        ("a.json", "[1]", "must hold keys and values"),
        ("a.json", "{", "is not a config"),
    ],
)
def test_files_that_are_no_config(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        load_config(tmp_path / name)


def test_no_such_file_or_preset() -> None:
    with pytest.raises(
        InputError, match=r"unknown config 'clav'; give a file .* or one of clav-como, "
    ):
        load_config("clav")


def test_configs_name_their_method() -> None:
    for method in METHODS:
        assert parse_config({"method": method}).method == load_config(method).method == method
