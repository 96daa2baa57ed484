from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.video.backends import decord as decord_backend
from vad_toolkit.video.open import choose_decoder, open_video
from vad_toolkit.video.probe import probe
from vad_toolkit.video.reader import DecodeStats, VideoInfo


def read(path: Path, decoder: str, size: int = 16) -> tuple[NDArray[np.uint8], VideoInfo]:
    """All frames of a video; checks the chunks and the counts on the way."""
    video = open_video(path, decoder)
    chunks = list(video.chunks(size))
    video.close()
    video.close()
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert 1 <= len(chunks[-1]) <= size
    frames = np.concatenate(chunks)
    assert video.stats == DecodeStats(len(frames), video.info.frames_reported, 0)
    assert frames.shape[1:] == (video.info.height, video.info.width, 3)
    return frames, video.info


def assert_backends_agree(path: Path, count: int) -> None:
    ours, info = read(path, "pyav")
    theirs, other = read(path, "decord", size=7)
    assert len(ours) == len(theirs) == count
    np.testing.assert_array_equal(ours, theirs)
    assert (info.width, info.height, info.rotation) == (other.width, other.height, other.rotation)


KINDS = {
    "h264.mp4": {},
    "h264.mkv": {},
    "open_gop.mp4": {"codec_options": {"x264-params": "open-gop=1:keyint=12:bframes=3"}},
    "fragments.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "varying_rate.mp4": {"times": [index * 30 + index // 3 * 40 for index in range(40)]},
    "full_range.mkv": {"pixels": "yuvj420p"},
    "444.mp4": {"pixels": "yuv444p", "sizes": [(97, 65)]},
    "422.mp4": {"pixels": "yuv422p"},
    "ffv1.mkv": {"codec": "ffv1"},
    "vp9.webm": {"codec": "libvpx-vp9", "codec_options": {"deadline": "realtime"}},
    "flash.flv": {"codec": "flv1"},
    "windows.wmv": {"codec": "wmv2"},
    "mpeg2.mpg": {"codec": "mpeg2video"},
}


@pytest.mark.parametrize("name", KINDS)
def test_backends_give_equal_bytes(make_video, name: str) -> None:
    assert_backends_agree(make_video(name, **KINDS[name]), 40)


