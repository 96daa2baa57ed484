"""`vad extract` on folders of frames, from the command to the pack."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from vad_cli.main import vad

from vad_toolkit.backbones.store import get_weights
from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.features.pack import FeaturePack

SMALL = ("weights=i3d-rgb-random", "resize=64", "crop_size=64")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders of frames, of which the second lacks one, and random weights."""
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    get_weights("i3d-rgb-random")
    for name in ("01_0014", "01_0015"):
        folder = tmp_path / "testing" / "frames" / name
        folder.mkdir(parents=True)
        for index in range(17):
            pixels = np.full((64, 80, 3), 10 * index, np.uint8)
            Image.fromarray(pixels).save(folder / f"{index:03}.jpg")
    (folder / "007.jpg").unlink()
    return tmp_path / "testing"


def extract(*arguments: str | Path) -> Result:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    command = ["extract", *map(str, arguments), "--recipe", "i3d-rgb-center", *settings]
    return CliRunner().invoke(vad, command, catch_exceptions=False)


def test_folders_of_frames_become_a_pack(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    done = extract(root, "--out", out, "--json")
    assert done.exit_code == 1
    assert "failed: frames/01_0015: " in done.stderr
    assert "frame 7 is missing, between '006.jpg' and '008.jpg'" in done.stderr
    values = json.loads(done.stdout)
    assert (values["videos_extracted"], values["videos_failed"], values["frames"]) == (1, 1, 17)
    with FeaturePack.open(out) as pack:
        assert pack.ids == ("frames/01_0014",)
        assert (pack.meta("frames/01_0014").frames, pack.meta("frames/01_0014").fps) == (17, 0.0)
        digest = pack.digest("frames/01_0014")

    done = extract(root / "frames" / "01_0014", "--out", tmp_path / "b.h5")
    assert done.exit_code == 0
    with FeaturePack.open(tmp_path / "b.h5") as pack:
        assert (pack.ids, pack.dataset) == (("01_0014",), "01_0014")
        assert pack.digest("01_0014") == digest

    manifest = tmp_path / "test.jsonl"
    write_manifest(manifest, [Entry(id="testing/01_0014", path="frames/01_0014", label=0)])
    done = extract("--manifest", manifest, "--root", root, "--out", tmp_path / "c.h5")
    assert done.exit_code == 0
    with FeaturePack.open(tmp_path / "c.h5") as pack:
        assert pack.digest("testing/01_0014") == digest


def test_a_decoder_of_files_is_refused(root: Path, tmp_path: Path) -> None:
    folder = root / "frames" / "01_0014"
    done = extract(folder, "--decoder", "pyav", "--out", tmp_path / "a.h5")
    assert done.exit_code == 1
    assert "pyav reads no folder of frames; use the decoder auto" in done.stderr
