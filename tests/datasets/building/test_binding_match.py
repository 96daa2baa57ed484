"""Files joined with a manifest's videos, whatever became of the published folders."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest

from vad_toolkit.datasets.building.binding import Matches, match_files, normalize, stem_of
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.datasets.registry import DATASETS, load_dataset

FILM = "v=Überfall.1995__#01-11-55_01-12-40_label_B1-0-0"


def entry(id: str, path: str) -> Entry:
    return Entry(id=id, path=path, label=0)


@pytest.fixture
def shanghai() -> list[Entry]:
    return [
        entry("01_0015", "testing/frames/01_0015"),
        entry("01_001", "training/videos/01_001.avi"),
    ]


@pytest.mark.parametrize(
    ("paths", "renamed"),
    [
        (["testing/frames/01_0015", "training/videos/01_001.avi"], 0),
        (["testing/frames/01_0015.mp4", "training/videos/01_001"], 0),
        (["01_0015.mp4", "01_001.avi"], 0),
        (["01_0015", "01_001"], 0),
        (["SHT/testing/frames/01_0015", "SHT/videos/01_001.AVI"], 0),
        (["Testing/Frames/01-0015", "01 001.avi"], 2),
    ],
)
def test_videos_are_found(shanghai: list[Entry], paths: list[str], renamed: int) -> None:
    matches = match_files(shanghai, paths)
    assert matches.files == {"01_0015": paths[0], "01_001": paths[1]}
    assert (len(matches.renamed), matches.ambiguous, matches.extra) == (renamed, {}, [])


def test_its_own_path_comes_before_copies(shanghai: list[Entry]) -> None:
    own = ["testing/frames/01_0015", "training/videos/01_001.avi"]
    copies = ["copy/01_0015", "testing/frames/01_0015.mp4", "training/frames/01_001"]
    matches = match_files(shanghai, [*copies, *own])
    assert list(matches.files.values()) == own
    assert matches.extra == copies


def test_folders_tell_equal_names_apart() -> None:
    entries = [entry(f"{side}_videos/01", f"{side}_videos/01.avi") for side in ("train", "test")]
    root = ["Avenue/test_videos/01.avi", "Avenue/train_videos/01.avi"]
    assert match_files(entries, root).files == {
        "train_videos/01": root[1],
        "test_videos/01": root[0],
    }
    renamed = match_files(entries, ["Test Videos/01.avi", "Train-Videos/01.avi"])
    assert renamed.files["test_videos/01"] == "Test Videos/01.avi"
    assert renamed.renamed == ["train_videos/01", "test_videos/01"]
    only = match_files(entries, ["01.avi"])
    assert only.files == {}
    assert only.ambiguous["test_videos/01"] == (
        "'01.avi' could also be 'train_videos/01'; keep the published folders"
    )
    half = match_files(entries, ["test_videos/01.avi"])  # what is joined is not used again
    assert half == Matches(files={"test_videos/01": "test_videos/01.avi"})


def test_several_files_for_one_video_are_told(shanghai: list[Entry]) -> None:
    matches = match_files(shanghai, ["a/01_0015.mp4", "b/01_0015.avi", "01_001.avi"])
    assert matches.files == {"01_001": "01_001.avi"}
    assert matches.ambiguous == {
        "01_0015": "could be any of 'a/01_0015.mp4', 'b/01_0015.avi'; keep one of them, or restore "
        "its path"
    }
    assert matches.extra == ["a/01_0015.mp4", "b/01_0015.avi"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("folder", ["", "1-1004/", "some folder/ü/"])
def test_names_of_films(form: str, folder: str) -> None:
    film = entry(FILM, f"{FILM}.mp4")
    path = folder + unicodedata.normalize(form, f"{FILM}.mp4")
    matches = match_files([film], [path])
    assert matches.files == {FILM: path}
    assert bool(matches.renamed) is (form == "NFD")


def test_numbers_in_names_are_not_normalizeed_over() -> None:
    train = entry("T/Normal_Videos003_x264", "T/Normal_Videos003_x264.mp4")
    matches = match_files([train], ["Normal_Videos_003_x264.mp4", "Normal_Videos03_x264.mp4"])
    assert matches.files == {}
    assert match_files([train], ["normal videos003.mp4"]).renamed == [train.id]


def test_stems() -> None:
    assert stem_of("a/b.MP4") == "a/b"
    assert stem_of("Bad.Boys.1995__#01-11-55") == "Bad.Boys.1995__#01-11-55"
    assert stem_of("frames/01_0015") == "frames/01_0015"
    assert normalize("Abuse/Abuse028_x264") == normalize("abuse/ABUSE028") == "abuse/abuse028"


@pytest.mark.parametrize("name", DATASETS)
def test_no_two_videos_of_a_benchmark_are_mixed_up(name: str) -> None:
    entries = list(load_dataset(name))
    own = {entry.id: entry.path for entry in entries}
    assert match_files(entries, list(own.values())) == Matches(files=own)
    flat = {id: path.rpartition("/")[2].upper() for id, path in own.items()}
    matches = match_files(entries, sorted(flat.values()))
    wanted = flat if "avenue" not in name else {}  # which has a 01.avi on both sides
    assert {id: matches.files[id] for id in wanted} == wanted
    assert set(matches.files) | set(matches.ambiguous) == set(own)


def test_thousands_are_matched_at_once(benchmark_entries: Callable[[int], list[Entry]]) -> None:
    entries = benchmark_entries(5000)
    matches = match_files(entries, [f"all of it/{e.path}".replace("_", " ") for e in entries])
    assert (len(matches.files), len(matches.renamed)) == (5000, 5000)


@pytest.fixture
def benchmark_entries() -> Callable[[int], list[Entry]]:
    return lambda n: [entry(f"c/{i}_x264", f"c/{i}_x264.mp4") for i in range(n)]
