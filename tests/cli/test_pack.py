"""`vad pack info` and `vad pack verify`: output and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from vad_cli.pack import pack

from vad_toolkit.core.crops import crop_order
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.weights.catalogue import CATALOGUE


def write(path: Path, **changes: object) -> Path:
    """A pack of two videos, `fight/one` (3 snippets) and `two` (1 snippet)."""
    recipe = load_recipe("i3d-rgb-center", changes)

    def videos():  # type: ignore[no-untyped-def]
        for id, frames, decoder in (("fight/one", 40, "decord"), ("two", 7, "pyav")):
            meta = VideoMeta(frames, frames, 2, 25.0, 320, 240, "ab" * 32, decoder, "1.0")
            shape = (recipe.snippet_count(frames), 1, 8)
            yield id, VideoFeatures(meta, {"rgb": np.full(shape, frames, np.float16)})

    write_pack(path, recipe, videos(), dataset="made-up", license="CC0-1.0")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "p.h5")


@pytest.fixture
def damaged(file: Path) -> Path:
    with h5py.File(file, "r+") as opened:
        opened["videos/two/rgb"][0, 0, 0] = 8
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(pack, [str(argument) for argument in arguments])


def test_info(file: Path) -> None:
    result = run("info", file)
    assert result.exit_code == 0
    lines = {tuple(line.split(maxsplit=1)) for line in result.stdout.splitlines() if line.strip()}
    with FeaturePack.open(file) as opened:
        content, recipe = opened.content_sha256, opened.recipe_sha256
    assert lines >= {
        ("dataset", "made-up"),
        ("license", "CC0-1.0"),
        ("videos", "2"),
        ("snippets", "4"),
        ("frames", "47"),
        ("frames_duplicated", "4"),
        ("bytes", str(file.stat().st_size)),
        ("features", "rgb: 1 x 8"),
        ("decoders", "decord 1.0: 1, pyav 1.0: 1"),
        ("weights", "rgb: i3d-rgb-k400"),
        ("recipe_sha256", recipe),
        ("content_sha256", content),
        ("crops", "center"),
        ("h5py", h5py.__version__),
    }
    assert "fight/one" not in result.stdout


def test_info_lists_videos(file: Path) -> None:
    lines = run("info", file, "--videos").stdout.splitlines()
    assert lines[-2].split() == [
        "fight/one",
        "3",
        "40",
        "40",
        "2",
        "25.0000",
        "320x240",
        "decord",
        "-",
        *("rgb:", "3", "x", "1", "x", "8"),
    ]
    assert lines[-1].split()[:2] == ["two", "1"]


def test_info_as_json(file: Path) -> None:
    facts = json.loads(run("info", file, "--json").stdout)
    assert facts["snippets"] == 4
    assert facts["recipe"]["crop_order"] == ["center"]
    assert facts["crop_order"] is None  # one crop has no order
    assert "h5py" in facts["creator"]
    assert isinstance(facts["videos"], int)


def test_info_with_videos_as_json(file: Path) -> None:
    facts = json.loads(run("info", file, "--videos", "--json").stdout)
    assert facts["videos"] == 2
    assert [video["id"] for video in facts["video_list"]] == ["fight/one", "two"]
    assert [video["features"] for video in facts["video_list"]] == [
        {"rgb": [3, 1, 8]},
        {"rgb": [1, 1, 8]},
    ]


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    """A pack of published features: two streams, ten crops, and little known of the video."""
    recipe = ImportedRecipe(
        layout="per-crop",
        features="Inception-I3D, 1024-d",
        rule="xdviodet",
        crop_order=crop_order("deepmil", 10),
        streams=("rgb", "flow"),
    )
    meta = VideoMeta(40, 0, 0, 0.0, 0, 0, "ab" * 32, "import", "0.1.0")
    streams = {"rgb": np.ones((2, 10, 8), np.float16), "flow": np.ones((2, 10, 4), np.float16)}
    path = tmp_path / "imported.h5"
    write_pack(path, recipe, [("one", VideoFeatures(meta, streams))], dataset="made-up")
    return path


def test_info_of_imported_features(imported: Path) -> None:
    lines = run("info", imported, "--videos").stdout.splitlines()
    pairs = {tuple(line.split(maxsplit=1)) for line in lines if line.strip()}
    assert pairs >= {
        ("features", "rgb: 10 x 8, flow: 10 x 4"),
        ("crop_order", "deepmil"),
        ("weights", "-"),
        ("kind", "imported"),
        ("layout", "per-crop"),
        ("features", "Inception-I3D, 1024-d"),
        ("rule", "xdviodet"),
        ("spans", "step"),
    }
    video = "one 2 40 0 0 - - import - rgb: 2 x 10 x 8, flow: 2 x 10 x 4"
    assert " ".join(lines[-1].split()) == video


def test_info_of_imported_features_as_json(imported: Path) -> None:
    facts = json.loads(run("info", imported, "--videos", "--json").stdout)
    assert (facts["crop_order"], facts["weights"]) == ("deepmil", {})
    assert facts["recipe"]["rule"] == "xdviodet"
    (video,) = facts["video_list"]
    assert video["features"] == {"rgb": [2, 10, 8], "flow": [2, 10, 4]}
    assert (video["fps"], video["size"]) == (None, None)


def test_info_says_that_weights_are_random(tmp_path: Path) -> None:
    weights = {"rgb": CATALOGUE["i3d-rgb-random"].sha256}
    result = run("info", write(tmp_path / "p.h5", weights=weights))
    assert "rgb: i3d-rgb-random: RANDOM WEIGHTS, these are not features" in result.stdout


def test_info_names_weights_that_are_not_in_the_catalogue(tmp_path: Path) -> None:
    result = run("info", write(tmp_path / "p.h5", weights={"rgb": "cd" * 32}))
    assert f"rgb: sha256 {'cd' * 32}, not in the catalog" in result.stdout


def test_verify(file: Path) -> None:
    result = run("verify", file)
    assert result.exit_code == 0
    assert result.stdout == "2 videos, 4 snippets: all digests match\n"


def test_verify_as_json(file: Path) -> None:
    facts = json.loads(run("verify", file, "--json").stdout)
    assert (facts["videos"], facts["snippets"], facts["problems"]) == (2, 4, [])


def test_verify_finds_damage(damaged: Path) -> None:
    result = run("verify", damaged)
    assert result.exit_code == 1
    assert result.stdout.startswith("video 'two': rgb features are damaged: sha256 ")
    assert result.stdout.count("\n") == 1
    assert result.stderr == f"1 of 2 videos in {damaged} are damaged\n"


def test_verify_finds_damage_as_json(damaged: Path) -> None:
    result = run("verify", damaged, "--json")
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)["problems"]) == 1


def test_exit_codes(file: Path, vad) -> None:  # type: ignore[no-untyped-def]
    assert vad("pack", "verify", file).returncode == 0

    file.write_bytes(file.read_bytes()[:-500])
    done = vad("pack", "verify", file)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: {file} is truncated or damaged: ")
    assert done.stderr.count("\n") == 1

    assert vad("pack", "info", file.with_name("none.h5")).returncode == 2


def test_help_has_examples_and_imports_nothing_heavy() -> None:
    for command in pack.commands.values():
        assert "vad pack " in (command.help or "")
    script = (
        "import sys, vad_cli.pack;"
        "print(sorted({'h5py', 'numpy', 'torch', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
