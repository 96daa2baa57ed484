"""A folder of videos as a dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vad_toolkit.datasets.building.folder import build_folder_manifest
from vad_toolkit.errors import InputError, ManifestError

MakeVideos = Callable[..., Path]
PLAIN = ("Fight/a.mp4", "Fight/b.mp4", "Fight/c 1/ü.mp4", "Non-Fight/x.mp4", "Non-Fight/y.mp4")


def ids(entries: tuple[Any, ...]) -> list[str]:
    return sorted(entry.id for entry in entries)


def test_classes_are_folders(make_videos: MakeVideos) -> None:
    built = build_folder_manifest(make_videos(*PLAIN), test_fraction=0.5)
    entries = {entry.id: entry for entry in (*built.train, *built.test)}
    assert sorted(entries) == ["Fight/a", "Fight/b", "Fight/c 1/ü", "Non-Fight/x", "Non-Fight/y"]
    fight, normal = entries["Fight/c 1/ü"], entries["Non-Fight/x"]
    assert (fight.label, fight.classes, fight.path) == (1, ("Fight",), "Fight/c 1/ü.mp4")
    assert (normal.label, normal.classes) == (0, ())
    assert (fight.container_frames, fight.fps, fight.frames) == (8, 10.0, None)
    assert {e.label for e in built.train} == {e.label for e in built.test} == {0, 1}
    assert (built.info.name, built.info.license, built.failures) == ("raw", "not known", ())


def test_the_same_seed_splits_the_same(make_videos: MakeVideos) -> None:
    root = make_videos(*(f"{kind}/{i}.mp4" for kind in ("fall", "normal") for i in range(9)))
    split = [ids(build_folder_manifest(root, seed=seed).test) for seed in (0, 0, 1)]
    assert split[0] == split[1] != split[2]
    assert len(split[0]) == 6


def test_without_a_fraction_there_is_no_test(make_videos: MakeVideos) -> None:
    built = build_folder_manifest(make_videos(*PLAIN), test_fraction=0)
    assert (len(built.train), built.test, built.notes) == (5, (), ())


def test_trimmed_test_videos_are_abnormal_throughout(make_videos: MakeVideos) -> None:
    built = build_folder_manifest(make_videos(*PLAIN), trimmed=True)
    assert all(e.events == ((0, 8),) for e in built.test if e.label)
    assert all(e.events is None for e in (*built.train, *built.test) if not e.label)
    assert all(e.events is None for e in built.train)
    assert built.notes == ()


def test_unknown_events_are_said(make_videos: MakeVideos) -> None:
    built = build_folder_manifest(make_videos(*PLAIN))
    assert all(e.events is None for e in built.test)
    (note,) = built.notes
    assert note.startswith("the events of 1 abnormal test videos are not known")


def test_events_come_from_a_file(make_videos: MakeVideos, tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("id,start,end\nFight/a,4,6\nFight/a,0,2\nFight/b,1,2\nFight/c 1/ü,1,3\n")
    built = build_folder_manifest(make_videos(*PLAIN), events=events)
    found = {e.id: e.events for e in (*built.train, *built.test)}
    assert found["Fight/a"] == ((0, 2), (4, 6))
    assert built.notes == ()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Fight/z,1,2", "no video 'Fight/z'; ids are paths without suffix"),
        ("Non-Fight/x,1,2", "id 'Non-Fight/x': events: a video with label 0 must not have any"),
    ],
)
def test_events_that_belong_to_none(
    make_videos: MakeVideos, tmp_path: Path, row: str, message: str
) -> None:
    events = tmp_path / "events.csv"
    events.write_text(f"id,start,end\n{row}\n")
    with pytest.raises(ManifestError, match=f"events.csv: {message}"):
        build_folder_manifest(make_videos(*PLAIN), events=events)
    with pytest.raises(InputError, match="give either trimmed or events"):
        build_folder_manifest(make_videos(*PLAIN), events=events, trimmed=True)


def test_counting_records_frames(make_videos: MakeVideos) -> None:
    built = build_folder_manifest(
        make_videos("fall/a.mp4", "normal/b.mp4"), test_fraction=0, count=True
    )
    assert [e.frames for e in built.train] == [8, 8]


def test_one_source_stays_on_one_side(make_videos: MakeVideos) -> None:
    root = make_videos(
        *(f"{k}/v{s}_{i}.mp4" for k in ("fall", "normal") for s in "abcd" for i in "12")
    )
    built = build_folder_manifest(root, source_pattern=r"/(v.)_\d$")
    assert {e.source for e in built.train} | {e.source for e in built.test} == {
        "va",
        "vb",
        "vc",
        "vd",
    }
    assert not {e.source for e in built.train} & {e.source for e in built.test}


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("(", InputError, "is not a regular expression"),
        ("Fight", InputError, "has no group; put the source's name in"),
        (r"/(\d+)$", ManifestError, r"video 'Fight/a' does not match the source pattern"),
        (r"a(\d*)", ManifestError, r"video 'Fight/a' does not match the source pattern"),
    ],
)
def test_a_source_pattern_that_does_not_work(
    make_videos: MakeVideos, pattern: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_folder_manifest(make_videos(*PLAIN), source_pattern=pattern)


@pytest.mark.parametrize(
    "name",
    ["normal", "Normal_Videos", "noFight", "NonFight", "Non-Violence", "NEGATIVE", "no fights"],
)
def test_normal_is_found_by_name(make_videos: MakeVideos, name: str) -> None:
    built = build_folder_manifest(make_videos(f"{name}/a.mp4", "fall/b.mp4"), test_fraction=0)
    assert {e.id: e.label for e in built.train} == {f"{name}/a": 0, "fall/b": 1}


def test_normal_can_be_named(make_videos: MakeVideos) -> None:
    root = make_videos("street/a.mp4", "shop/b.mp4", "fall/c.mp4")
    built = build_folder_manifest(root, normal=("street", "shop"), test_fraction=0)
    assert {e.id: e.label for e in built.train} == {"street/a": 0, "shop/b": 0, "fall/c": 1}


@pytest.mark.parametrize(
    ("paths", "normal", "message"),
    [
        (
            ("a/x.mp4", "b/y.mp4"),
            (),
            r"none of the classes 'a', 'b' has a normal name; choose with",
        ),
        (("normal/x.mp4", "nofight/y.mp4", "b/z.mp4"), (), r"more than one of the classes"),
        (("a/x.mp4", "normal/y.mp4"), ("c",), r"unknown class 'c'; available: 'a', 'normal'"),
        (("normal/y.mp4",), (), r"all classes \('normal'\) are normal; one must be abnormal"),
        (("normal/y.mp4", "x.mp4"), (), r"video 'x.mp4' is not in a class folder"),
        (("normal/y.mp4", "a/x.mp4", "a/x.avi"), (), r"would both have the id 'a/x'"),
        (("normal/y.mp4", "a/x.mp4"), (), r"1 videos with label 0 from 1 sources cannot be"),
        ((), (), r"raw holds no videos; it must hold one folder of videos per class"),
    ],
)
def test_a_folder_that_is_not_clear(
    make_videos: MakeVideos, paths: tuple[str, ...], normal: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        build_folder_manifest(make_videos(*paths), normal=normal)


def test_an_empty_class_is_said(make_videos: MakeVideos) -> None:
    root = make_videos("fall/a.mp4", "normal/b.mp4")
    (root / "fire" / "deep").mkdir(parents=True)
    (root / ".git").mkdir()
    built = build_folder_manifest(root, test_fraction=0)
    assert built.notes == ("folder 'fire' holds no videos",)


def test_a_damaged_video_is_left_out_and_named(make_videos: MakeVideos) -> None:
    root = make_videos("fall/a.mp4", "normal/b.mp4")
    (root / "fall" / "bad.mp4").write_text("no video")
    built = build_folder_manifest(root, test_fraction=0)
    assert ids(built.train) == ["fall/a", "normal/b"]
    assert len(built.failures) == 1
    assert built.failures[0].startswith("video 'fall/bad': ")


def test_a_split_folder_is_taken_as_it_is(make_videos: MakeVideos) -> None:
    root = make_videos(
        "Train/fall/a.mp4",
        "Train/normal/a.mp4",
        "TEST/fall/a.mp4",
        "TEST/normal/b.mp4",
        "val/x/c.mp4",
    )
    built = build_folder_manifest(root, trimmed=True)
    assert ids(built.train) == ["Train/fall/a", "Train/normal/a"]
    assert {e.id: e.events for e in built.test} == {"TEST/fall/a": ((0, 8),), "TEST/normal/b": None}
    assert built.notes == (
        "the folder is already split: TEST, Train, val",
        "folder 'val' is not used: validation videos are taken from train",
    )


def test_val_is_taken_for_test_where_there_is_none(make_videos: MakeVideos) -> None:
    root = make_videos("train/Fight/a.mp4", "train/NonFight/a.mp4", "val/Fight/b.mp4")
    built = build_folder_manifest(root, trimmed=True)
    assert ids(built.test) == ["val/Fight/b"]
    assert "there is no test folder: 'val' is used as test" in built.notes


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("other/fall/b.mp4", r"is already split \(test, train\), but also has 'other'"),
        ("Training/fall/b.mp4", r"has several train folders: Training, train"),
        ("train/b.mp4", r"video 'train/b.mp4' is not in a class folder"),
    ],
)
def test_a_split_folder_that_is_not_clear(make_videos: MakeVideos, path: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        build_folder_manifest(make_videos("train/fall/a.mp4", "test/normal/a.mp4", path))


def test_a_split_folder_may_not_share_sources(make_videos: MakeVideos) -> None:
    root = make_videos("train/fall/a_1.mp4", "train/normal/b_1.mp4", "test/fall/a_2.mp4")
    with pytest.raises(ManifestError, match="source 'a' is in both train and test"):
        build_folder_manifest(root, source_pattern=r"/([ab])_\d$")


def test_folders_of_frames_are_videos_of_the_class_above(make_frames: MakeVideos) -> None:
    sides, classes = ("train", "test"), ("abnormal", "normal")
    root = make_frames(*(f"{side}/{kind}/01_001{i}" for side in sides for kind in classes
                         for i in range(2)))  # fmt: skip
    built = build_folder_manifest(root, trimmed=True)
    assert ids(built.train) == [f"train/{kind}/01_001{i}" for kind in classes for i in range(2)]
    assert len(built.test) == 4
    entry = next(entry for entry in built.test if entry.label)
    assert (entry.id, entry.path) == ("test/abnormal/01_0010", "test/abnormal/01_0010")
    assert (entry.classes, entry.events) == (("abnormal",), ((0, 8),))
    assert (entry.container_frames, entry.fps, built.failures) == (8, None, ())


def test_frames_in_the_place_of_a_class_are_refused(make_frames: MakeVideos) -> None:
    root = make_frames("abnormal", "normal/01")
    with pytest.raises(ManifestError, match="video 'abnormal' is not in a class folder"):
        build_folder_manifest(root)
