"""Reading, checking and writing manifests."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vad_manifests
from pydantic import ValidationError

import vad_toolkit
from vad_toolkit.datasets.dataset_info import DatasetInfo, write_dataset_info
from vad_toolkit.datasets.manifest import (
    Entry,
    Manifest,
    make_entry,
    read_manifest,
    write_manifest,
)
from vad_toolkit.errors import ManifestError

GOOD: dict[str, Any] = {"id": "a/b", "path": "a/b.mp4", "label": 1}


def write_lines(folder: Path, *lines: object) -> Path:
    path = folder / "mine" / "train.jsonl"
    path.parent.mkdir(exist_ok=True)
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def test_a_line_gives_an_entry(tmp_path: Path) -> None:
    fields = {
        "classes": ["fight", "fire"],
        "frames": 40,
        "container_frames": 41,
        "fps": 25,
        "events": [[0, 10], [10, 50]],
        "source": "x",
    }
    manifest = read_manifest(write_lines(tmp_path, GOOD | fields, "", "   "))
    (entry,) = manifest
    assert entry.events == ((0, 10), (10, 50))
    assert entry.classes == ("fight", "fire")
    assert (entry.frames, entry.container_frames, entry.fps) == (40, 41, 25.0)
    assert (manifest.by_id, manifest.abnormal, manifest.normal) == ({"a/b": entry}, (entry,), ())


def test_defaults_say_that_nothing_is_known(tmp_path: Path) -> None:
    (entry,) = read_manifest(write_lines(tmp_path, GOOD))
    assert (entry.frames, entry.fps, entry.events, entry.source) == (None, None, None, None)
    assert entry.classes == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"train.jsonl:2: not JSON .*; each line must be one JSON object"),
        ([1], r"train.jsonl:2: Input should be an object"),
        ({"id": "a"}, r"train.jsonl:2: id 'a': path is missing; id, path and label are required"),
        (GOOD | {"label": 2}, r":2: id 'a/b': field label: Input should be 0 or 1 \(given: 2\)"),
        (GOOD | {"label": True}, r"field label: must be 0 \(normal\) or 1 \(abnormal\), got True"),
        (GOOD | {"label": 1.0}, r"field label: must be 0 .*, got 1.0"),
        (GOOD | {"label": "1"}, r"field label: must be 0 .*, got '1'"),
        (GOOD | {"frmes": 3}, r"'a/b': field frmes: unknown; available: id, path, "),
        (GOOD | {"frames": 0}, r"field frames: Input should be greater than or equal to 1"),
        (GOOD | {"frames": 2.5}, r"field frames: Input should be a valid integer \(given: 2.5\)"),
        (GOOD | {"fps": 0}, r"field fps: .*greater than 0"),
        ('{"id": "a", "path": "a", "label": 1, "fps": NaN}', r"field fps: .*finite"),
        (GOOD | {"events": [[-1, 3]]}, r"field events.0.0: .*greater than or equal to 0"),
        (GOOD | {"events": [[3, 3]]}, r"field events: \[3, 3\) must start before it stops"),
        (GOOD | {"events": [[1, 2, 3]]}, r"field events.0: "),
        (GOOD | {"events": [[5, 9], [1, 2]]}, r"events: \[1, 2\) must not begin before the ev"),
        (GOOD | {"events": [[1, 5], [4, 9]]}, r"events: \[4, 9\) must not begin before the ev"),
        (GOOD | {"events": []}, r"a video with label 1 must have at least one; omit them"),
        (
            GOOD | {"label": 0, "events": [[1, 2]]},
            r"events: a video with label 0 must not have any",
        ),
        (
            GOOD | {"label": 0, "classes": ["fight"]},
            r"classes: a video with label 0 must have none, or",
        ),
        (GOOD | {"classes": [""]}, r"field classes.0: .*given: ''"),
        (GOOD | {"source": ""}, r"field source: .*given: ''"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: object, message: str) -> None:
    first = {"id": "first", "path": "first.mp4", "label": 0}
    with pytest.raises(ManifestError, match=message) as caught:
        read_manifest(write_lines(tmp_path, first, line))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "id", ["", "/a", "a/", "a//b", ".", "../a", "a/./b", "a\0", "a\nb", "\ud800"]
)
def test_an_id_is_a_plain_relative_path(id: str) -> None:
    with pytest.raises(ValidationError, match=r"must be a|control characters"):
        Entry(id=id, path="a.mp4", label=0)
    with pytest.raises(ValidationError, match=r"must be a|control characters"):
        Entry(id="a", path=id, label=0)


@pytest.mark.parametrize("id", ["a", "a b/ü 漢字", "..a/b..", "-x", "a.b/c"])
def test_spaces_dots_and_letters_of_all_kinds_are_fine(tmp_path: Path, id: str) -> None:
    path = tmp_path / "train.jsonl"
    write_manifest(path, [Entry(id=id, path=id, label=0)])
    assert read_manifest(path).entries[0].id == id


def test_a_normal_video_may_say_that_it_is() -> None:
    assert Entry(id="a", path="a", label=0, classes=("normal",), events=()).events == ()


def test_an_id_stands_once(tmp_path: Path) -> None:
    path = write_lines(tmp_path, GOOD, "", GOOD)
    with pytest.raises(ManifestError, match=r":3: id 'a/b' is already in line 1"):
        read_manifest(path)
    with pytest.raises(ManifestError, match="id 'a/b' appears twice"):
        Manifest((Entry(**GOOD), Entry(**GOOD)), "x")


def test_an_id_is_not_the_folder_of_another(tmp_path: Path) -> None:
    path = write_lines(tmp_path, GOOD, GOOD | {"id": "a/b/c"})
    with pytest.raises(
        ManifestError, match=r"train.jsonl: id 'a/b' is a video and also the folder of"
    ):
        read_manifest(path)


@pytest.mark.parametrize("last", ["a", "a/b", "a/b/c/d"])
def test_folders_of_folders_are_seen_too(last: str) -> None:
    ids = ["a/b/c/one", "a/b/c/two", "x", last]
    entries = tuple(Entry(id=id, path=id, label=0) for id in ids)
    if last == "a/b/c/d":
        assert len(Manifest(entries, "x")) == 4
        return
    with pytest.raises(
        ManifestError, match=f"id '{last}' is a video and also the folder of 'a/b/c/one'"
    ):
        Manifest(entries, "x")
    with pytest.raises(ManifestError, match=f"id '{last}' is a video and also the folder of"):
        Manifest(entries[::-1], "x")


DEEP = 5_000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"id": "x", "path": "x"',
            rf"train.jsonl:{DEEP}: not JSON \(EOF .* at line 1 column 23\)",
        ),
        (GOOD | {"frames": 0}, rf"train.jsonl:{DEEP}: id 'a/b': field frames: Input should be"),
        (GOOD | {"id": "v7"}, rf"train.jsonl:{DEEP}: id 'v7' is already in line 9"),
    ],
)
def test_errors_deep_in_a_file_name_their_line(tmp_path: Path, line: object, message: str) -> None:
    lines = [
        "" if number == 4 else f'{{"id":"v{number - 2}","path":"v{number}.mp4","label":0}}'
        for number in range(1, DEEP)
    ]
    with pytest.raises(ManifestError, match=message):
        read_manifest(write_lines(tmp_path, *lines, line))


def test_reading_leaves_the_garbage_collector_as_it_was(tmp_path: Path) -> None:
    good, bad = write_lines(tmp_path, GOOD), tmp_path / "none.jsonl"
    read_manifest(good)
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(bad)
    assert gc.isenabled()
    gc.disable()
    try:
        read_manifest(good)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_lines_may_end_as_windows_ends_them(tmp_path: Path) -> None:
    path = write_lines(tmp_path, GOOD, GOOD | {"id": "c"})
    before = read_manifest(path).sha256
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n").removesuffix(b"\r\n"))
    assert read_manifest(path).sha256 == before


def test_the_digest_is_that_of_the_canonical_lines() -> None:
    manifest = Manifest((Entry(**GOOD), Entry(id="ü", path="ü", label=0, fps=25)), "x")
    text = '{"id":"a/b","label":1,"path":"a/b.mp4"}\n{"fps":25.0,"id":"ü","label":0,"path":"ü"}\n'
    assert manifest.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_files_that_are_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none.jsonl: cannot be read \(No such file"):
        read_manifest(tmp_path / "none.jsonl")
    with pytest.raises(ManifestError, match="no videos; a manifest has one JSON object per line"):
        read_manifest(write_lines(tmp_path, ""))
    path = write_lines(tmp_path)
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(ManifestError, match="not UTF-8 text"):
        read_manifest(path)


def test_the_dataset_is_named_by_its_toml_or_its_folder(tmp_path: Path) -> None:
    path = write_lines(tmp_path, GOOD)
    assert read_manifest(path).dataset == "mine"
    write_dataset_info(path.parent / "dataset.toml", DatasetInfo(name="Their Name"))
    assert read_manifest(path).dataset == "Their Name"


def test_writing_gives_the_same_bytes_and_the_same_digest(tmp_path: Path) -> None:
    loose = '{ "label": 1, "path":"a/b.mp4",  "id": "a/b", "events": null, "fps": 25 }'
    manifest = read_manifest(write_lines(tmp_path, loose))
    first, second = tmp_path / "1.jsonl", tmp_path / "far" / "2.jsonl"
    write_manifest(first, manifest)
    write_manifest(second, read_manifest(first))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_text() == '{"fps":25.0,"id":"a/b","label":1,"path":"a/b.mp4"}\n'
    assert manifest.sha256 == read_manifest(first).sha256 == read_manifest(second).sha256


def test_the_digest_follows_content_and_order(make_entry: Callable[..., Entry]) -> None:
    a, b = make_entry("a"), make_entry("b")
    digests = {
        Manifest(entries, "x").sha256
        for entries in ((a, b), (b, a), (a,), (a.model_copy(update={"frames": 3}), b))
    }
    assert len(digests) == 4
    assert Manifest((a, b), "x").sha256 == Manifest((a, b), "y").sha256


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    with pytest.raises(ManifestError, match="not written, since there are no videos"):
        write_manifest(path, [])
    with pytest.raises(ManifestError, match="appears twice"):
        write_manifest(path, [Entry(**GOOD), Entry(**GOOD)])
    assert list(tmp_path.iterdir()) == []


def test_make_entry_says_where() -> None:
    assert make_entry("list.csv:7", GOOD).id == "a/b"
    with pytest.raises(ManifestError, match=r"list.csv:7: id 'a/b': field frames: "):
        make_entry("list.csv:7", GOOD | {"frames": 0})


class LaterEntry(Entry):
    """The entry of a version that has one more field."""

    camera: str | None = None


def test_a_field_that_a_later_version_adds_changes_no_line_and_no_hash() -> None:
    fields = GOOD | {"events": ((0, 3),)}
    now, later = Entry(**fields), LaterEntry(**fields)
    assert later.canonical_json() == now.canonical_json()
    assert Manifest((later,), "x").sha256 == Manifest((now,), "x").sha256
    used = LaterEntry(**fields, camera="north")
    assert '"camera":"north"' in used.canonical_json()
    assert Manifest((used,), "x").sha256 != Manifest((now,), "x").sha256


def test_a_field_of_a_later_version_is_refused_with_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    write_manifest(path, [LaterEntry(**GOOD, camera="north")])
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value) == (
        f"{path}:1: id 'a/b': field camera: unknown; available: {', '.join(Entry.model_fields)}; a "
        "newer version of vad-toolkit may have written it (this is version "
        f"{vad_toolkit.__version__})"
    )


def test_entries_know_their_lines(tmp_path: Path) -> None:
    path = write_lines(tmp_path, GOOD, "", GOOD | {"id": "c"})
    manifest = read_manifest(path)
    assert manifest.lines_of(["c", "none"]) == {"c": f"{path}:3"}
    assert Manifest(manifest.entries, "x").lines_of(["c"]) == {}
    assert manifest == Manifest(manifest.entries, "mine")


def test_the_best_length_is_the_decoded_one(make_entry: Callable[..., Entry]) -> None:
    assert make_entry("a", frames=3, container_frames=4).length == 3
    assert make_entry("a", container_frames=4).length == 4
    assert make_entry("a").length is None


def test_the_shipped_schema_is_the_models() -> None:
    folder = Path(str(vad_manifests.__path__[0]))
    shipped = json.loads((folder / "manifest.schema.json").read_text(encoding="utf-8"))
    assert shipped == Entry.model_json_schema()  # versions of pydantic write 0 or 0.0
