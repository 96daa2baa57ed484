"""Checks that a manifest fits a pack and a folder of videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vad_toolkit.datasets.manifest import Entry, Manifest, write_manifest
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.fit import check_manifest, pack_problems
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import load_recipe

MakeEntry = Callable[..., Entry]


@pytest.fixture
def make_entry() -> MakeEntry:
    """An entry from an id and a label; its path is the id with .mp4."""

    def make(id: str, label: int = 0, **fields: Any) -> Entry:
        return Entry.model_validate({"id": id, "path": f"{id}.mp4", "label": label, **fields})

    return make


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack of one video, `a`, of 40 frames."""
    features = VideoFeatures(
        VideoMeta(40, 40, 0, 25.0, 32, 32, "0" * 64, "pyav", "1"),
        {"rgb": np.ones((3, 1, 4), np.float16)},
    )
    write_pack(tmp_path / "x.h5", load_recipe("i3d-rgb-center"), [("a", features)], dataset="x")
    return tmp_path / "x.h5"


def problems(pack: Path, *entries: Entry, events: bool = True) -> list[str]:
    with FeaturePack.open(pack) as opened:
        return pack_problems(Manifest(entries, "x"), opened, needs_events=events)


def test_videos_that_fit_give_no_line(pack: Path, make_entry: MakeEntry) -> None:
    assert problems(pack, make_entry("a", 0)) == []
    assert problems(pack, make_entry("a", 1, frames=40, events=((39, 90),))) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"id": "b"}, "video 'b': in the manifest, but not in the pack"),
        ({"frames": 41}, "video 'a': 41 frames in the manifest, 40 in the pack"),
        ({"label": 1}, "video 'a': abnormal, and its events are not known"),
        (
            {"label": 1, "events": ((1, 2), (40, 41))},
            "video 'a': event [40, 41) begins after the last of 40 frames",
        ),
    ],
)
def test_a_video_that_does_not_fit_is_named(
    pack: Path, make_entry: MakeEntry, fields: dict[str, object], expected: str
) -> None:
    assert problems(pack, make_entry(**({"id": "a"} | fields))) == [expected]  # type: ignore[arg-type]


def test_training_needs_no_events(pack: Path, make_entry: MakeEntry) -> None:
    assert problems(pack, make_entry("a", 1), events=False) == []


def test_all_problems_are_listed_in_order(pack: Path, make_entry: MakeEntry) -> None:
    lines = problems(pack, make_entry("c"), make_entry("a", 1, frames=3), make_entry("b"))
    assert [line[:9] for line in lines] == ["video 'c'", *["video 'a'"] * 2, "video 'b'"]


def test_check_manifest_names_files_with_their_lines(make_entry: MakeEntry, tmp_path: Path) -> None:
    file = tmp_path / "test.jsonl"
    write_manifest(file, [make_entry("a"), make_entry("b")])
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.mp4").touch()
    assert check_manifest(file) == []
    assert check_manifest(str(file), root=str(root)) == [
        f"{file}:2: video 'b': no file or folder of frames 'b.mp4' in {root}"
    ]
    given = Manifest((make_entry("b"),), "mine")
    assert check_manifest(given, root=root) == [
        f"mine: video 'b': no file or folder of frames 'b.mp4' in {root}"
    ]


def test_check_manifest_needs_events_except_in_training(
    pack: Path, make_entry: MakeEntry, tmp_path: Path
) -> None:
    unknown = ["video 'a': abnormal, and its events are not known"]
    for name, problems in {"train": [], "test": unknown}.items():
        write_manifest(tmp_path / f"{name}.jsonl", [make_entry("a", 1)])
        assert check_manifest(tmp_path / f"{name}.jsonl", pack=pack) == problems
    assert check_manifest(tmp_path / "test.jsonl", pack=str(pack), side="train") == []
    assert check_manifest(tmp_path / "train.jsonl", pack=pack, side="test") == unknown


def test_check_manifest_takes_a_dataset(tmp_path: Path) -> None:
    assert check_manifest("cctv-fights") == []
    assert len(check_manifest("cctv-fights", root=tmp_path, side="train")) == 100
    with pytest.raises(InputError, match="no manifest 'none'; give a file"):
        check_manifest("none")
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(ManifestError, match=r"bad.jsonl:1: id is missing"):
        check_manifest(tmp_path / "bad.jsonl")
