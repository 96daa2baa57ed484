"""`vad gt` writes arrays by rule and lists the rules."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from vad_cli.main import vad

from vad_toolkit.core.crops import CENTER
from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.errors import ManifestError, PackError, VadError
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.imported import ImportedRecipe


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(vad, ["gt", *map(str, arguments)])


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A normal video of 40 frames, and one of 33 with an event."""
    path = tmp_path / "small" / "test.jsonl"
    write_manifest(
        path,
        [
            Entry(id="normal/a", path="a.mp4", label=0, frames=40),
            Entry(id="fight/b", path="b.mp4", label=1, frames=33, events=((10, 20),)),
        ],
    )
    return path


def write(path: Path, snippets: dict[str, int]) -> Path:
    """A pack of published features."""
    meta = VideoMeta(33, 33, 0, 25.0, 0, 0, "0" * 64, "none", "0")
    recipe = ImportedRecipe(layout="rtfm", rule="rtfm", crop_order=CENTER)
    videos = [
        (id, VideoFeatures(meta, {"rgb": np.ones((count, 1, 4), np.float16)}))
        for id, count in snippets.items()
    ]
    write_pack(path, recipe, videos, dataset="small")
    return path


def test_array_and_list_are_written(manifest: Path, tmp_path: Path) -> None:
    out, order = tmp_path / "gt.npy", tmp_path / "order.txt"
    done = run("export", manifest, "--rule", "rtfm", "--out", out, "--list", order)
    assert done.exit_code == 0
    labels = np.load(out, allow_pickle=False)
    assert (labels.dtype, len(labels)) == (np.float64, 96)
    assert np.flatnonzero(labels).tolist() == list(range(58, 69))
    pairs = dict(line.split() for line in done.stdout.splitlines())
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert pairs == {
        "videos": "2",
        "length": "96",
        "abnormal": "11",
        "dtype": "float64",
        "sha256": digest,
    }
    assert order.read_text() == "normal/a\t48\nfight/b\t48\n"


def test_json_and_a_rule_of_ones_own(manifest: Path, tmp_path: Path) -> None:
    rule, out = tmp_path / "mine.toml", tmp_path / "gt.npy"
    rule.write_text('rounding = "floor"\nsnippet_frames = 10\n')
    done = run("export", manifest, "--rule", rule, "--out", out, "--json")
    values = json.loads(done.stdout)
    assert (values["length"], values["abnormal"], values["dtype"]) == (70, 10, "uint8")
    assert (values["out"], values["list"]) == (str(out), None)


def test_a_shipped_dataset_by_name_and_side(tmp_path: Path) -> None:
    out = tmp_path / "gt.npy"
    done = run("export", "shanghaitech", "--rule", "tevad", "--out", out, "--json")
    assert json.loads(done.stdout)["length"] == 143_888
    # Frames of its normal training videos are not known.
    done = run("export", "shanghaitech", "--rule", "tevad", "--out", out, "--side", "train")
    assert isinstance(done.exception, ManifestError)


def test_nothing_is_overwritten(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "gt.npy"
    out.write_text("mine")
    done = run("export", manifest, "--rule", "rtfm", "--out", out)
    assert isinstance(done.exception, VadError)
    assert str(done.exception) == (
        f"{out} already exists; choose another --out (arrays are never overwritten)"
    )
    assert out.read_text() == "mine"


def test_a_pack_that_fits_and_one_that_does_not(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "gt.npy"
    fits = write(tmp_path / "fits.h5", {"normal/a": 3, "fight/b": 3})
    assert run("export", manifest, "--rule", "rtfm", "--pack", fits, "--out", out).exit_code == 0
    out.unlink()
    off = write(tmp_path / "off.h5", {"normal/a": 3, "fight/b": 2})
    done = run("export", manifest, "--rule", "rtfm", "--pack", off, "--out", out)
    assert isinstance(done.exception, ManifestError)
    assert str(done.exception).startswith(
        "video 'fight/b' has 48 labels by rule rtfm, but its 2 snippets of 16 frames in "
    )
    less = write(tmp_path / "less.h5", {"normal/a": 3})
    done = run("export", manifest, "--rule", "rtfm", "--pack", less, "--out", out)
    assert isinstance(done.exception, PackError)
    assert "has no video 'fight/b'" in str(done.exception)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("--rule", "none"), "unknown ground-truth rule 'none'"),
        (("--rule", "deepmil"), "rule deepmil needs container frames"),
    ],
)
def test_wrong_use_is_refused(
    manifest: Path, tmp_path: Path, arguments: tuple[str, ...], match: str
) -> None:
    done = run("export", manifest, *arguments, "--out", tmp_path / "gt.npy")
    assert isinstance(done.exception, VadError)
    assert match in str(done.exception)
    assert not (tmp_path / "gt.npy").exists()


def test_rules_are_listed_as_a_dataset_reads_them() -> None:
    lines = run("rules").stdout.splitlines()
    assert lines[0].split()[:4] == ["rule", "count", "offset", "rounding"]
    assert [line.split()[0] for line in lines[1:]] == [
        "frames",
        "deepmil",
        "rtfm",
        "vadclip",
        "xdviodet",
        "tevad",
    ]
    (rtfm,) = (line.split() for line in lines if line.startswith("rtfm"))
    assert rtfm[5] == "inclusive"
    rows = json.loads(run("rules", "--dataset", "shanghaitech", "--json").stdout)
    assert rows[2] == {
        "rule": "rtfm",
        "count": "decoded",
        "offset": 0,
        "rounding": "ceil",
        "snippet_frames": 16,
        "end": "exclusive",
        "tail": "repeat",
        "dtype": "float64",
    }
