"""`vad compose`: output, files and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
from vad_cli.main import vad

from vad_toolkit.datasets.manifest import Entry, read_manifest, write_manifest
from vad_toolkit.errors import InputError
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import load_recipe

Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `vad compose` in this process; gives stdout and stderr. Errors come through."""

    def call(*arguments: object) -> tuple[str, str]:
        vad.main(["compose", *(str(a) for a in arguments)], prog_name="vad", standalone_mode=False)
        output = capsys.readouterr()
        return output.out, output.err

    return call


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[object, ...]:
    """The options that name a pack and two manifests of clips."""
    meta = VideoMeta(20, 20, 0, 25.0, 32, 32, "0" * 64, "pyav", "1")
    features = VideoFeatures(meta, {"rgb": np.ones((2, 1, 4), np.float16)})
    sides = {
        side: [
            Entry(
                id=f"{side}{i}",
                path=f"{side}{i}",
                label=1 if i % 3 == 0 else 0,
                source=f"{side}{i // 3}",
            )
            for i in range(30)
        ]
        for side in ("train", "test")
    }
    ids = [entry.id for entries in sides.values() for entry in entries]
    recipe = load_recipe("i3d-rgb-center")
    write_pack(tmp_path / "x.h5", recipe, ((id, features) for id in ids), dataset="x")
    for side, entries in sides.items():
        write_manifest(tmp_path / f"{side}.jsonl", entries)
    manifests = ("--manifest", tmp_path / "train.jsonl", "--manifest", tmp_path / "test.jsonl")
    return ("--pack", tmp_path / "x.h5", *manifests)


def test_both_sides_are_composed(run: Run, inputs: tuple[object, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--clips", "2-4", "--normal-videos", 6, "--abnormal-videos", 5, "--seed", 2)
    stdout, stderr = run(*inputs, "--out", out, *options, "--validation-fraction", 0)
    header, train, test = (line.split() for line in stdout.splitlines())
    assert header == ["manifest", "normal", "abnormal", "frames", "abnormal_frames"]
    assert (train[1:3], test[1:3]) == (["6", "5"], ["6", "5"])
    assert "compose: 22/22 videos" in stderr
    assert len(read_manifest(out / "train.jsonl")) == 11
    parameters = json.loads((out / "compose.json").read_text())["parameters"]
    assert (parameters["clips"], parameters["seed"]) == ([2, 4], 2)


def test_json_and_mode_source(run: Run, inputs: tuple[object, ...], tmp_path: Path) -> None:
    stdout, _ = run(*inputs, "--out", tmp_path / "out", "--mode", "source", "--json")
    values = json.loads(stdout)
    assert values["sides"]["test"]["normal"] == values["sides"]["test"]["abnormal"] == 10
    assert values["notes"] == []


def test_notes_go_to_stderr(run: Run, inputs: tuple[object, ...], tmp_path: Path) -> None:
    _, stderr = run(*inputs, "--out", tmp_path / "out", "--abnormal-videos", 2)
    assert "clips are not used: there are too few videos" in stderr


def test_wrong_options(run: Run, inputs: tuple[object, ...], tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    with pytest.raises(InputError, match="--clips must be MIN-MAX, as in 5-9, got '3 to 5'"):
        run(*inputs, *out, "--clips", "3 to 5")
    with pytest.raises(InputError, match="clips must be MIN-MAX with 2 <= MIN <= MAX, got 9-5"):
        run(*inputs, *out, "--clips", "9-5")
    with pytest.raises(InputError, match="normal-videos is for mode mixed only"):
        run(*inputs, *out, "--mode", "source", "--normal-videos", 3)
    with pytest.raises(click.UsageError, match=r"give one .* or two"):
        run(*inputs, *out, "--manifest", tmp_path / "train.jsonl")
    assert not (tmp_path / "out").exists()
