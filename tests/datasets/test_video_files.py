"""Whether a manifest fits a pack and a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vad_toolkit.datasets.manifest import Entry, Manifest, read_manifest, write_manifest
from vad_toolkit.datasets.video_files import missing_files, video_paths
from vad_toolkit.errors import ManifestError
from vad_toolkit.fit import check_fit

MakeEntry = Callable[..., Entry]


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


def test_files_that_are_not_there(make_entry: MakeEntry, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").mkdir()
    manifest = Manifest((make_entry("a"), make_entry("b"), make_entry("c")), "x")
    assert missing_files(manifest, tmp_path) == {
        "b": f"no file or folder of frames 'b.mp4' in {tmp_path}",
        "c": f"no file or folder of frames 'c.mp4' in {tmp_path}",
    }


def test_a_folder_of_frames_is_there(make_entry: MakeEntry, tmp_path: Path) -> None:
    (tmp_path / "01.02").mkdir()
    (tmp_path / "01.02" / "000.jpg").touch()
    manifest = Manifest((make_entry("01.02", path="01.02"),), "x")
    assert missing_files(manifest, tmp_path) == {}
    (tmp_path / "01.02" / "000.jpg").unlink()
    assert len(missing_files(manifest, tmp_path)) == 1


def test_links_may_not_lead_out(make_entry: MakeEntry, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.mp4").touch()
    (root / "a.mp4").touch()
    (root / "b.mp4").symlink_to(root / "a.mp4")
    (root / "c.mp4").symlink_to(tmp_path / "outside.mp4")
    file = tmp_path / "train.jsonl"
    write_manifest(file, [make_entry("a"), make_entry("b")])
    assert video_paths(read_manifest(file), root) == [root / "a.mp4", root / "b.mp4"]
    file.write_text(file.read_text() + "\n" + make_entry("c").canonical_json() + "\n")
    manifest = read_manifest(file)
    (line,) = missing_files(manifest, root).values()
    assert line.startswith(f"path 'c.mp4' leads out of {root}, by a link to {tmp_path}/outside.mp4")
    with pytest.raises(ManifestError, match=r"train.jsonl:4: id 'c': path 'c.mp4' leads out of"):
        video_paths(manifest, root)
