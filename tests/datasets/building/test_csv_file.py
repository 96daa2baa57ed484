"""A CSV file as a dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vad_toolkit.datasets.building.csv_file import build_csv_manifest
from vad_toolkit.errors import ManifestError

MakeVideos = Callable[..., Path]


@pytest.fixture
def root(make_videos: MakeVideos) -> Path:
    return make_videos("a.mp4", "sub dir/b.mp4", "c.mp4", "d.mp4")


def write(root: Path, header: str, *rows: str) -> Path:
    path = root.parent / "my list.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def test_all_columns(root: Path) -> None:
    file = write(
        root,
        "path,label,id,split,classes,events,source",
        "a.mp4,1,first,test,fall;fire,6-8; 0-3 ,s",
        f"{root.absolute()}/sub dir/b.mp4,0,,train,,,",
        "./c.mp4,1,,train,,,t",
    )
    built = build_csv_manifest(file, root)
    (a,) = built.test
    b, c = built.train
    assert (a.id, a.path, a.classes, a.source) == ("first", "a.mp4", ("fall", "fire"), "s")
    assert (a.events, a.container_frames) == (((0, 3), (6, 8)), 8)
    assert (b.id, b.path, b.label, b.events, b.source) == (
        "sub dir/b",
        "sub dir/b.mp4",
        0,
        None,
        None,
    )
    assert (c.id, c.classes, c.events) == ("c", (), None)
    assert built.info.name == "my list"


def test_without_a_split_column_the_rule_splits(root: Path) -> None:
    file = write(root, "label,path", "1,a.mp4", "0,sub dir/b.mp4", "1,c.mp4", "0,d.mp4")
    built = build_csv_manifest(file, root, count=True, name="mine")
    assert (len(built.train), len(built.test), built.info.name) == (2, 2, "mine")
    assert {e.frames for e in (*built.train, *built.test)} == {8}
    whole = build_csv_manifest(file, root, test_fraction=0)
    assert (len(whole.train), whole.test) == (4, ())


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("path", "a.mp4", r"csv:1: column label is missing; required: path, label"),
        (
            "path,label,clas",
            "a.mp4,1,x",
            r"unknown column 'clas'; allowed, separated by commas: path, label, id",
        ),
        ("path,label", "a.mp4,normal", r"csv:3: label must be 0 \(normal\) or 1 .*, got 'normal'"),
        ("path,label", "x.mp4,1", r"csv:3: no file or folder of frames 'x.mp4' in .*raw"),
        ("path,label", "../a.mp4,1", r"csv:3: .*must be a relative path"),
        ("path,label", "/etc/a.mp4,1", r"csv:3: path '/etc/a.mp4' is not inside .*raw"),
        ("path,label", "d.mp4,1", r"csv:3: id 'd' is already in .*csv:2;"),
        ("path,label,id", "a.mp4,1,x//y", r"csv:3: id 'x//y': field id: 'x//y' must be a relative"),
        ("path,label,id", "a.mp4,1,d/e", r"id 'd' is a video and also the folder of 'd/e'"),
        ("path,label,split", "a.mp4,1,val", r"csv:3: split must be train or test, got 'val'"),
        ("path,label,split", "a.mp4,1,test", r"csv:2: split is empty; give it in every row, or in"),
        ("path,label,events", "a.mp4,1,4", r"csv:3: events must look like 10-40;80-95 .*, got '4'"),
        (
            "path,label,events",
            "a.mp4,1,9-4",
            r"csv:3: id 'a': field events: \[9, 4\) must start before it stops",
        ),
        (
            "path,label,events",
            "a.mp4,1,1-4;3-6",
            r"csv:3: id 'a': field events: \[3, 6\) must not begin before the event",
        ),
        ("path,label,events", "a.mp4,0,1-4", r"csv:3: id 'a': events: a video with label 0 must"),
        ("path,label,classes", "a.mp4,0,fall", r"csv:3: id 'a': classes: a video with label 0"),
    ],
)
def test_a_wrong_row_is_named(root: Path, header: str, row: str, message: str) -> None:
    first = "d.mp4,0" + "," * (header.count(",") - 1) if "label" in header else "d.mp4"
    with pytest.raises(ManifestError, match=message):
        build_csv_manifest(write(root, header, first, row), root)


def test_a_source_may_not_be_divided(root: Path) -> None:
    file = write(root, "path,label,split,source", "a.mp4,1,train,s", "c.mp4,0,test,s")
    with pytest.raises(ManifestError, match="source 's' is in both train and test"):
        build_csv_manifest(file, root)


def test_an_empty_file(root: Path) -> None:
    with pytest.raises(ManifestError, match="no videos; one row per video is needed"):
        build_csv_manifest(write(root, "path,label"), root)


def test_a_damaged_video_is_left_out_and_named(root: Path) -> None:
    (root / "bad.mp4").write_text("no video")
    file = write(root, "path,label", "a.mp4,1", "bad.mp4,0", "d.mp4,0")
    built = build_csv_manifest(file, root, test_fraction=0)
    assert [e.id for e in built.train] == ["a", "d"]
    assert [line.partition(":")[0] for line in built.failures] == ["video 'bad'"]


def test_a_folder_of_frames_is_a_row_too(root: Path, make_frames: MakeVideos) -> None:
    make_frames("frames/01.02", "frames/03")
    rows = ("frames/01.02,1", f"{root.absolute()}/frames/03,0", "a.mp4,0")
    built = build_csv_manifest(write(root, "path,label", *rows), root, test_fraction=0)
    assert [(e.id, e.path, e.container_frames, e.fps) for e in built.train] == [
        ("frames/01.02", "frames/01.02", 8, None),
        ("frames/03", "frames/03", 8, None),
        ("a", "a.mp4", 8, 10.0),
    ]
    with pytest.raises(ManifestError, match="csv:2: no file or folder of frames 'frames' in"):
        build_csv_manifest(write(root, "path,label", "frames,1"), root)
