"""`vad manifest`: what is printed, where, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from vad_cli.main import vad

from vad_toolkit.datasets.manifest import Entry, read_manifest, write_manifest
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.video.encode import write_video

Run = Callable[..., tuple[int, str, str]]
FOLDER = ("manifest", "build", "folder")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `vad` in this process; gives exit code, stdout and stderr. Errors come through."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()  # what an earlier call that raised has left
        try:
            code = vad.main([str(a) for a in arguments], prog_name="vad", standalone_mode=False)
        except SystemExit as end:
            code = end.code
        output = capsys.readouterr()
        return int(code or 0), output.out, output.err

    return call


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of two videos with 6 frames each."""
    folder = tmp_path / "raw"
    first = folder / "fall" / "a.mp4"
    write_video(first, (np.full((32, 32, 3), 40 * i, np.uint8) for i in range(6)), fps=10)
    for path in ("fall/b.mp4", "normal/a.mp4", "normal/b.mp4"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(first.read_bytes())
    return folder


def test_build_folder(run: Run, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, stdout, stderr = run(
        "manifest", "build", "folder", "--root", root, "--out", out, "--trimmed"
    )
    assert code == 0
    assert [line.split()[1:4] for line in stdout.splitlines()[1:]] == [["2", "1", "1"]] * 2
    assert "measure: 4/4 videos" in stderr
    (abnormal,) = read_manifest(out / "test.jsonl").abnormal
    assert abnormal.events == ((0, 6),)
    with pytest.raises(InputError, match=r"dataset.toml already exists"):
        run(*FOLDER, "--root", root, "--out", out)


def test_build_folder_passes_its_options_on(run: Run, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--normal", "fall", "--test-fraction", 0, "--name", "mine", "--count", "--seed", 3)
    pattern = ("--source-pattern", "^(.*)$")
    code, _, _ = run(
        "manifest", "build", "folder", "--root", root, "--out", out, *options, *pattern
    )
    manifest = read_manifest(out / "train.jsonl")
    assert (code, manifest.dataset, len(manifest)) == (0, "mine", 4)
    assert {(e.id, e.label, e.frames, e.source) for e in manifest if e.id.startswith("fall")} == {
        (id, 0, 6, id) for id in ("fall/a", "fall/b")
    }


def test_build_folder_with_a_damaged_video_ends_with_1(
    run: Run, root: Path, tmp_path: Path
) -> None:
    (root / "fall" / "c.mp4").write_text("no video")
    out = tmp_path / "out"
    code, _, stderr = run(*FOLDER, "--root", root, "--out", out)
    assert code == 1
    assert "left out: video 'fall/c': " in stderr
    assert "the events of 1 abnormal test videos are not known" in stderr
    assert (out / "test.jsonl").is_file()


def test_build_csv(run: Run, root: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("path,label,split\nfall/a.mp4,1,test\nnormal/a.mp4,0,train\n")
    out = tmp_path / "out"
    code, _, _ = run("manifest", "build", "csv", table, "--root", root, "--out", out)
    assert (code, [e.id for e in read_manifest(out / "test.jsonl")]) == (0, ["fall/a"])
    table.write_text("path,label\nfall/a.mp4,yes\n")
    with pytest.raises(ManifestError, match=r"list.csv:2: label must be 0 .*, got 'yes'"):
        run("manifest", "build", "csv", table, "--root", root, "--out", tmp_path / "out2")


def test_info(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine" / "test.jsonl"
    fire = Entry(id="a", path="a", label=1, classes=("fire",), frames=9, events=((2, 20),))
    write_manifest(path, [fire, Entry(id="b", path="b", label=0)])
    code, stdout, _ = run("manifest", "info", path, "--json")
    values = json.loads(stdout)
    assert (code, values["dataset"], values["classes"]) == (0, "mine", {"fire": 1, "normal": 1})
    assert (values["frames"], values["abnormal_frames"]) == (9, 7)
    _, stdout, _ = run("manifest", "info", path)
    lines = dict(line.rsplit(maxsplit=1) for line in stdout.splitlines())
    assert (lines["abnormal frames"], lines["class fire"], lines["videos"]) == ("7", "1", "2")
    path.write_text("{}\n")
    with pytest.raises(ManifestError, match=r"test.jsonl:1: id is missing"):
        run("manifest", "info", path)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    path = tmp_path / "x.h5"
    meta = VideoMeta(6, 6, 0, 10.0, 32, 32, "0" * 64, "pyav", "1")
    features = VideoFeatures(meta, {"rgb": np.ones((1, 1, 4), np.float16)})
    write_pack(path, load_recipe("i3d-rgb-center"), [("fall/a", features)], dataset="x")
    return path


def test_check(run: Run, root: Path, pack: Path, tmp_path: Path) -> None:
    path = tmp_path / "m" / "test.jsonl"
    good = Entry(id="fall/a", path="fall/a.mp4", label=1, events=((0, 6),))
    write_manifest(path, [good])
    assert run("manifest", "check", path, "--root", root, "--pack", pack) == (
        0,
        "",
        "1 videos, 0 problems\n",
    )
    write_manifest(path, [good, Entry(id="x", path="x.mp4", label=0)])
    code, stdout, _ = run("manifest", "check", path, "--root", root, "--pack", pack)
    assert code == 1
    assert stdout.splitlines() == [
        f"{path}:2: video 'x': no file or folder of frames 'x.mp4' in {root}",
        "video 'x': in the manifest, but not in the pack",
    ]
    (root / "x.mp4").symlink_to("/etc/hostname")
    code, stdout, _ = run("manifest", "check", path, "--root", root)
    assert code == 1
    assert f"{path}:2: video 'x': path 'x.mp4' leads out of {root}, by a link to /etc" in stdout
    code, stdout, _ = run("manifest", "check", path, "--pack", pack, "--json")
    assert (code, len(json.loads(stdout)["problems"])) == (1, 1)


def test_check_asks_for_events_where_a_test_needs_them(
    run: Run, pack: Path, tmp_path: Path
) -> None:
    path = tmp_path / "m" / "train.jsonl"
    write_manifest(path, [Entry(id="fall/a", path="fall/a.mp4", label=1)])
    assert run("manifest", "check", path, "--pack", pack)[0] == 0
    code, stdout, _ = run("manifest", "check", path, "--pack", pack, "--for", "test")
    assert (code, stdout) == (1, "video 'fall/a': abnormal, and its events are not known\n")


def test_audit_prints_controls_and_confounds(run: Run) -> None:
    code, stdout, stderr = run("manifest", "audit", "shanghaitech")
    assert code == 0
    assert "length           0.9214  0.3617  0.6150        0.5350\n" in stdout
    assert "confound: abnormal videos are shorter: " in stdout
    assert stderr.startswith("length: learned from the test videos, ")


def test_audit_of_a_file_as_json(run: Run, tmp_path: Path) -> None:
    sides = {}
    for side, frames in (("train", 30), ("test", 50)):
        sides[side] = tmp_path / side / f"{side}.jsonl"
        entries = [
            Entry(id="a", path="a.mp4", label=0, frames=40),
            Entry(id="b", path="b.mp4", label=1, frames=frames, events=((0, 10),)),
        ]
        write_manifest(sides[side], entries)
    code, stdout, _ = run("manifest", "audit", sides["test"], "--train", sides["train"], "--json")
    controls = json.loads(stdout)["controls"]
    assert (code, controls["length_from_test"]) == (0, False)
    assert controls["length"] == {"shorter": True, "video_auc": 1.0, "videos": 2}


def test_audit_needs_events(run: Run) -> None:
    with pytest.raises(ManifestError, match=r"rule frames needs .*vad manifest build --count"):
        run("manifest", "audit", "avenue-weak")
