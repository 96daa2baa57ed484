from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from vad_cli.main import vad

from vad_toolkit.errors import InputError
from vad_toolkit.experiments.context_motion.courses import Level, Size
from vad_toolkit.experiments.context_motion.vectors import VectorDataset, write_vectors

SETTINGS = ["steps=2", "pairs=2", "data.segments=4", "tensorboard=false", "head.hidden=[4, 2]"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> VectorDataset:
    return write_vectors(tmp_path_factory.mktemp("data") / "same", Level.SAME, 0, Size(16, 16))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "table.toml"
    file.write_text("[rows.one]\n[rows.two.settings]\nsteps = 3\n")
    return file


def run(*arguments: str | Path) -> Result:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    common = ["--config", "sultani", "--seeds", "2", "--jobs", "1", "--device", "cpu"]
    return CliRunner().invoke(vad, ["ablate", *common, *settings, *map(str, arguments)])


def data(drawn: VectorDataset) -> tuple[str | Path, ...]:
    return ("--pack", drawn.pack, "--manifest", drawn.train, "--test", drawn.test)


def test_a_table_of_a_pack(drawn: VectorDataset, table: Path, tmp_path: Path) -> None:
    result = run(*data(drawn), "--table", table, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["row", "seeds", "mean", "std"]
    assert [line.split()[0] for line in lines[1:3]] == ["one", "two"]
    assert lines[4].split()[:2] == ["row", "minus"]
    assert lines[5].split()[:2] == ["two", "one"]
    assert (tmp_path / "out" / "table.md").is_file()


def test_drawn_data_as_json(table: Path, tmp_path: Path) -> None:
    arguments = ("--context-motion", "near", "--data-seed", "3", "--table", table)
    result = run(*arguments, "--out", tmp_path / "out", "--json", "--seeds", "1")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert [row["row"] for row in shown["rows"]] == ["one", "two"]
    assert shown["differences"][0]["t_low"] is None  # of one seed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--pack is missing"),
        (
            ("--context-motion", "far", "--test", "x"),
            "--test and --context-motion exclude",
        ),
        (("--data-seed", "3"), "--data-seed requires --context-motion"),
        (("--context-motion", "far", "--data-seed", "x"), "--data-seed must be per-seed or"),
        (
            ("--context-motion", "far", "--data-seed", "-1"),
            "per-seed or >= 0, got -1",
        ),
        (("--context-motion", "far", "--table", "none"), "unknown table 'none'"),
        (("--context-motion", "far", "--set", "steps=0"), "row one: config key steps"),
    ],
)
def test_wrong_options(
    table: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = run("--table", table, "--out", tmp_path / "out", *arguments)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()