@pytest.mark.parametrize("name", KINDS)
def test_decord_is_the_default_where_it_cannot_hide_damage(make_video, name: str) -> None:
    path = make_video(name, **{"frames": 2, **KINDS[name]})
    assert choose_decoder(probe(path)) == ("decord" if name in ("vp9.webm", "ffv1.mkv") else "pyav")


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotated_videos_are_turned_upright_by_both(make_video, rotation: int) -> None:
    path = make_video("turned.mp4", frames=3, rotation=rotation)
    plain, _ = read(make_video("plain.mp4", frames=3), "pyav")
    turned, info = read(path, "pyav")
    np.testing.assert_array_equal(turned, np.rot90(plain, -rotation // 90, axes=(1, 2)))
    assert info.rotation == rotation
    assert_backends_agree(path, 3)


HEVC = {"codec": "libx265", "codec_options": {"x265-params": "log-level=none"}}
PYAV_KINDS = {
    "hevc.mp4": HEVC,
    "mpeg4.avi": {"codec": "mpeg4"},
    "h264.avi": {},
    "stream.ts": {},
    "loop.gif": {"codec": "gif", "pixels": "rgb8"},
}


@pytest.mark.parametrize("name", PYAV_KINDS)
def test_pyav_reads_what_decord_reads_wrongly(make_video, name: str) -> None:
    path = make_video(name, **PYAV_KINDS[name])
    assert choose_decoder(probe(path)) == "pyav"
    frames, info = read(path, "auto")
    assert len(frames) == 40
    assert info.decoder == "pyav"


def test_whole_hevc_is_equal_in_both(make_video) -> None:
    assert_backends_agree(make_video("hevc.mkv", **HEVC), 40)


def test_a_cut_by_stream_copy_gives_what_a_player_shows(make_video, copy_packets) -> None:
    source = make_video("source.mp4", codec_options={"g": "10", "bf": "2"})
    cut = copy_packets(source, "cut.mp4", first_key=2, start=Fraction(1, 2))
    whole, _ = read(source, "auto")
    frames, info = read(cut, "auto")
    np.testing.assert_array_equal(frames, whole[13:])
    assert info.decoder == "pyav"
    assert info.frames_reported > len(frames)
    with pytest.raises(DecodeError, match=r"cut.mp4: Decord returned \d+ of \d+ frames"):
        read(cut, "decord")


def test_an_edit_list_that_hides_frames_sends_a_file_to_pyav(
    make_numbered, copy_packets, numbers_of
) -> None:
    options = {"deadline": "realtime", "g": "10"}
    source = make_numbered("source.mp4", codec="libvpx-vp9", codec_options=options)
    whole, cut = probe(source), probe(copy_packets(source, "cut.mp4", 2, Fraction(1, 2)))
    assert (whole.cut, choose_decoder(whole)) == (False, "decord")
    assert (cut.cut, cut.samples, choose_decoder(cut)) == (True, 27, "pyav")
    frames, info = read(cut.path, "auto")
    assert info.decoder == "pyav"
    assert numbers_of(frames) == list(range(13, 40))  # from 0.5 s on, at 25 frames per second


def test_pictures_of_another_size_are_scaled_to_the_first(make_video) -> None:
    options = {"bf": "0", "x264-params": "repeat-headers=1"}
    path = make_video("s.ts", frames=5, sizes=[(96, 64), (64, 48)], codec_options=options)
    frames, info = read(path, "pyav")
    assert (info.width, info.height, len(frames)) == (96, 64, 10)
    assert frames[5:].std() > 10  # pictures, not padding


def test_lossless_frames_come_back_as_they_went_in(make_video, picture) -> None:
    shown, _ = read(make_video("exact.mkv", codec="ffv1", pixels="bgr0"), "auto")
    np.testing.assert_array_equal(shown, [picture(index, 96, 64) for index in range(40)])


def test_videos_too_long_for_decords_memory_go_to_pyav(
    make_video, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = make_video("plain.mkv", **KINDS["vp9.webm"])
    size = 40 * 96 * 64 * 3
    monkeypatch.setattr(decord_backend, "MEMORY_LIMIT", size)
    assert choose_decoder(probe(plain)) == "decord"
    monkeypatch.setattr(decord_backend, "MEMORY_LIMIT", size - 1)
    assert choose_decoder(probe(plain)) == "pyav"
    with pytest.raises(DecodeError, match=r"Decord may hold 0.0 GiB .* use decoder pyav"):
        open_video(plain, "decord")


def test_unknown_decoders_and_empty_chunks_are_refused(plain: Path) -> None:
    with pytest.raises(InputError, match="unknown decoder 'opencv'; available: auto, pyav, decord"):
        open_video(plain, "opencv")
    for decoder in ("decord", "pyav"):
        with pytest.raises(InputError, match="a chunk must have at least 1 frame, got 0"):
            next(iter(open_video(plain, decoder).chunks(0)))


# Real files: frames, width, height, rotation, decoder.
REAL = {
    "video/edge_cases/h265_video.mp4": (10, 128, 128, 0, "pyav"),
    "video/edge_cases/nasa_13013.mp4": (390, 480, 270, 0, "pyav"),
    "video/edge_cases/tree.avi": (68, 320, 240, 0, "pyav"),
    "video/edge_cases/unordered.mov": (4, 50, 50, 0, "pyav"),
    "video/edge_cases/video_0.mov": (3, 568, 320, 0, "pyav"),
    "video/edge_cases/video_90.mov": (3, 320, 568, 90, "pyav"),
    "i3d/v_CricketShot_g04_c01_rgb.gif": (79, 224, 224, 0, "pyav"),
    "cctv_fights/fight/fi001.mp4": (53, 480, 360, 0, "pyav"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files(reference: Path, name: str) -> None:
    frames, info = read(reference / name, "auto")
    shape = (len(frames), info.width, info.height, info.rotation, info.decoder)
    assert shape == REAL[name]
    if name.endswith((".mp4", ".mov")) and len(frames) < 100:
        assert_backends_agree(reference / name, len(frames))


def test_a_header_that_reports_too_much_is_no_damage(reference: Path) -> None:
    video = open_video(reference / "video/edge_cases/tree.avi")
    assert sum(map(len, video.chunks(16))) == 68
    assert video.stats == DecodeStats(68, 444, 0)


def test_pictures_that_cannot_become_rgb_are_an_error(plain: Path) -> None:
    class Refuses:
        def reformat(self, *_: object, **__: object) -> None:
            raise av.FFmpegError(22, "Invalid argument")

    video = open_video(plain, "pyav")
    video._reformatter = Refuses()
    with pytest.raises(DecodeError, match="format yuv420p cannot be converted to RGB"):
        next(iter(video.chunks(1)))


def test_a_real_damaged_file_is_refused_by_both(reference: Path) -> None:
    path = reference / "video/edge_cases/corrupted.mp4"
    with pytest.raises(DecodeError, match=r"corrupted.mp4: Decord returned \d+ of 50"):
        read(path, "decord")
    with pytest.raises(DecodeError, match="frames lost: 2 of 50") as caught:
        read(path, "pyav")
    assert caught.value.retry is None


Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "cut short": (lambda data: data[: len(data) * 6 // 10], r"frames lost: \d+ of 40"),
    "zeros in the middle": (
        lambda data: data[: len(data) // 2] + bytes(2000) + data[len(data) // 2 + 2000 :],
        r"frames lost: \d+ of 40",
    ),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_says_how_many_frames_are_lost(plain: Path, tmp_path: Path, kind: str) -> None:
    damage, message = DAMAGES[kind]
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damage(plain.read_bytes()))
    with pytest.raises(DecodeError, match=message) as caught:
        read(path, "pyav")
    assert caught.value.retry is None
    with pytest.raises(DecodeError) as caught:
        read(path, "decord")
    assert caught.value.retry is None


def test_pictures_that_vanish_without_an_error_are_lost(make_video, copy_packets) -> None:
    source = make_video("source.mkv", codec_options={"bf": "0"})
    path = copy_packets(source, "gap.mkv", blank=(10, 20))
    with pytest.raises(DecodeError, match="frames lost: 2 of 40"):
        read(path, "pyav")


def test_a_matroska_file_cut_short_is_known_by_its_size(make_video, tmp_path: Path) -> None:
    data = make_video("whole.mkv", codec="ffv1").read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(data[: len(data) // 2])
    for decoder in ("auto", "decord", "pyav"):
        with pytest.raises(DecodeError, match=r"cut.mkv: cut short: \d+ of \d+ bytes are there"):
            read(path, decoder)


def test_a_recording_that_starts_between_key_frames_is_good(make_video, copy_packets) -> None:
    options = {"x265-params": "log-level=none:keyint=12:min-keyint=12:open-gop=1:bframes=3"}
    source = make_video("source.mkv", codec="libx265", codec_options=options)
    path = copy_packets(source, "started_late.mkv", first_key=2)
    frames, info = read(path, "auto")
    whole, _ = read(source, "pyav")
    np.testing.assert_array_equal(frames, whole[-len(frames) :])
    assert info.decoder == "pyav"
    with pytest.raises(DecodeError, match="more than 0 duplicate frames"):
        read(path, "decord")  # it would show copies in the place of the leading pictures
