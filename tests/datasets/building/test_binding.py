"""Binding a dataset to folders of raw videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vad_toolkit.datasets.building.binding import bind
from vad_toolkit.datasets.dataset_info import DatasetInfo, PublishedArray
from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.registry import Dataset
from vad_toolkit.errors import InputError, ManifestError

MakeVideos = Callable[..., Path]
MakeEntry = Callable[..., Entry]
MakeDataset = Callable[..., Dataset]
FACTS = {"frames": 8, "container_frames": 8, "fps": 10.0}


@pytest.fixture
def make_dataset() -> MakeDataset:
    def make(train: tuple[Entry, ...], test: tuple[Entry, ...] = ()) -> Dataset:
        info = DatasetInfo(
            name="small", notes="Of three.", arrays={"all": PublishedArray(length=16, abnormal=8)}
        )
        return Dataset(info, Manifest(train, "small"), Manifest(test, "small"))

    return make


@pytest.fixture
def small(make_entry: MakeEntry, make_dataset: MakeDataset) -> Dataset:
    train = (make_entry("fight/a", 1, **FACTS), make_entry("no/b", 0, **FACTS))
    return make_dataset(train, (make_entry("fight/c", 1, events=((0, 8),), **FACTS),))


def test_a_whole_folder_gives_the_published_entries(
    small: Dataset, make_videos: MakeVideos
) -> None:
    binding = bind(small, make_videos("fight/a.mp4", "no/b.mp4", "fight/c.mp4"))
    built = binding.build()
    assert binding.lines() == []
    assert (built.train, built.test) == (small.train.entries, small.test.entries)
    assert (built.info, built.notes, built.validation) == (small.info, (), ())


def test_suffixes_folders_and_names_may_differ(small: Dataset, make_videos: MakeVideos) -> None:
    root = make_videos("fight/a.mov", "b.mp4", "all/fight/C_x264.MP4")
    binding = bind(small, root)
    built = binding.build()
    assert [e.path for e in (*built.train, *built.test)] == [
        "fight/a.mov",
        "b.mp4",
        "all/fight/C_x264.MP4",
    ]
    assert binding.lines() == [
        "renamed: fight/c is 'all/fight/C_x264.MP4'",
        "3 videos: 3 found (1 renamed), 0 missing, 0 ambiguous, 0 damaged, 0 of another length; "
        "0 extra files",
    ]


def test_what_is_not_as_published_is_named(small: Dataset, make_videos: MakeVideos) -> None:
    make_videos("fight/c.mp4", frames=5)
    root = make_videos("fight/a.mp4", "extra/d.mp4", "ex\ntra.mp4")
    binding = bind(small, root)
    assert binding.lines() == [
        "missing: no/b",
        "differs: fight/c: 5 frames, 8 are published",
        r"extra, not used: 'ex\ntra.mp4'",
        "extra, not used: 'extra/d.mp4'",
        "3 videos: 1 found (0 renamed), 1 missing, 0 ambiguous, 0 damaged, 1 of another length; "
        "2 extra files",
    ]
    with pytest.raises(
        ManifestError,
        match=r"2 of the 3 videos of small are missing, .* \(first: no/b\); .*--allow-missing",
    ):
        binding.build()


def test_a_part_says_what_its_numbers_mean(small: Dataset, make_videos: MakeVideos) -> None:
    built = bind(small, make_videos("fight/a.mp4")).build(allow_missing=True)
    assert ([e.id for e in built.train], built.test) == (["fight/a"], ())
    (note,) = built.notes
    assert note == (
        "Part of small: 1 of 2 train videos (0 of 1 normal, 1 of 1 abnormal), 0 of 1 test videos "
        "(0 of 0 normal, 0 of 1 abnormal). Results on these test videos cannot be compared with "
        "results on the whole small."
    )
    assert (built.info.notes, built.info.arrays) == (f"Of three. {note}", {})


def test_a_whole_test_side_can_be_compared(small: Dataset, make_videos: MakeVideos) -> None:
    built = bind(small, make_videos("fight/c.mp4")).build(allow_missing=True)
    assert (built.train, len(built.test)) == ((), 1)
    assert "results on them can be compared with published ones" in built.info.notes
    assert built.info.arrays == small.info.arrays


def test_counting_compares_what_decodes(small: Dataset, make_videos: MakeVideos) -> None:
    make_videos("fight/c.mp4", frames=5)
    root = make_videos("fight/a.mp4", "no/b.mp4")
    first, _ = bind(small, root, count=True).lines()
    assert first == "differs: fight/c: 5 frames decode, 8 are published"


@pytest.mark.parametrize(
    ("facts", "differs"),
    [
        ({}, None),
        ({"frames": 8}, None),
        ({"frames": 7}, None),  # OpenCV's count is one more in many files
        ({"frames": 9}, "8 frames, 9 are published"),
        ({"frames": 6}, "8 frames, 6 are published"),
        ({"frames": 7, "container_frames": 8}, None),
        ({"frames": 8, "container_frames": 9}, None),  # a container that tells the truth
        ({"frames": 7, "container_frames": 7}, "8 frames, 7 are published"),
        ({"container_frames": 7}, "8 frames, 7 are published"),
    ],
)
def test_lengths(
    make_entry: MakeEntry,
    make_dataset: MakeDataset,
    make_videos: MakeVideos,
    facts: dict[str, int],
    differs: str | None,
) -> None:
    binding = bind(make_dataset((make_entry("a", **facts),)), make_videos("a.mp4"))
    assert binding.problems["differs"] == (() if differs is None else (f"a: {differs}",))


def test_what_was_unknown_is_filled_in(
    make_entry: MakeEntry, make_dataset: MakeDataset, make_videos: MakeVideos
) -> None:
    dataset = make_dataset((make_entry("a"), make_entry("b", fps=9.5, container_frames=8)))
    root = make_videos("a.mp4", "b.mp4")
    a, b = bind(dataset, root).found
    assert (a.fps, a.container_frames, a.frames) == (10.0, 8, None)
    assert b == dataset.train.by_id["b"]
    a, b = bind(dataset, root, count=True).found
    assert (a.frames, b.frames, b.fps) == (8, 8, 9.5)


def test_frame_folders(make_entry: MakeEntry, make_dataset: MakeDataset, tmp_path: Path) -> None:
    folder = tmp_path / "testing" / "frames" / "01.0015"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.fromarray(np.full((32, 32, 3), number, np.uint8)).save(folder / f"{number:03d}.jpg")
    entry = Entry(id="01.0015", path="testing/frames/01.0015", label=0, frames=3)
    for count in (False, True):
        (found,) = bind(make_dataset((entry,)), tmp_path, count=count).found
        assert found == entry.model_copy(update={"container_frames": 3})


def test_a_damaged_video_is_named(small: Dataset, make_videos: MakeVideos) -> None:
    root = make_videos("no/b.mp4", "fight/c.mp4")
    (root / "fight" / "a.mp4").write_text("no video")
    line, _ = bind(small, root).lines()
    assert line.startswith("damaged: video 'fight/a': ")


def test_two_files_for_a_video_are_named(small: Dataset, make_videos: MakeVideos) -> None:
    root = make_videos("x/a.mp4", "y/a.mp4", "fight/c.mp4", "b.mp4")
    first, *_ = bind(small, root).lines()
    assert first.startswith("ambiguous: fight/a: could be any of 'x/a.mp4', 'y/a.mp4'; keep one")


def test_links_may_not_lead_out(small: Dataset, make_videos: MakeVideos, tmp_path: Path) -> None:
    root = make_videos("fight/a.mp4", "no/b.mp4")
    (root / "fight" / "c.mp4").symlink_to(root / "fight" / "a.mp4")
    assert len(bind(small, root).found) == 3
    other = tmp_path / "other.mp4"
    other.write_bytes((root / "no" / "b.mp4").read_bytes())
    (root / "fight" / "c.mp4").unlink()
    (root / "fight" / "c.mp4").symlink_to(other)
    (root / "fight" / "unused.mp4").symlink_to("/etc/hostname")
    with pytest.raises(
        ManifestError, match=r"'fight/c': 'fight/c.mp4' leads out of .*raw, by a link to .*; name"
    ):
        bind(small, root)


def test_a_folder_without_any(small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="none of the 3 videos of small is usable; check"):
        bind(small, tmp_path).build(allow_missing=True)
    with pytest.raises(InputError, match="not a folder"):
        bind(small, tmp_path / "none")
