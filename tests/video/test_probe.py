from __future__ import annotations

import os
import re
import wave
from fractions import Fraction
from pathlib import Path

import pytest

from vad_toolkit.errors import DecodeError
from vad_toolkit.video.probe import probe


def test_facts_of_a_plain_video(plain: Path) -> None:
    facts = probe(plain)
    assert (facts.width, facts.height, facts.rotation, facts.fps) == (96, 64, 0, 25.0)
    assert (facts.frames_reported, facts.samples, facts.frames_estimated) == (40, 40, 40)
    assert facts.codec == "h264"
    assert facts.has_container("mp4")
    assert not facts.cut


def test_an_edit_list_that_hides_frames_is_a_cut(make_video, copy_packets) -> None:
    source = make_video("source.mp4", codec_options={"g": "10", "bf": "2"})
    facts = probe(copy_packets(source, "cut.mp4", first_key=2, start=Fraction(1, 2)))
    assert facts.cut
    assert facts.samples == 40 - 13  # frames from 0.5 s on, at 25 a second
    assert facts.frames_reported > facts.samples


def test_rotation_is_clockwise_and_swaps_the_sides(make_video) -> None:
    facts = probe(make_video("turned.mov", frames=2, rotation=90))
    assert facts.rotation == 90
    assert facts.upright_size == (64, 96)


def test_matroska_names_no_count_but_a_duration(make_video) -> None:
    facts = probe(make_video("plain.mkv"))
    assert (facts.frames_reported, facts.samples, facts.frames_estimated) == (0, None, 40)
    assert facts.seconds == pytest.approx(1.6)


def no_video(folder: Path) -> dict[str, Path]:
    """Files that are no video, and what is said of each."""
    empty, text, sound, playlist = (
        folder / name for name in ("empty.mp4", "text.mp4", "sound.mp4", "playlist.mp4")
    )
    empty.touch()
    text.write_text("this is not a video\n" * 100)
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    playlist.write_text("ffconcat version 1.0\nfile /etc/hostname\n")
    os.mkfifo(folder / "pipe.mp4")
    return {
        "is empty (0 bytes)": empty,
        "not a readable video (Invalid data found when processing input)": text,
        "has no video stream": sound,
        "not a readable video (": playlist,
        "is not a regular file": folder / "pipe.mp4",
        "is a folder without numbered images": folder,
        "cannot be opened (No such file or directory)": folder / "absent.mp4",
        "cannot be opened (embedded null byte)": folder / "a\0b.mp4",
    }


def test_what_is_no_video_is_refused_in_plain_words(tmp_path: Path) -> None:
    for message, path in no_video(tmp_path).items():
        with pytest.raises(DecodeError, match=re.escape(f"{path}: {message}")):
            probe(path)


def test_an_mp4_without_its_index_is_said_to_be_cut_short(tmp_path: Path, make_video) -> None:
    whole = make_video("index_at_the_end.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DecodeError, match="an MP4 file without its index, cut short"):
        probe(path)
