"""`vad manifest info` of shipped datasets and of files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from vad_cli.main import vad

from vad_toolkit.datasets.registry import DATASETS
from vad_toolkit.errors import InputError

Info = Callable[..., str]


@pytest.fixture
def info(capsys: pytest.CaptureFixture[str]) -> Info:
    """Run the command in this process and give what it prints."""

    def call(*arguments: str | Path) -> str:
        vad.main(["manifest", "info", *map(str, arguments)], standalone_mode=False)
        return capsys.readouterr().out

    return call


def test_a_dataset_as_a_table(info: Info) -> None:
    lines = info("ucf-crime").splitlines()
    cells = {line[:27].strip(): line[27:].split() for line in lines}
    assert cells["videos"] == ["1610", "290"]
    assert cells["decoded frames"] == ["12656615", "1111808"]
    assert cells["container frames"] == ["-", "1112032"]
    assert cells["differing counts"][1] == "224"
    assert cells["several events"][1] == "16"
    assert cells["short videos"][0] == "89"
    assert cells["class Abuse"] == ["48", "2"]
    assert ["license", "not", "known"] in [line.split() for line in lines]
    assert any(line.startswith("trap: 16 test videos have two events") for line in lines)
    assert ["deepmil", "1109680", "84128", "deepmil", "DeepMIL,"] in [x.split()[:5] for x in lines]


def test_what_a_dataset_changes_in_rules(info: Info) -> None:
    assert "rtfm: end exclusive, tail repeat" in info("shanghaitech")


def test_a_class_that_one_side_lacks_has_no_videos_there(info: Info) -> None:
    assert ["class", "normal", "16", "0"] in [line.split() for line in info("avenue").splitlines()]


def test_a_dataset_as_json(info: Info) -> None:
    values = json.loads(info("ubnormal", "--json"))
    assert values["license"] == "CC BY-NC-ND 4.0"
    assert list(values["sides"]) == ["test", "train", "validation"]
    assert values["sides"]["validation"]["videos"] == 64
    assert values["sides"]["test"]["classes"] == {"normal": 53}
    arrays = json.loads(info("shanghaitech", "--json"))["arrays"]
    assert arrays["tevad"] == {
        "length": 143_888,
        "abnormal": 8_028,
        "rule": "tevad",
        "used_by": "TEVAD",
    }


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_is_printed(info: Info, name: str) -> None:
    assert info(name).splitlines()[0].split() == ["name", name]
    assert json.loads(info(name, "--json"))["name"] == name


def test_neither_dataset_nor_file(info: Info) -> None:
    with pytest.raises(
        InputError, match=r"no manifest 'ucf'; give a file .* or a dataset: .*ucf-crime"
    ):
        info("ucf")
