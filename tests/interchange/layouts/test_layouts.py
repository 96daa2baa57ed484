"""Each layout reads back the blocks that it writes, and refuses other shapes with a hint."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.feature_reader import HalfRounder, half_blocks
from vad_toolkit.interchange.layouts.layout import FileName
from vad_toolkit.interchange.layouts.registry import find_layout
from vad_toolkit.packs.video import array_blocks

CASES = [
    ("rtfm", 40, 10),
    ("rtfm", 40, 5),
    ("rtfm", 40, 1),
    ("per-crop", 40, 10),
    ("per-crop", 40, 5),
    ("per-crop", 40, 1),
    ("ten-first", 40, 10),
    ("ten-first", 40, 5),
    ("video-features", 40, 1),
    ("sultani", 32, 1),
]


def features(snippets: int, crops: int) -> np.ndarray:
    rng = np.random.default_rng(snippets * crops)
    return rng.standard_normal((snippets, crops, 8)).astype(np.float16)


def files_of(name: str, folder: Path, crops: int) -> list[Path]:
    return [folder / file for file in find_layout(name).file_names("a b#=ä", "rgb", crops)]


@pytest.mark.parametrize(("name", "snippets", "crops"), CASES)
def test_round_trip(name: str, snippets: int, crops: int, tmp_path: Path) -> None:
    written = features(snippets, crops)
    paths = files_of(name, tmp_path, crops)
    layout = find_layout(name)
    layout.write(paths, array_blocks(written))
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    with closing(layout.open(paths)) as reader:
        assert reader.shape == written.shape
        for start, stop in ((0, 16), (16, snippets), (3, 5)):
            np.testing.assert_array_equal(reader.read(start, stop), written[start:stop])
    blocks = half_blocks(layout.open(paths), snippets - 1, HalfRounder(), paths[0])
    assert blocks.shape == (snippets - 1, crops, 8)
    np.testing.assert_array_equal(np.concatenate(list(blocks.blocks)), written[:-1])


@pytest.mark.parametrize(("name", "snippets", "crops"), CASES)
def test_numpy_reads_the_written_files(
    name: str, snippets: int, crops: int, tmp_path: Path
) -> None:
    written = features(snippets, crops)
    paths = files_of(name, tmp_path, crops)
    find_layout(name).write(paths, array_blocks(written))
    if name == "sultani":
        assert np.loadtxt(paths[0]).shape == (32, 8)
        return
    arrays = [np.load(path, allow_pickle=False) for path in paths]
    dtype = np.float64 if name == "video-features" else np.float32
    assert all(array.dtype == dtype for array in arrays)
    whole = {
        "rtfm": lambda: arrays[0],
        "per-crop": lambda: np.stack(arrays, axis=1),
        "ten-first": lambda: arrays[0].transpose(1, 0, 2),
        "video-features": lambda: arrays[0][:, None],
    }[name]()
    np.testing.assert_array_equal(whole, written)


@pytest.mark.parametrize(
    ("name", "path", "parsed"),
    [
        ("rtfm", "a/Abuse028_x264_i3d.npy", FileName("a/Abuse028_x264_i3d.npy")),
        ("per-crop", "a/x__7.npy", FileName("a/x", 7)),
        ("per-crop", "A.1995__#01_label_G__4.npy", FileName("A.1995__#01_label_G", 4)),
        ("per-crop", "Bad.Boys.1995__#01.npy", FileName("Bad.Boys.1995__#01.npy")),
        ("per-crop", "x__12.npy", FileName("x__12.npy")),
        ("video-features", "a/x_flow.npy", FileName("a/x", stream="flow")),
        ("video-features", "x_rgb_rgb.npy", FileName("x_rgb", stream="rgb")),
        ("video-features", "x_fps.npy", None),
        ("sultani", "x_C.txt", FileName("x_C.txt")),
    ],
)  # fmt: skip
def test_names(name: str, path: str, parsed: FileName | None) -> None:
    assert find_layout(name).parse(path) == parsed


@pytest.mark.parametrize(
    ("name", "shapes", "match"),
    [
        ("rtfm", [(10, 40, 8)], r"a0.npy has shape \(10, 40, 8\); layout rtfm has \(snippets, 10, "
         r"5 or 1 crops, dimensions\): it looks like --layout ten-first"),
        ("rtfm", [(40, 8)], r"it looks like --layout per-crop or video-features"),
        ("rtfm", [(40, 9, 8)], r"has shape \(40, 9, 8\); .*: check --layout"),
        ("rtfm", [(0, 10, 8)], r"has shape \(0, 10, 8\); .*: no axis may be empty"),
        ("rtfm", [()], r"has shape \(\); layout rtfm"),
        ("ten-first", [(40, 10, 8)], r"layout ten-first has \(10, 5 or 1 crops, snippets, "
         r"dimensions\): it looks like --layout rtfm"),
        ("ten-first", [(40, 8)], r"it looks like --layout per-crop or video-features"),
        ("per-crop", [(40, 10, 8)], r"it looks like --layout rtfm"),
        ("per-crop", [(40, 8)] * 9, r"the video of .*a0.npy has 9 crops; it must have 10, 5 or 1"),
        ("per-crop", [(40, 8)] * 4 + [(41, 8)], r"a4.npy is float32 \(41, 8\) but .*a0.npy is "
         r"float32 \(40, 8\); all crops of a video must be alike"),
        ("video-features", [(40, 1, 8)], r"layout video-features has \(snippets, dimensions\)"),
        ("sultani", [(31, 8)], r"has shape \(31, 8\); layout sultani has \(32, dimensions\)"),
    ],
)  # fmt: skip
def test_other_shapes_are_refused(
    name: str, shapes: Sequence[tuple[int, ...]], match: str, tmp_path: Path
) -> None:
    paths = [tmp_path / f"a{number}.npy" for number in range(len(shapes))]
    for path, shape in zip(paths, shapes, strict=True):
        np.save(path, np.zeros(shape, np.float32))
    with pytest.raises(InputError, match=match):
        find_layout(name).open(paths)


def test_crops_of_two_dtypes_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / f"a__{number}.npy" for number in range(5)]
    for number, path in enumerate(paths):
        np.save(path, np.zeros((3, 8), np.float64 if number == 2 else np.float32))
    with pytest.raises(InputError, match=r"a__2.npy is float64 \(3, 8\) but .*a__0.npy is float32"):
        find_layout("per-crop").open(paths)


def test_a_text_of_other_rows_is_refused(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.txt", np.zeros((31, 8)))
    match = r"a.txt has shape \(31, 8\); layout sultani has \(32, dimensions\): check --layout"
    with pytest.raises(InputError, match=match):
        find_layout("sultani").open([tmp_path / "a.txt"])


def test_sultani_as_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((32, 8), np.float32))
    with closing(find_layout("sultani").open([tmp_path / "a.npy"])) as reader:
        assert reader.shape == (32, 1, 8)
        np.testing.assert_array_equal(reader.read(30, 32), np.ones((2, 1, 8)))


def test_an_archive_of_finspire(tmp_path: Path) -> None:
    written = features(20, 10)
    np.savez_compressed(tmp_path / "a.npz", feature=written.transpose(1, 0, 2))
    with closing(find_layout("ten-first").open([tmp_path / "a.npz"])) as reader:
        np.testing.assert_array_equal(reader.read(5, 20), written[5:20])


@pytest.mark.parametrize(
    ("name", "snippets", "crops", "match"),
    [
        ("video-features", 40, 10, "layout video-features stores the center crop only, got 10"),
        ("sultani", 40, 1, "layout sultani stores 32 rows of one crop, got 40 snippets of 1"),
        ("sultani", 32, 10, "layout sultani stores 32 rows of one crop, got 32 snippets of 10"),
    ],
)
def test_features_that_a_layout_does_not_hold(
    name: str, snippets: int, crops: int, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        find_layout(name).check((snippets, crops, 8))


@pytest.mark.parametrize(("number", "match"), [(np.nan, "NaN"), (7e4, "70000, but float16 ends")])
def test_numbers_that_float16_does_not_hold(number: float, match: str, tmp_path: Path) -> None:
    array = np.zeros((20, 10, 8), np.float32)
    array[17, 3, 2] = number
    path = tmp_path / "a_i3d.npy"
    np.save(path, array)
    blocks = half_blocks(find_layout("rtfm").open([path]), 20, HalfRounder(), path)
    with pytest.raises(InputError, match=rf"a_i3d.npy contains {match}.*; packs store finite"):
        list(blocks.blocks)
