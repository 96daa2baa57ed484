"""The registry of layouts, and layouts recognized by names and shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.registry import find_layout, guess_layout


@pytest.mark.parametrize(
    ("names", "shape", "layout"),
    [
        (["a_rgb.npy", "a_flow.npy"], (3, 8), "video-features"),
        (["a.txt", "b.TXT"], (32, 8), "sultani"),
        (["a__0.npy", "a__1.npy"], (3, 8), "per-crop"),
        (["a.npy"], (3, 8), "per-crop"),
        (["a_i3d.npy"], (3, 10, 8), "rtfm"),
        (["a_i3d.npy"], (10, 10, 8), "rtfm"),
        (["a.npy"], (10, 3, 8), "ten-first"),
        (["a.npy"], (3, 1, 8), "rtfm"),
    ],
)
def test_guess(names: list[str], shape: tuple[int, ...], layout: str, tmp_path: Path) -> None:
    for name in names:
        with (tmp_path / name).open("wb") as file:
            np.save(file, np.zeros(shape, np.float32))
    assert guess_layout([tmp_path / name for name in names]).name == layout


def test_a_file_that_is_not_an_array(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_text("hello")
    with pytest.raises(InputError, match=r"a.npy is not a feature array"):
        guess_layout([tmp_path / "a.npy"])


@pytest.mark.parametrize(("last", "layout"), [(32, "sultani"), (33, "per-crop")])
def test_segments_are_recognized_by_all_files(last: int, layout: str, tmp_path: Path) -> None:
    for name, rows in (("a.npy", 32), ("b.npy", 32), ("c.npy", last)):
        np.save(tmp_path / name, np.zeros((rows, 8), np.float32))
    assert guess_layout(sorted(tmp_path.iterdir())).name == layout


def test_a_shape_that_no_layout_has(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((40, 9, 8), np.float32))
    with pytest.raises(
        InputError, match=r"a.npy has shape \(40, 9, 8\), which no layout has; avai"
    ):
        guess_layout([tmp_path / "a.npy"])


def test_an_unknown_layout() -> None:
    with pytest.raises(InputError, match="unknown layout 'xd'; available: rtfm, per-crop, ten-fir"):
        find_layout("xd")
