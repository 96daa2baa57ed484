"""Masks become events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from vad_toolkit.datasets.building.build import BuiltDataset
from vad_toolkit.datasets.building.masks import mask_events, read_masks, with_masks
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.errors import InputError, ManifestError


@pytest.mark.parametrize(
    ("mask", "events"),
    [
        ([], ()),
        ([0, 0], ()),
        ([1], ((0, 1),)),
        ([0, 1, 1, 0, 255], ((1, 3), (4, 5))),
        ([2, 1, 0], ((0, 2),)),
    ],
)
def test_runs_are_events(mask: list[int], events: tuple[tuple[int, int], ...]) -> None:
    assert mask_events(np.array(mask, np.uint8)) == events
    assert mask_events(np.array(mask, bool)) == events


def test_a_mask_of_pixels_is_refused() -> None:
    with pytest.raises(
        ManifestError, match=r"must have one value per frame, shape \(n,\), got shape \(3, 2\)"
    ):
        mask_events(np.zeros((3, 2), np.uint8))


def write_npy(folder: Path, video: str, mask: Sequence[int]) -> None:
    np.save(folder / f"{video}.npy", np.array(mask, np.uint8))


def write_mat(folder: Path, video: str, mask: Sequence[int]) -> None:
    cell = np.empty((1, len(mask)), object)
    cell[0, :] = [pixels(value) for value in mask]
    savemat(folder / f"{int(video)}_label.mat", {"volLabel": cell})


def write_maps(folder: Path, video: str, mask: Sequence[int], first: int = 0) -> None:
    maps = folder / "Scene1" / f"{video}_annotations"
    maps.mkdir(parents=True)
    (maps / f"{video}_tracks.txt").write_text("1,0,3\n")
    for number, value in enumerate(mask, start=first):
        Image.fromarray(pixels(value)).save(maps / f"{video}_{number:04d}_gt.png")


def pixels(value: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    image = np.zeros((4, 6), np.uint8)
    image[2, 3] = value  # a single one is enough
    return image


WRITERS = (write_npy, write_mat, write_maps)


@pytest.mark.parametrize("write", WRITERS)
def test_masks_are_found_by_the_last_part_of_an_id(
    write: Callable[[Path, str, Sequence[int]], None], tmp_path: Path
) -> None:
    write(tmp_path, "02", [0, 1, 1, 0])
    write(tmp_path, "03", [0, 0, 7])
    masks = read_masks(tmp_path, ["videos/02", "03", "04"])
    assert {id: mask.tolist() for id, mask in masks.items()} == {
        "videos/02": [False, True, True, False],
        "03": [False, False, True],
    }


def test_maps_may_begin_with_1_and_be_coloured(tmp_path: Path) -> None:
    write_maps(tmp_path, "a", [0, 1, 0], first=1)
    maps = tmp_path / "Scene1" / "a_annotations"
    Image.new("RGBA", (4, 4), (0, 0, 0, 255)).save(maps / "a_0001_gt.png")
    palette = Image.fromarray(np.ones((4, 4), np.uint8), mode=None).convert("P")
    palette.putpalette([9, 9, 9, 0, 0, 0])
    palette.save(maps / "a_0003_gt.png")
    assert read_masks(tmp_path, ["a"])["a"].tolist() == [False, True, False]
    Image.fromarray(np.full((4, 4), 256, np.uint16)).save(maps / "a_0001_gt.png")
    assert read_masks(tmp_path, ["a"])["a"].tolist() == [True, True, False]


def test_maps_with_a_hole(tmp_path: Path) -> None:
    write_maps(tmp_path, "a", [0, 1, 0])
    hole = tmp_path / "Scene1" / "a_annotations" / "a_0001_gt.png"
    hole.write_text("no image")
    with pytest.raises(ManifestError, match=r"a_0001_gt.png: not a readable PNG image"):
        read_masks(tmp_path, ["a"])
    hole.unlink()
    with pytest.raises(ManifestError, match=r"a_annotations: the map of frame 1 is missing"):
        read_masks(tmp_path, ["a"])
    (hole.parent / "a_0000_gt.png").unlink()
    with pytest.raises(
        ManifestError, match=r"has no map \.\.\._FRAME_gt.png of the first frame, 0 or 1"
    ):
        read_masks(tmp_path, ["a"])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([0, None], object), r"x.npy: an array of Python objects, .* np.save\(PATH, "),
        (
            np.array([0.0, 1.0]),
            r"x.npy: a mask must have one integer per frame, .* got float64 of shape \(2,\)",
        ),
        (np.zeros((2, 2), np.uint8), r"x.npy: a mask must .*, got uint8 of shape \(2, 2\)"),
        (np.array(["a"]), r"x.npy: a mask must .*, got <U1 of shape \(1,\)"),
        (np.array([], np.uint8), "x.npy: "),
        (None, r"x.npy: not a readable array"),
    ],
)
def test_arrays_that_are_no_masks(
    array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.npy"
    if array is None:
        path.write_text("no array")
    else:
        np.save(path, array, allow_pickle=True)
    with pytest.raises(ManifestError, match=message):
        read_masks(tmp_path, ["x"])


def test_matlab_files_that_are_no_masks(tmp_path: Path) -> None:
    path = tmp_path / "1_label.mat"
    for content, message in (
        ({"other": np.zeros(3)}, "1_label.mat: has no variable volLabel"),
        ({"volLabel": np.zeros((2, 2))}, "volLabel must be a cell with one pixel mask per frame"),
    ):
        savemat(path, content)
        with pytest.raises(ManifestError, match=message):
            read_masks(tmp_path, ["01"])
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\0" * 400)
    with pytest.raises(ManifestError, match=r"a MATLAB 7\.3 file; save it with -v7"):
        read_masks(tmp_path, ["01"])
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ManifestError, match="not a readable MATLAB file"):
        read_masks(tmp_path, ["01"])


def test_folders_that_hold_no_masks(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"holds no masks \(VIDEO.npy, NUMBER_label.mat or"):
        read_masks(tmp_path, ["a"])
    with pytest.raises(InputError, match="not a folder; --masks must name"):
        read_masks(tmp_path / "none", ["a"])
    write_npy(tmp_path, "01", [1])
    write_mat(tmp_path, "01", [1])
    with pytest.raises(
        ManifestError, match=r"01.npy and .*1_label.mat are both masks of video '01'; remove"
    ):
        read_masks(tmp_path, ["01"])


@pytest.fixture
def built(make_entry: Callable[..., Entry]) -> BuiltDataset:
    return BuiltDataset(
        DatasetInfo(name="x"),
        train=(make_entry("t/1", 1), make_entry("t/0", 0)),
        validation=(make_entry("v", 1, container_frames=4),),
        test=(make_entry("s/b", 1, frames=4), make_entry("s/n", 0)),
    )


def test_abnormal_videos_take_their_events_from_masks(built: BuiltDataset, tmp_path: Path) -> None:
    write_npy(tmp_path, "v", [0, 1, 0])
    with pytest.raises(
        ManifestError, match=r"has no mask for 1 abnormal test videos \(first: s/b\); complete"
    ):
        with_masks(built, tmp_path)
    write_npy(tmp_path, "b", [1, 0, 0, 1])
    write_npy(tmp_path, "0", [1])
    done = with_masks(built, tmp_path)
    assert [e.events for e in done.train] == [None, None]
    assert [e.events for e in done.validation] == [((1, 2),)]
    assert [e.events for e in done.test] == [((0, 1), (3, 4)), None]
    write_npy(tmp_path, "1", [1, 1])
    assert with_masks(built, tmp_path).train[0].events == ((0, 2),)


@pytest.mark.parametrize(
    ("video", "mask", "message"),
    [
        ("b", [1, 0, 0], "video 's/b': the mask has 3 frames, but the video has 4"),
        ("v", [1, 0], "video 'v': the mask has 2 frames, but the video has 4 according to its"),
        ("b", [0, 0, 0, 0], "video 's/b' is abnormal, but its mask has no abnormal frame"),
    ],
)
def test_masks_that_do_not_fit(
    built: BuiltDataset, tmp_path: Path, video: str, mask: list[int], message: str
) -> None:
    for name, values in {"v": [0, 1, 1, 1], "b": [0, 1, 1, 1], video: mask}.items():
        write_npy(tmp_path, name, values)
    with pytest.raises(ManifestError, match=message):
        with_masks(built, tmp_path)


def test_the_masks_of_shanghaitech(reference: Path) -> None:
    folder = reference / "annotations" / "shanghaitech"
    rows = (folder / "test_videos.tsv").read_text(encoding="utf-8").splitlines()[1:]
    abnormal = [name for name, label, *_ in map(str.split, rows) if label == "1"]
    masks = [np.load(folder / "test_frame_mask" / f"{name}.npy") for name in abnormal]
    events = [mask_events(mask) for mask in masks]
    assert len(masks) == 44
    assert sum(map(len, masks)) == 17_472
    assert sum(stop - start for video in events for start, stop in video) == 7_962
