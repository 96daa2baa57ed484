from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vad_toolkit.errors import InputError
from vad_toolkit.video.survey import Survey, VideoReport, probe


def one(path: Path, *, decode: bool = False) -> VideoReport:
    (report,) = probe(path, decode=decode, jobs=1).videos
    return report


def test_a_plain_video(plain: Path) -> None:
    report = one(plain)
    assert (report.width, report.height, report.fps, report.frames) == (96, 64, 25.0, 40)
    assert (report.codec, report.container, report.decoder) == ("h264", "mp4", "pyav")
    assert (report.seconds, report.rotation, report.frames_decoded) == (1.6, 0, None)
    assert report.notes == ("small: crops of 224 pixels are enlarged",)
    assert report.problem == ""
    assert one(plain, decode=True).frames_decoded == 40


def test_what_is_unusual_is_noted(make_video, copy_packets) -> None:
    source = make_video("source.mp4", codec_options={"g": "10", "bf": "2"})
    cut = copy_packets(source, "cut.mp4", first_key=2, start=Fraction(1, 2))
    assert "edit list hides 3 frames" in one(cut).notes
    times = [index * 30 + index // 3 * 40 for index in range(40)]
    assert "frame rate varies" in one(make_video("varying.mp4", times=times)).notes
    assert "frame rate varies" not in one(source).notes
    mkv = one(make_video("short.mkv", frames=9, sizes=[(320, 256)]))
    assert mkv.notes == ("no frame count", "short: 9 frames, but a snippet has 16")
    assert one(make_video("turned.mp4", frames=2, rotation=90)).rotation == 90


def test_a_header_that_is_wrong_is_noted(make_video, tmp_path: Path) -> None:
    data = bytearray(make_video("a.avi", codec="mpeg4").read_bytes())
    place = data.index(b"vids") - 8 + 8 + 32  # dwLength of the stream's header
    assert int.from_bytes(data[place : place + 4], "little") == 40
    data[place : place + 4] = (444).to_bytes(4, "little")
    path = tmp_path / "a.avi"
    path.write_bytes(data)
    report = one(path, decode=True)
    assert "header states 444 frames, 40 are in the file" in report.notes
    assert (report.frames_decoded, report.problem) == (40, "")


def test_a_folder_of_frames(tmp_path: Path) -> None:
    folder = tmp_path / "01_0001"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(folder / f"{number:03}.png")
    report = one(folder, decode=True)
    assert (report.container, report.decoder, report.frames_decoded) == ("frames", "pillow", 3)
    assert "no frame rate" in report.notes
    assert "short: 3 frames, but a snippet has 16" in report.notes


def test_what_cannot_be_used_says_why(make_video, tmp_path: Path) -> None:
    whole = make_video("w.mp4", container_options={"movflags": "faststart"}).read_bytes()
    cut, damaged = tmp_path / "cut.mp4", tmp_path / "damaged.mp4"
    cut.write_bytes(whole[: len(whole) * 8 // 10])
    damaged.write_bytes(whole[: len(whole) // 2] + bytes(2000) + whole[len(whole) // 2 + 2000 :])
    assert one(cut).problem.startswith("cut short: ")
    assert one(damaged).problem == ""  # what no look at the container tells
    assert one(damaged, decode=True).problem.startswith("damaged or cut short, frames lost: ")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert one(empty) == VideoReport(empty, problem="is empty (0 bytes)")
    absent = tmp_path / "absent.mp4"
    assert "No such file" in one(absent).problem


def test_the_order_is_that_of_the_videos_and_one_bad_video_is_no_other_ones_harm(
    plain: Path, make_video, tmp_path: Path
) -> None:
    names = [tmp_path / f"{letter}.mp4" for letter in "abcdef"]
    for name in names:
        shutil.copy(plain, name)
    names[2].write_bytes(b"no video" * 100)
    events = []
    reports = probe(names, decode=True, jobs=3, progress=events.append).videos
    assert [report.path for report in reports] == names
    assert [bool(report.problem) for report in reports] == [False] * 2 + [True] + [False] * 3
    assert [event.done for event in events] == list(range(1, 7))


def test_files_that_would_have_one_id_are_noted(plain: Path, tmp_path: Path) -> None:
    one_name, other = tmp_path / "a.mp4", tmp_path / "a.mov"
    for path in (one_name, other):
        shutil.copy(plain, path)
    reports = probe(str(tmp_path), jobs=1).videos
    assert [report.path for report in reports] == [other, one_name]
    assert "the same id as a.mov" in reports[1].notes
    assert "the same id as a.mov" not in reports[0].notes


def test_the_summary_counts_decoded_frames_where_known(plain: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    found = probe([plain, str(empty)], jobs=1)
    assert found.unusable == (VideoReport(empty, problem="is empty (0 bytes)"),)
    assert found.summary == {"videos": 2, "frames": 40, "hours": 0.0, "cannot_be_used": 1}
    counted = Survey((VideoReport(plain, frames=40, frames_decoded=38, seconds=3600.0),))
    assert counted.summary == {"videos": 1, "frames": 38, "hours": 1.0, "cannot_be_used": 0}
    assert found.to_dict()["videos"][1]["path"] == str(empty)


def test_wrong_inputs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="or its sub-folders"):
        probe(tmp_path)
    absent = tmp_path / "absent.mp4"
    assert [report.path for report in probe([absent, absent], jobs=1).videos] == [absent]
    with pytest.raises(InputError, match="jobs must be an integer >= 1, got 0"):
        probe([], jobs=0)
    assert probe([]) == Survey(())
