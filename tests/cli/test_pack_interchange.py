"""`vad pack import`, `export` and `compare`: output and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from vad_cli.pack import pack
from vad_cli.pack_interchange import LAYOUT_NAMES

from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.published import Rtfm
from vad_toolkit.interchange.layouts.registry import LAYOUTS, register_layout
from vad_toolkit.packs.pack import FeaturePack


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "test.jsonl"
    write_manifest(
        path,
        [
            Entry(id="a/one", path="one.mp4", label=1, frames=48, events=((3, 20),)),
            Entry(id="a/two", path="two.mp4", label=0, frames=20, events=()),
        ],
    )
    return path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    root.mkdir()
    rng = np.random.default_rng(0)
    for name, snippets in (("one", 3), ("two", 3)):  # two has one too many
        np.save(root / f"{name}_i3d.npy", rng.random((snippets, 10, 8), np.float32))
    (root / "gt.npy").write_bytes(b"no features")
    return root


def run(*arguments: object) -> Result:
    return CliRunner().invoke(pack, [str(argument) for argument in arguments])


@pytest.fixture
def imported(files: Path, manifest: Path, tmp_path: Path) -> Path:
    out = tmp_path / "p.h5"
    result = run("import", files, "--layout", "rtfm", "--manifest", manifest, "--out", out)
    assert result.exit_code == 0, result.output
    return out


def test_the_help_names_all_built_in_layouts() -> None:
    assert tuple(name for name in LAYOUTS if LAYOUTS.plugin_of(name) is None) == LAYOUT_NAMES
    shown = "".join(run("export", "--help").stdout.split())  # wrapped, also at hyphens
    assert "rtfm,per-crop,ten-first,video-featuresorsultani" in shown


def test_an_unknown_layout(files: Path, manifest: Path, tmp_path: Path) -> None:
    out = ("--manifest", manifest, "--out", tmp_path / "p.h5")
    result = run("import", files, "--layout", "other", *out)
    assert "unknown layout 'other'; available: rtfm, per-crop" in str(result.exception)


def test_a_layout_of_a_plugin(files: Path, manifest: Path, tmp_path: Path) -> None:
    class Flat(Rtfm):
        def file_names(self, video: str, stream: str, crops: int) -> list[str]:
            return [f"{video}.npy"]

    try:
        register_layout("test-flat", Flat)
        out = tmp_path / "p.h5"
        options = ("--layout", "test-flat", "--manifest", manifest)
        assert run("import", files, *options, "--out", out).exit_code == 0
        result = run("export", out, *options, "--side", "train", "--out", tmp_path / "out")
        assert result.exit_code == 0
        assert sorted(path.name for path in (tmp_path / "out/rgb").iterdir()) == [
            "one.npy",
            "two.npy",
        ]
    finally:
        LAYOUTS._items.pop("test-flat", None)


def test_import(files: Path, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.h5"
    result = run("import", files, "--layout", "rtfm", "--manifest", manifest, "--out", out)
    assert result.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["crops"] == "10, torchvision"
    assert (lines["videos"], lines["snippets"], lines["rule"]) == ("2", "6", "rtfm")
    assert (lines["extra_files"], lines["other_snippet_count"], lines["missing"]) == ("1", "1", "0")
    assert float(lines["float16_largest_error"]) == pytest.approx(2**-12, rel=0.2)
    assert f"extra file, not used: {files}/gt.npy\n" in result.stderr
    assert "snippets: a/two: the files have 3, rule rtfm gives 2\n" in result.stderr


def test_import_as_json(files: Path, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.h5"
    result = run(
        "import", "--rgb", files, "--flow", files, "--layout", "rtfm", "--manifest", manifest,
        "--out", out, "--crop-order", "mmaction2", "--rule", "frames", "--features", "I3D, made up",
        "--license", "CC0-1.0", "--json",
    )  # fmt: skip
    facts = json.loads(result.stdout)
    assert facts["streams"] == {"rgb": 8, "flow": 8}
    assert facts["crops"][:2] == ["top-left", "top-left mirrored"]
    assert facts["other_snippet_count"] == [{"by_rule": 2, "id": "a/two", "there": 3}]
    assert facts["missing"] == []
    with FeaturePack.open(out) as opened:
        assert opened.recipe.features == "I3D, made up"
        assert opened.license == "CC0-1.0"


def test_import_with_a_list_and_a_shipped_manifest(files: Path, tmp_path: Path) -> None:
    (files / "one_i3d.npy").rename(files / "Abuse028_x264_i3d.npy")
    (tmp_path / "l.list").write_text("G:\\old\\Abuse028_x264_i3d.npy\n")
    result = run(
        "import", files, "--layout", "rtfm", "--manifest", "ucf-crime", "--side", "all",
        "--list", tmp_path / "l.list", "--allow-missing", "--out", tmp_path / "p.h5", "--json",
    )  # fmt: skip
    facts = json.loads(result.stdout)
    assert (facts["videos"], len(facts["missing"])) == (1, 1899)
    assert facts["other_snippet_count"][0]["by_rule"] == 89


def test_missing_videos_end_the_import(files: Path, manifest: Path, tmp_path: Path) -> None:
    (files / "two_i3d.npy").unlink()
    arguments = ("import", files, "--layout", "rtfm", "--manifest", manifest, "--out")
    result = run(*arguments, tmp_path / "p.h5")
    assert "1 of the 2 videos of" in str(result.exception)
    result = run(*arguments, tmp_path / "p.h5", "--allow-missing")
    assert result.exit_code == 0
    assert "missing: a/two\n" in result.stderr


def test_import_without_files(manifest: Path, tmp_path: Path) -> None:
    options = ("--layout", "rtfm", "--manifest", manifest, "--out", tmp_path / "p.h5")
    result = run("import", *options)
    assert result.exit_code == 2
    assert "no feature files given; give INPUT, or --rgb, --flow or both" in result.stderr
    result = run("import", tmp_path, "--rgb", tmp_path, *options)
    assert result.exit_code == 2
    assert "INPUT and --rgb mean the same; give only one of them" in result.stderr


def test_export(imported: Path, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(
        "export", imported, "--layout", "per-crop", "--out", out, "--manifest", manifest,
        "--path-prefix", "/data",
    )  # fmt: skip
    assert result.exit_code == 1  # labels do not fit: video two has a snippet too many
    assert "a/two: 32 labels by rule rtfm, but its 3 snippets need 48\n" in result.stderr
    assert "test-rgb.list  20     10" in result.stdout
    assert "crops                   10, deepmil" in result.stdout
    assert (out / "test-rgb.list").read_text().startswith("/data/rgb/one__0.npy\n")
    assert len(list((out / "rgb").iterdir())) == 20


def test_export_of_a_training_side_as_json(imported: Path, manifest: Path, tmp_path: Path) -> None:
    result = run(
        "export", imported, "--layout", "rtfm", "--out", tmp_path / "out", "--json",
        "--manifest", manifest, "--side", "train",
    )  # fmt: skip
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert facts["lists"] == [{"abnormal": 1, "file": "train-rgb.list", "lines": 2}]
    assert (facts["problems"], facts["feature_files"]) == ([], 2)


def test_export_without_lists(imported: Path, tmp_path: Path) -> None:
    result = run("export", imported, "--layout", "ten-first", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rgb"]


def test_a_file_has_to_be_of_one_side(imported: Path, manifest: Path, tmp_path: Path) -> None:
    other = manifest.rename(tmp_path / "mine.jsonl")
    options = ("--layout", "rtfm", "--out", tmp_path / "out", "--manifest", other)
    result = run("export", imported, *options)
    assert isinstance(result.exception, InputError)
    assert "mine.jsonl is not known; give --side: train" in str(result.exception)
    assert run("export", imported, *options, "--side", "train").exit_code == 0


def test_compare(imported: Path, files: Path) -> None:
    result = run("compare", imported, files)
    assert isinstance(result.exception, InputError)  # gt.npy is not an array
    (files / "gt.npy").unlink()
    result = run("compare", imported, files)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 11
    assert result.stdout.splitlines()[1].split()[:4] == ["rgb", "top-left", "6", "1.0000"]
    listed = run("compare", imported, files, "--videos")
    assert len(listed.stdout.splitlines()) == 21


def test_compare_finds_another_order(imported: Path, files: Path, tmp_path: Path) -> None:
    (files / "gt.npy").unlink()
    for path in files.iterdir():
        np.save(path, np.load(path)[:, [0, 1, 4, 2, 3, 5, 6, 9, 7, 8]])
    result = run("compare", imported, files, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["problems"] == ["B's crops are in the order gowtham, A's in torchvision"]
    assert told["crops"][0]["place_in_b"] == [0, 1, 3, 4, 2, 5, 6, 8, 9, 7]
    assert len(told["videos"]) == 20
    assert told["summary"][0]["cosine_lowest"] == pytest.approx(1, abs=1e-5)


def test_compare_with_a_tolerance(imported: Path, files: Path) -> None:
    (files / "gt.npy").unlink()
    rng = np.random.default_rng(1)
    for path in files.iterdir():
        array = np.load(path)
        np.save(path, array + rng.random(array.shape, np.float32) / 20)
    result = run("compare", imported, files, "--tolerance", "0.9999999")
    assert result.exit_code == 1
    assert "cosine: the lowest is 0.9" in result.stderr
    assert run("compare", imported, files, "--tolerance", "0.9").exit_code == 0
