"""Shipped datasets, and binding them to folders: CCTV fights."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from vad_toolkit.datasets.binding import Binding, bind
from vad_toolkit.datasets.build import write_dataset
from vad_toolkit.datasets.cctv_fights import (
    NAME,
    SPLIT_SEED,
    TEST_FRACTION,
    bind_cctv_fights,
)
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.datasets.manifest import UNLISTED, Entry, Manifest
from vad_toolkit.datasets.shipped import ShippedDataset, shipped_dataset
from vad_toolkit.datasets.split import check_sides, split_by_source
from vad_toolkit.errors import InputError, ManifestError

MakeVideos = Callable[..., Path]


@pytest.fixture
def small(make_entry: Callable[..., Entry]) -> ShippedDataset:
    facts = {"frames": 8, "container_frames": 8, "fps": 10.0}
    train = (make_entry("fight/a", 1, **facts), make_entry("no/b", 0, **facts))
    test = (make_entry("fight/c", 1, events=((0, 8),), **facts),)
    return ShippedDataset(
        DatasetInfo(name="small"), Manifest(train, "small"), Manifest(test, "small")
    )


def test_a_whole_folder_gives_the_published_entries(
    small: ShippedDataset, make_videos: MakeVideos
) -> None:
    binding = bind(small, make_videos("fight/a.mp4", "no/b.mp4", "fight/c.mp4"))
    built = binding.build()
    assert binding.lines() == []
    assert (built.train, built.test) == (small.train.entries, small.test.entries)
    assert (built.info, built.notes) == (small.info, ())


def test_a_suffix_may_differ(small: ShippedDataset, make_videos: MakeVideos) -> None:
    root = make_videos("fight/a.mov", "no/b.mp4", "fight/c.MP4")
    built = bind(small, root).build()
    assert [e.path for e in (*built.train, *built.test)] == [
        "fight/a.mov",
        "no/b.mp4",
        "fight/c.MP4",
    ]


def test_what_is_not_as_published_is_named(small: ShippedDataset, make_videos: MakeVideos) -> None:
    make_videos("fight/c.mp4", frames=5)
    root = make_videos("fight/a.mp4", "extra/d.mp4")
    binding = bind(small, root)
    assert binding.lines() == [
        "missing: no/b",
        "differs: fight/c: 5 frames, published with 8",
        "extra, not used: extra/d",
    ]
    with pytest.raises(
        ManifestError,
        match=r"2 of the 3 videos of small are missing, .* \(first: no/b\); .*--allow-missing",
    ):
        binding.build()
    built = binding.build(allow_missing=True)
    assert ([e.id for e in built.train], built.test) == (["fight/a"], ())
    assert built.notes == (
        "2 of 3 videos are left out: numbers from this split cannot be compared with numbers from "
        "the whole small",
    )


def test_counting_compares_what_decodes(small: ShippedDataset, make_videos: MakeVideos) -> None:
    make_videos("fight/c.mp4", frames=5)
    root = make_videos("fight/a.mp4", "no/b.mp4")
    assert bind(small, root, count=True).lines() == [
        "differs: fight/c: 5 frames decoded, published with 8"
    ]


def test_an_unreadable_video_is_named(small: ShippedDataset, make_videos: MakeVideos) -> None:
    root = make_videos("no/b.mp4", "fight/c.mp4")
    (root / "fight" / "a.mp4").write_text("no video")
    (line,) = bind(small, root).lines()
    assert line.startswith("unreadable: video 'fight/a': ")


def test_a_folder_without_any(small: ShippedDataset, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="none of the 3 videos of small is usable; check"):
        bind(small, tmp_path).build(allow_missing=True)
    with pytest.raises(InputError, match="not a folder"):
        bind(small, tmp_path / "none")


def test_an_unknown_dataset() -> None:
    with pytest.raises(ManifestError, match="no dataset 'nothing' is shipped; there are .*cctv-fights"):
        shipped_dataset("nothing")


def test_the_cctv_split_is_what_its_rule_gives() -> None:
    dataset = shipped_dataset(NAME)
    check_sides(dataset.train, dataset.test)
    entries = [entry.model_copy(update={"events": None}) for entry in dataset]
    train, test = split_by_source(entries, TEST_FRACTION, SPLIT_SEED)
    assert {e.id for e in train} == set(dataset.train.by_id)
    assert {e.id for e in test} == set(dataset.test.by_id)
    assert Counter(e.label for e in dataset.train) == {1: 46, 0: 54}
    assert Counter(e.label for e in dataset.test) == {1: 29, 0: 20}
    assert sum(e.source == UNLISTED for e in dataset.train) == 28
    assert dataset.info.license == "MIT"


def test_the_cctv_events_are_whole_clips_in_test_only() -> None:
    dataset = shipped_dataset(NAME)
    assert all(e.events is None for e in dataset.train)
    assert all(e.events == ((0, e.frames),) for e in dataset.test.abnormal)
    assert all(e.events is None for e in dataset.test.normal)


def test_the_shipped_files_are_as_the_code_writes_them(tmp_path: Path) -> None:
    binding = shipped_dataset(NAME)
    built = Binding(binding, tuple(binding), (), (), (), ()).build()
    import vad_manifests

    for path in write_dataset(built, tmp_path / NAME):
        shipped = Path(vad_manifests.__path__[0]) / NAME / path.name
        assert path.read_bytes() == shipped.read_bytes()


def test_the_real_clips_are_as_published(reference: Path) -> None:
    binding = bind_cctv_fights(reference / "cctv_fights")
    assert binding.lines() == []
    with (reference / "cctv_fights" / "clips.tsv").open() as file:
        facts = {f"{r['label']}/{r['clip']}": r for r in csv.DictReader(file, delimiter="\t")}
    entries = {entry.id: entry for entry in binding.found}
    assert set(entries) == set(facts)
    for id, row in facts.items():
        assert entries[id].source == row["source"]
        assert entries[id].label == int(row["label"] == "fight")
