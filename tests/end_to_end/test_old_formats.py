"""Files that an older version wrote still open, verify, evaluate and predict, and go on.

Every check goes through the command line, since modules move and files stay. What is expected was
written by the old version too; tests/data/v0.1.0/README.md says how.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from vad_cli.main import vad

DATA = Path(__file__).parents[1] / "data" / "v0.1.0"
PART = next(DATA.glob("unfinished/features.h5.parts/*.h5"))

EXACT = 1e-6  # threads and processors make 2.4e-7
# Features that are made again differ in the last bit of float16 where processors do, which makes
# 2.6e-6 in a score: 0 on the processor that made the files.
FROM_VIDEO = 1e-5
TRAINED = 1e-4  # after a training's last steps; frame scores lie further apart than that

IMPORTED = ("--pack", DATA / "imported.h5", "--manifest", DATA / "imported" / "test.jsonl")
VIDEOS = ("--pack", DATA / "features.h5", "--manifest", DATA / "manifests" / "test.jsonl")
EVALUATIONS: dict[str, tuple[object, ...]] = {
    "clav-como": (DATA / "runs" / "clav-como", *IMPORTED, "--bootstrap", 200),
    "sultani": (DATA / "runs" / "sultani", *IMPORTED, "--bootstrap", 0),
    "sultani-last": (DATA / "runs" / "sultani", "--which", "last", *IMPORTED, "--bootstrap", 0),
    "rtfm": (DATA / "runs" / "rtfm", *IMPORTED, "--bootstrap", 0),
    "ur-dmu": (DATA / "runs" / "ur-dmu", *IMPORTED, "--bootstrap", 0),
    "mgfn": (DATA / "runs" / "mgfn", *IMPORTED, "--bootstrap", 0),
    "videos": (DATA / "runs" / "videos", *VIDEOS, "--bootstrap", 200),
}
MANIFESTS = {
    "manifests/train": ("features", "videos"),
    "manifests/test": ("features", "videos"),
    "imported/train": ("imported", None),
    "imported/test": ("imported", None),
    "composed/train": ("composed/pack", None),
}
# What says where and with what a command was run, and not what came out.
INCIDENTAL = {"pack", "out", "file", "versions"}


def run(*arguments: object) -> Result:
    """Run `vad` and expect it to succeed."""
    result = CliRunner().invoke(vad, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def stored(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def check_same(old: Any, new: Any, tolerance: float, where: str = "") -> None:
    """Compare JSON values: all that was there is there, numbers within `tolerance`."""
    if isinstance(old, dict):
        for key in old.keys() - INCIDENTAL:
            assert key in new, f"{where}.{key} is gone"
            check_same(old[key], new[key], tolerance, f"{where}.{key}")
    elif isinstance(old, list):
        assert len(old) == len(new), where
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            check_same(one, other, tolerance, f"{where}[{number}]")
    elif isinstance(old, float):
        assert new == pytest.approx(old, abs=tolerance, rel=0), where
    else:
        assert new == old, where


def check_scores(name: str, folder: Path, tolerance: float) -> None:
    """Compare the frame scores that an evaluation wrote with those of the old version."""
    with np.load(DATA / "evaluations" / "scores.npz") as archive:
        old = {key: archive[key] for key in archive.files if key.startswith(f"{name}/")}
    new = {
        f"{name}/{path.relative_to(folder).with_suffix('').as_posix()}".replace("/scores/", "/"):
        np.load(path)
        for path in folder.rglob("*.npy")
    }  # fmt: skip
    assert old.keys() == new.keys() != set()
    for key, scores in old.items():
        np.testing.assert_allclose(new[key], scores, rtol=0, atol=tolerance, err_msg=key)


def copy_run(run_folder: Path, to: Path) -> None:
    """Copy a run and make it one of these versions: a run is gone on with by those it began with.

    Whether another version may go on is for that version to say; here its files are to be read.
    """
    shutil.copytree(run_folder, to)
    description = json.loads((to / "run.json").read_text(encoding="utf-8"))
    version = run("--version").stdout.split()[-1]
    description["versions"] = {"vad-toolkit": version, "torch": torch.__version__}
    (to / "run.json").write_text(json.dumps(description), encoding="utf-8")


def train(out: Path, seed: int, pack: str, manifest: str) -> None:
    """Give the command that a run was begun with, the config being the one that it keeps."""
    config = ("--config", out / "config.json", "--seed", seed, "--device", "cpu", "--threads", 1)
    run("train", "--pack", DATA / pack, "--manifest", DATA / manifest, *config, "--out", out)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make the random weights that the features of the videos were made with, in a fresh cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAD_HOME", str(tmp_path_factory.mktemp("home")))
        run("weights", "get", "i3d-rgb-random")
        yield


@pytest.mark.parametrize("name", ["features", "imported", "composed/pack"])
def test_packs_are_whole_and_say_the_same(name: str) -> None:
    old = stored(f"facts/{name.replace('/', '-')}.json")
    verified = json.loads(run("pack", "verify", DATA / f"{name}.h5", "--json").stdout)
    assert verified["problems"] == []
    assert verified["content_sha256"] == old["content_sha256"]
    info = json.loads(run("pack", "info", DATA / f"{name}.h5", "--videos", "--json").stdout)
    del old["weights"]  # in words; their digests stand in the recipe
    check_same(old, info, 0.0)


def test_a_part_of_an_unfinished_pack_is_a_pack() -> None:
    assert json.loads(run("pack", "verify", PART, "--json").stdout)["problems"] == []


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_fit_their_packs_and_say_the_same(name: str) -> None:
    pack, root = MANIFESTS[name]
    where = () if root is None else ("--root", DATA / root)
    run("manifest", "check", DATA / f"{name}.jsonl", "--pack", DATA / f"{pack}.h5", *where)
    info = json.loads(run("manifest", "info", DATA / f"{name}.jsonl", "--json").stdout)
    check_same(stored(f"facts/{name.replace('/', '-')}-manifest.json"), info, 0.0)


@pytest.mark.parametrize("name", EVALUATIONS)
def test_runs_evaluate_to_the_same(name: str, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    options = ("--no-plots", "--device", "cpu", "--out", out, "--json")
    evaluation = json.loads(run("eval", *EVALUATIONS[name], *options).stdout)
    check_same(stored(f"evaluations/{name}.json"), evaluation, EXACT)
    check_scores(name, out, EXACT)


@pytest.mark.usefixtures("weights")
def test_a_run_predicts_the_same(tmp_path: Path) -> None:
    video, out = DATA / "videos" / "abnormal" / "a3.mp4", tmp_path / "prediction"
    options = ("--threshold", 0.3, "--no-plots", "--device", "cpu")
    run("predict", DATA / "runs" / "videos", video, "--out", out, *options)
    with (DATA / "prediction" / "a3.csv").open() as old, (out / "a3.csv").open() as new:
        before, after = list(csv.DictReader(old)), list(csv.DictReader(new))
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert (other["frame"], other["seconds"]) == (one["frame"], one["seconds"])
        assert float(other["score"]) == pytest.approx(float(one["score"]), abs=FROM_VIDEO, rel=0)
    old_report, report = stored("prediction/a3.json"), json.loads((out / "a3.json").read_text())
    del old_report["video"], old_report["decoder"]  # its path, and PyAV's version
    check_same(old_report, report, FROM_VIDEO)


@pytest.mark.usefixtures("weights")
def test_an_extraction_goes_on_with_the_parts_that_are_there(tmp_path: Path) -> None:
    out = tmp_path / "features.h5"
    shutil.copytree(PART.parent, parts := tmp_path / "features.h5.parts")
    manifests = [f"--manifest={DATA / 'manifests' / side}.jsonl" for side in ("train", "test")]
    options = ("--root", DATA / "videos", "--recipe", "i3d-rgb-center", "--device", "cpu", "--json")
    settings = (
        "weights=i3d-rgb-random",
        "resize=64",
        "crop_size=64",
        "resize_method=bilinear-pillow",
    )
    changes = [f"--set={setting}" for setting in settings]
    summary = json.loads(run("extract", *manifests, *options, *changes, "--out", out).stdout)
    assert (summary["videos_reused"], summary["videos_extracted"]) == (1, 5)
    assert not parts.exists()
    run("pack", "verify", out)
    run("pack", "compare", out, DATA / "features.h5", "--tolerance", "0.9999")


def test_a_training_goes_on_from_its_state(tmp_path: Path) -> None:
    out = tmp_path / "run"
    copy_run(DATA / "unfinished" / "run", out)
    log = out / "log.jsonl"
    first, rest = log.read_bytes().split(b"\n", 1)
    marked = first.replace(b'"loss": 0', b'"loss": 9', 1)  # stays where the log is not begun anew
    assert marked != first
    log.write_bytes(marked + b"\n" + rest)
    train(out, 0, "imported.h5", "imported/train.jsonl")
    assert not (out / "state.safetensors").exists()
    lines = log.read_bytes().splitlines()
    assert lines[0] == marked
    old = (DATA / "evaluations" / "unfinished-log.jsonl").read_bytes().splitlines()
    for before, after in zip(old[1:], lines[1:], strict=True):
        check_same(json.loads(before), json.loads(after), TRAINED)
    evaluation = tmp_path / "evaluation"
    options = ("--no-plots", "--device", "cpu", "--bootstrap", 0, "--out", evaluation, "--json")
    result = json.loads(run("eval", out, *IMPORTED, *options).stdout)
    (one,), (other,) = stored("evaluations/unfinished.json")["runs"], result["runs"]
    check_same(one["metrics"], other["metrics"], TRAINED)
    check_scores("unfinished", evaluation, TRAINED)


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("clav-como/seed-0", 0),
        ("clav-como/seed-1", 1),
        ("sultani", 4),
        ("rtfm", 0),
        ("ur-dmu", 0),
        ("mgfn", 1),
        ("videos", 2),
    ],
)
def test_finished_runs_are_known_and_kept(name: str, seed: int, tmp_path: Path) -> None:
    out = tmp_path / "run"
    copy_run(DATA / "runs" / name, out)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()}
    if name == "videos":
        train(out, seed, "features.h5", "manifests/train.jsonl")
    else:
        train(out, seed, "imported.h5", "imported/train.jsonl")
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()}
    assert after == before
