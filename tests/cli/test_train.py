from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from vad_cli.main import vad

from vad_toolkit.datasets.manifest import Entry, read_manifest, write_manifest
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.training.load_config import config_names

QUICK = ("steps=2", "pairs=2", "data.segments=4", "tensorboard=false")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pack.h5 and train.jsonl: five normal and five abnormal videos."""
    folder = tmp_path_factory.mktemp("data")
    listed = [Entry(id=f"v{i}", path=f"v{i}", label=int(i >= 5)) for i in range(10)]
    meta = VideoMeta(
        frames=96,
        frames_reported=96,
        frames_duplicated=0,
        fps=25.0,
        width=64,
        height=64,
        source_sha256="0" * 64,
        decoder="made by a test",
        decoder_version="1",
    )
    features = np.random.default_rng(0).standard_normal((10, 6, 1, 4)).astype(np.float16)
    videos = [(e.id, VideoFeatures(meta, {"rgb": features[i]})) for i, e in enumerate(listed)]
    write_pack(folder / "pack.h5", load_recipe("i3d-rgb-center"), videos, dataset="test")
    write_manifest(folder / "train.jsonl", listed)
    return folder


def run(data: Path, *arguments: str, head: tuple[str, ...] = ("head.hidden=[4, 2]",)) -> Result:
    settings = [part for setting in (*QUICK, *head) for part in ("--set", setting)]
    command = ["train", "--pack", str(data / "pack.h5"), "--manifest", str(data / "train.jsonl")]
    return CliRunner().invoke(
        vad, [*command, "--config", "sultani", "--device", "cpu", *settings, *arguments]
    )


def help_without_spaces() -> str:
    return "".join(CliRunner().invoke(vad, ["train", "--help"]).output.split())


def test_a_run_and_its_table(data: Path, tmp_path: Path) -> None:
    result = run(data, "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    header, row = result.stdout.splitlines()
    assert header.split()[:3] == ["run", "method", "seed"]
    assert row.split()[1:3] == ["sultani", "0"]
    assert (tmp_path / "run" / "best.safetensors").is_file()


def test_seeds_as_json(data: Path, tmp_path: Path) -> None:
    result = run(data, "--out", str(tmp_path / "runs"), "--seeds", "2", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["run"] for row in rows] == [str(tmp_path / "runs" / f"seed-{i}") for i in (0, 1)]
    assert all(0 <= row["best_auc"] <= 1 for row in rows)


def test_a_plugins_method_in_two_processes(
    data: Path, tmp_path: Path, plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAD_PLUGINS", str(plugin.file))
    assert "linear-mil" in help_without_spaces()
    options = ["--config", "linear-mil", "--seeds", "2", "--jobs", "2", "--threads", "1"]
    runs = tmp_path / "runs"
    result = run(data, "--out", str(runs), *options, head=())
    assert result.exit_code == 0, result.output
    assert [line.split()[1] for line in result.stdout.splitlines()[1:]] == ["linear-mil"] * 2
    events = [
        entry.model_copy(update={"events": ((0, 32),) if entry.label else ()})
        for entry in read_manifest(data / "train.jsonl")
    ]
    write_manifest(tmp_path / "test.jsonl", events)
    files = ["--pack", str(data / "pack.h5"), "--manifest", str(tmp_path / "test.jsonl")]
    evaluated = CliRunner().invoke(
        vad, ["eval", str(runs), *files, "--device", "cpu", "--no-plots"]
    )
    assert evaluated.exit_code == 0, evaluated.output


def test_the_same_command_again_keeps_what_is_finished(data: Path, tmp_path: Path) -> None:
    first = run(data, "--out", str(tmp_path / "run"))
    again = run(data, "--out", str(tmp_path / "run"))
    assert again.stdout == first.stdout
    note = f"Note: already finished, and kept: {tmp_path / 'run'}"
    assert note in again.stderr
    assert note not in first.stderr
    other = run(data, "--out", str(tmp_path / "run"), "--set", "head.dropout=0.5")
    assert "holds another run (config.head.dropout is 0.6 there, 0.5 here)" in str(other.exception)


def test_settings_reach_the_config(data: Path, tmp_path: Path) -> None:
    run(data, "--out", str(tmp_path / "run"), "--seed", "3", "--set", "head.dropout=0.25")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["steps"], config["head"]["dropout"]) == (2, 0.25)
    assert json.loads((tmp_path / "run" / "best.json").read_text())["seed"] == 3


def test_a_note_where_validation_is_not_what_it_should_be(data: Path, tmp_path: Path) -> None:
    few = [Entry(id=f"v{i}", path=f"v{i}", label=int(i == 5)) for i in range(6)]
    write_manifest(tmp_path / "few.jsonl", few)
    result = run(data, "--out", str(tmp_path / "run"), "--manifest", str(tmp_path / "few.jsonl"))
    assert "Note: no validation, so that best is last" in result.stderr
    assert "Note" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--seed", "1", "--seeds", "2"],
            "seed is for one run and seeds for several; give only one of them",
        ),
        (["--jobs", "2"], "jobs is for several seeds, got jobs 2 for one; give seeds too"),
        (["--set", "head.activate=gate"], "config key head.activate: unknown; available: hidden"),
        (["--set", "steps"], "must be KEY=VALUE"),
        (
            ["--config", "nothing.toml"],
            "unknown config 'nothing.toml'; give a file (.toml, .json) or one of clav-como",
        ),
        (["--device", "tpu"], "got 'tpu'"),
        (["--manifest", "nothing"], "no manifest 'nothing'; give a file (.jsonl) or a dataset: "),
        (["--manifest", "avenue"], "has no abnormal videos; training needs both labels"),
    ],
)
def test_wrong_options(data: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    result = run(data, "--out", str(tmp_path / "run"), *arguments)
    assert isinstance(result.exception, InputError | ManifestError)
    assert message in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_the_help_names_every_preset() -> None:
    text = help_without_spaces()
    assert f"{','.join(config_names())},ora.tomlor.jsonfile" in text


def test_a_manifest_of_other_videos(data: Path, tmp_path: Path) -> None:
    other = [Entry(id=f"w{i}", path=f"w{i}", label=i) for i in (0, 1)]
    write_manifest(tmp_path / "other.jsonl", other)
    result = run(data, "--out", str(tmp_path / "run"), "--manifest", str(tmp_path / "other.jsonl"))
    assert isinstance(result.exception, ManifestError)
    assert "video 'w0': in the manifest, but not in the pack (and 1 more)" in str(result.exception)


@pytest.mark.parametrize("missing", ["--pack", "--manifest", "--out"])
def test_what_has_to_be_said(missing: str) -> None:
    result = CliRunner().invoke(vad, ["train"])
    assert result.exit_code == 2
    result = CliRunner().invoke(vad, ["train", "--help"])
    assert missing in result.output
