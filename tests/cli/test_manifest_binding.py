"""`vad manifest build BENCHMARK` and `shared`: what is told, written and refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from vad_cli.main import vad

from vad_toolkit.datasets.dataset_info import read_dataset_info, write_dataset_info
from vad_toolkit.datasets.manifest import Entry, read_manifest, write_manifest
from vad_toolkit.datasets.registry import DATASETS
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.video.encode import write_video

Build = Callable[..., tuple[int, str, str]]


@pytest.fixture
def build(capsys: pytest.CaptureFixture[str]) -> Build:
    """Run `vad manifest build` in this process; gives exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()  # what an earlier call that raised has left
        try:
            words = ["manifest", "build", *map(str, arguments)]
            code = vad.main(words, prog_name="vad", standalone_mode=False)
        except SystemExit as end:
            code = end.code
        output = capsys.readouterr()
        return int(code or 0), output.out, output.err

    return call


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Manifests of three videos of 6 frames, as somebody shared them."""
    folder = tmp_path / "theirs"
    write_dataset_info(
        folder / "dataset.toml", read_dataset_info(DATASETS["ucf-crime"] / "dataset.toml")
    )
    sides = {
        "train.jsonl": [Entry(id="a", path="a.mp4", label=0, frames=6)],
        "test.jsonl": [
            Entry(id="b", path="b.mp4", label=1, frames=6, events=((1, 3),)),
            Entry(id="c", path="c.mp4", label=0, frames=6),
        ],
    }
    for name, entries in sides.items():
        write_manifest(folder / name, entries)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    first = folder / "a.mp4"
    write_video(first, (np.full((32, 32, 3), 40 * i, np.uint8) for i in range(6)), fps=10)
    for name in ("b.mp4", "c.mp4"):
        shutil.copy(first, folder / name)
    return folder


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_of_other_videos(name: str, build: Build, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=rf"none of the \d+ videos of {name} is usable; check"):
        build(name, "--root", root, "--out", tmp_path / "out", "--allow-missing")
    assert not (tmp_path / "out").exists()


def test_the_real_clips(build: Build, reference: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    for name in ("fight/fi001", "noFight/nofi001", "fight/fi026"):
        (clips / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(reference / "cctv_fights" / f"{name}.mp4", clips / f"{name}.mp4")
    command = ("cctv-fights", "--root", clips, "--out", tmp_path / "out")
    with pytest.raises(ManifestError, match="146 of the 149 videos of cctv-fights are missing"):
        build(*command)
    assert not (tmp_path / "out").exists()
    code, stdout, stderr = build(*command, "--allow-missing")
    assert code == 0
    assert stderr.count("missing: ") == 146
    assert "149 videos: 3 found (0 renamed), 146 missing, " in stderr
    assert "cannot be compared with results on the whole cctv-fights" in stderr
    assert "measure: 3/3 videos" in stderr
    assert len(stdout.splitlines()) == 3
    notes = read_dataset_info(tmp_path / "out" / "dataset.toml").notes
    assert "Part of cctv-fights: 2 of 100 train videos" in notes
    with pytest.raises(InputError, match=r"dataset.toml already exists; choose"):
        build(*command, "--allow-missing")


def test_shared_manifests(build: Build, theirs: Path, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, stdout, _ = build("shared", theirs, "--root", root, "--out", out, "--count")
    assert (code, len(stdout.splitlines())) == (0, 3)
    b, c = read_manifest(out / "test.jsonl")
    assert (b.events, b.fps, c.container_frames) == (((1, 3),), 10.0, 6)
    assert read_dataset_info(out / "dataset.toml") == read_dataset_info(
        DATASETS["ucf-crime"] / "dataset.toml"
    )
    (theirs / "test.jsonl").unlink()
    with pytest.raises(ManifestError, match=r"test.jsonl: cannot be read"):
        build("shared", theirs, "--root", root, "--out", tmp_path / "other")


def test_masks_give_events(build: Build, theirs: Path, root: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    np.save(masks / "b.npy", np.array([0, 0, 1, 1, 0, 1], np.uint8))
    command = ("shared", theirs, "--root", root, "--masks", masks)
    code, _, stderr = build(*command, "--out", tmp_path / "out")
    assert code == 0
    assert "masks: 1/1 videos" in stderr
    assert read_manifest(tmp_path / "out" / "test.jsonl").by_id["b"].events == ((2, 4), (5, 6))
    np.save(masks / "b.npy", np.ones(9, np.uint8))
    with pytest.raises(
        ManifestError, match="video 'b': the mask has 9 frames, but the video has 6"
    ):
        build(*command, "--out", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"id":"b","path":"../b.mp4","label":0}',
            r"test.jsonl:2: id 'b': field path: '../b.mp4' must",
        ),
        (
            '{"id":"b","path":"/etc/b.mp4","label":0}',
            r"test.jsonl:2: id 'b': field path: '/etc/b.mp4'",
        ),
        ('{"id":"c","path":"c.mp4","label":0}', r"test.jsonl:2: id 'c' is already in line 1"),
        ('{"id":"b","path":"b.mp4","label":"0"}', r"test.jsonl:2: id 'b': field label: must be 0"),
        ('{"id":"b","label":0}', r"test.jsonl:2: id 'b': path is missing; id, path and label are"),
    ],
)
def test_bad_lines(
    build: Build, theirs: Path, root: Path, tmp_path: Path, line: str, message: str
) -> None:
    (theirs / "test.jsonl").write_text(f'{{"id":"c","path":"c.mp4","label":0}}\n{line}\n')
    with pytest.raises(ManifestError, match=message) as caught:
        build("shared", theirs, "--root", root, "--out", tmp_path / "out")
    assert (caught.value.exit_code, "\n" in str(caught.value)) == (1, False)


def test_links_that_leave_the_root(build: Build, theirs: Path, root: Path, tmp_path: Path) -> None:
    (root / "c.mp4").rename(tmp_path / "c.mp4")
    (root / "c.mp4").symlink_to(tmp_path / "c.mp4")
    with pytest.raises(ManifestError, match=r"video 'c': 'c.mp4' leads out of .*raw, by a link to"):
        build("shared", theirs, "--root", root, "--out", tmp_path / "out")
    extract = ["extract", "--manifest", theirs / "test.jsonl", "--root", root, "--out", "x.h5"]
    with pytest.raises(ManifestError, match=r"test.jsonl:2: id 'c': path 'c.mp4' leads out of"):
        vad.main([str(word) for word in extract], prog_name="vad", standalone_mode=False)
