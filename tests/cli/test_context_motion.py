from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from vad_cli.main import vad

from vad_toolkit.errors import InputError

SMALL = ["--train", "16", "--test", "16"]


def test_vectors_and_what_can_be_reached(tmp_path: Path) -> None:
    out = tmp_path / "far"
    arguments = ["context-motion", "vectors", "--level", "far", "--out", str(out), *SMALL]
    result = CliRunner().invoke(vad, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    reach = json.loads(result.stdout)["reach"]
    assert reach["motion alone"] == reach["one snippet"] == 0.5
    assert reach["video"] > 0.99
    assert sorted(path.name for path in out.iterdir()) == [
        "context-motion.json",
        "dataset.toml",
        "pack.h5",
        "test.jsonl",
        "train.jsonl",
    ]
    again = CliRunner().invoke(vad, arguments)
    assert isinstance(again.exception, InputError)
    assert "is not an empty folder" in str(again.exception)


def test_reach_as_a_table(tmp_path: Path) -> None:
    out = tmp_path / "same"
    arguments = ["context-motion", "vectors", "--level", "same", "--out", str(out), *SMALL]
    header, *rows = CliRunner().invoke(vad, arguments).stdout.splitlines()
    assert header.split() == ["oracle", "auc"]
    assert rows[0].split() == ["motion", "alone", "0.5000"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train", "20"], "train must be a multiple of 16 videos per label, got 20"),
        (["--crops", "3"], "crops must be one of 1, 5, 10, got 3"),
        (["--seed", "-1"], "seed must be an integer >= 0, got -1"),
    ],
)
def test_wrong_options(tmp_path: Path, arguments: list[str], message: str) -> None:
    command = ["context-motion", "vectors", "--level", "far", "--out", str(tmp_path / "x")]
    result = CliRunner().invoke(vad, [*command, *SMALL, *arguments])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "x").exists()


def test_a_level_that_is_none() -> None:
    result = CliRunner().invoke(vad, ["context-motion", "vectors", "--level", "away"])
    assert result.exit_code == 2


def test_videos_into_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    command = ["context-motion", "videos", "--level", "far", "--out", str(tmp_path)]
    result = CliRunner().invoke(vad, [*command, *SMALL])
    assert isinstance(result.exception, InputError)
    assert "is not an empty folder" in str(result.exception)
    result = CliRunner().invoke(vad, [*command, "--train", "20"])
    assert "train must be a multiple of 16 videos per label, got 20" in str(result.exception)
