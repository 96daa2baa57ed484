"""Published names and ids."""

from __future__ import annotations

import pytest

from vad_toolkit.datasets.names import NameIndex
from vad_toolkit.errors import ManifestError

IDS = (
    "Abuse/Abuse028_x264",
    "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264",
    "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6",
    "v=S-7rRLrxnVQ__#1_label_B4-0-0",
    "01_0015",
    "01_001",
    "a/same",
    "b/same",
    "clip_i3d",
)


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("Abuse/Abuse028_x264", 0),
        ("Abuse/Abuse028_x264.mp4", 0),
        ("Abuse028_x264.mp4", 0),
        (r"G:\UCF_Test_ten_crop_i3d\Abuse028_x264_i3d.npy", 0),
        ("/data/with space/Abuse028_x264__9.npy\n", 0),
        ("Abuse028", 0),
        ("Normal_Videos_003_x264_rgb.npy", 1),
        ("Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6", 2),
        ("x/Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6__4.npy", 2),
        ("v=S-7rRLrxnVQ__#1_label_B4-0-0__0.npy", 3),
        ("SH_Test_ten_crop_i3d/01_0015_i3d.npy", 4),
        ("01_001.npy", 5),
        ("a/same.npy", 6),
        ("clip_i3d.npy", 8),
        ("clip_i3d_i3d.npy", 8),
    ],
)
def test_a_published_name_finds_its_id(name: str, id: int) -> None:
    assert NameIndex(IDS).find(name) == IDS[id]


@pytest.mark.parametrize("name", ["Abuse02", "Abuse0288_x264", "1_0015", "01_00", "", "same2.npy"])
def test_what_only_looks_alike_finds_nothing(name: str) -> None:
    assert NameIndex(IDS).find(name) is None


def test_folders_of_an_id_tell_it_from_others_below_those_of_another_machine() -> None:
    index = NameIndex(["a/same", "b/same", "c"])
    assert index.find("/data/feats/b/same__3.npy") == "b/same"
    assert index.find("D:\\data\\a\\same_i3d.npy") == "a/same"
    assert index.find("/data/c.npy") == "c"
    with pytest.raises(ManifestError, match="could be any of a/same, b/same"):
        index.find("/data/d/same.npy")


def test_a_name_of_two_videos_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"'same\.npy' could be any of a/same"):
        NameIndex(IDS).find("same.npy")
