"""Checks of a manifest: its fit with a pack, and its videos in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vad_toolkit.datasets.manifest import Entry, Manifest, write_manifest
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.fit import check_fit, check_manifest
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


def count(frames: int) -> int:
    return -(-frames // 16)


def problems(
    *entries: Entry, frames: int = 40, snippets: int = 3, events: bool = True
) -> list[str]:
    by_recipe = {"a": count(frames)}
    return check_fit(
        Manifest(entries, "x"), {"a": frames}, {"a": snippets}, by_recipe, needs_events=events
    )


def test_what_fits_gives_no_line(make_entry: MakeEntry) -> None:
    assert problems(make_entry("a", 0)) == []
    assert problems(make_entry("a", 1, frames=40, events=((39, 90),))) == []


@pytest.mark.parametrize(
    ("fields", "given", "expected"),
    [
        ({"id": "b"}, {}, "video 'b': in the manifest, but not in the pack"),
        ({"frames": 41}, {}, "video 'a': 41 frames in the manifest, 40 in the pack"),
        (
            {},
            {"snippets": 2},
            "video 'a': 2 snippets in the pack, where its recipe makes 3 of 40 frames",
        ),
        ({"label": 1}, {}, "video 'a': abnormal, and its events are not known"),
        (
            {"label": 1, "events": ((1, 2), (40, 41))},
            {},
            "video 'a': event [40, 41) begins after the last of 40 frames",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    make_entry: MakeEntry, fields: dict[str, object], given: dict[str, int], expected: str
) -> None:
    entry = make_entry(**({"id": "a"} | fields))
    assert problems(entry, **given) == [expected]  # type: ignore[arg-type]


def test_training_needs_no_events(make_entry: MakeEntry) -> None:
    assert problems(make_entry("a", 1), events=False) == []


def test_all_problems_are_told_in_order(make_entry: MakeEntry) -> None:
    lines = problems(make_entry("c"), make_entry("a", 1, frames=3), make_entry("b"), snippets=9)
    assert [line[:9] for line in lines] == ["video 'c'", *["video 'a'"] * 3, "video 'b'"]


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
    make_entry: MakeEntry, tmp_path: Path
) -> None:
    features = VideoFeatures(
        VideoMeta(20, 20, 0, 25.0, 32, 32, "0" * 64, "pyav", "1"),
        {"rgb": np.ones((2, 1, 4), np.float16)},
    )
    pack = tmp_path / "x.h5"
    write_pack(pack, load_recipe("i3d-rgb-center"), [("a", features)], dataset="x")
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
