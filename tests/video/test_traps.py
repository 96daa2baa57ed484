"""Files that readers stumble over, with numbered frames: each is read frame by frame as it was
drawn, or refused with the reason, by every decoder that accepts it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.errors import DecodeError
from vad_toolkit.video.open import open_video

FRAMES = 60
Change = Callable[[bytes], bytes]


def read(path: Path, decoder: str = "auto") -> NDArray[np.uint8]:
    video = open_video(path, decoder)
    frames = np.concatenate(list(video.chunks(16)))
    video.close()
    assert video.stats.frames_decoded == len(frames)
    return frames


def read_or_refuse(path: Path, decoder: str) -> NDArray[np.uint8] | None:
    """`read`; None where the video is refused by its name."""
    try:
        return read(path, decoder)
    except DecodeError as error:
        if str(path) not in str(error):
            raise
        return None


def x264(**options: int) -> dict[str, object]:
    values = {"keyint": 12, "min-keyint": 12, "bframes": 3, "scenecut": 0, **options}
    return {"x264-params": ":".join(f"{key}={value}" for key, value in values.items())}


OPEN_H264 = {"codec_options": x264(**{"open-gop": 1})}
H264 = {"codec_options": x264()}
HEVC = {"codec": "libx265", "codec_options": {"x265-params": "log-level=none:keyint=12"}}
MPEG4 = {"codec": "mpeg4", "codec_options": {"g": "12", "bf": "2", "b": "2M"}}
MPEG2 = {"codec": "mpeg2video", "codec_options": {"g": "12", "bf": "2", "b": "2M"}}
VP9 = {"codec": "libvpx-vp9", "codec_options": {"deadline": "realtime", "g": "12"}}
VARYING = [index * 30 + index // 3 * 40 for index in range(FRAMES)]

WHOLE: dict[str, dict[str, object]] = {
    "open_gop.mp4": OPEN_H264,
    "open_gop.mkv": OPEN_H264,
    "open_gop.ts": OPEN_H264,
    "x265.mp4": HEVC,
    "x265.mkv": HEVC,
    "mpeg4.avi": MPEG4,
    "h264.avi": H264,
    "h264.ts": H264,
    "mpeg2.ts": MPEG2,
    "mpeg2.mpg": MPEG2,
    "mpeg4.mkv": MPEG4,
    "mpeg4.mp4": MPEG4,
    "vp9.mkv": VP9,
    "vp9.webm": VP9,
    "varying.mp4": {**H264, "times": VARYING},
    "varying.mkv": {**H264, "times": VARYING},
    "turned.mp4": {**H264, "rotation": 90},
    # A fragmented file and a live one name neither a count nor a duration.
    "fragments.mp4": {**H264, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "live.mkv": {**H264, "container_options": {"live": "1"}},
    "live.webm": {**VP9, "container_options": {"live": "1"}},
}


@pytest.fixture(scope="module")
def trap(make_numbered) -> Callable[[str], Path]:
    """The whole file of WHOLE of this name, made once."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = make_numbered(name, frames=FRAMES, **WHOLE[name])
        return made[name]

    return make


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_read_frame_by_frame(trap, numbers_of, name: str) -> None:
    path = trap(name)
    frames = read(path)
    if name.startswith("turned"):
        frames = np.rot90(frames, 1, axes=(1, 2))
    assert numbers_of(frames) == list(range(FRAMES))
    others = read_or_refuse(path, "decord")
    if others is not None:
        turns = 1 if name.startswith("turned") else 0
        assert numbers_of(np.rot90(others, turns, axes=(1, 2))) == list(range(FRAMES))


@pytest.mark.parametrize("name", ["open_gop.mp4", "x265.mp4", "mpeg4.mp4"])
def test_a_cut_by_stream_copy_starts_where_it_says(
    trap, copy_packets, numbers_of, name: str
) -> None:
    cut = copy_packets(trap(name), f"cut_{name}", first_key=2, start=Fraction(17, 25))
    assert numbers_of(read(cut)) == list(range(17, FRAMES))
    others = read_or_refuse(cut, "decord")
    assert others is None or numbers_of(others) == list(range(17, FRAMES))


def zeros(data: bytes, start: float, stop: float) -> bytes:
    first, last = (round(len(data) * share) for share in (start, stop))
    return data[:first] + bytes(last - first) + data[last:]


DAMAGES: dict[str, Change] = {
    "zeros in the middle": lambda data: zeros(data, 0.4, 0.5),
    "a zero-filled tail": lambda data: zeros(data, 0.7, 1),
    "a short zero-filled tail": lambda data: zeros(data, 0.93, 1),
    "cut short": lambda data: data[: len(data) * 7 // 10],
    "cut short by a little": lambda data: data[: len(data) * 96 // 100 + 1],
}
DAMAGED = ["open_gop.mp4", "open_gop.mkv", "x265.mp4", "x265.mkv", "mpeg4.avi", "h264.avi"]
DAMAGED += ["h264.ts", "mpeg2.ts", "mpeg4.mkv", "mpeg4.mp4", "vp9.mkv", "vp9.webm"]
DAMAGED += ["fragments.mp4", "live.mkv", "live.webm"]


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused(trap, numbers_of, tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    path.write_bytes(DAMAGES[kind](trap(name).read_bytes()))
    for decoder in ("auto", "pyav", "decord"):
        frames = read_or_refuse(path, decoder)
        # What is damaged may be no frame: the index at the end, or a tag.
        assert frames is None or numbers_of(frames) == list(range(FRAMES)), decoder


def test_a_live_file_cut_between_two_clusters_is_whole_as_far_as_it_goes(
    trap, numbers_of, tmp_path: Path
) -> None:
    data = trap("live.mkv").read_bytes()
    path = tmp_path / "live.mkv"
    path.write_bytes(data[: data.rindex(bytes.fromhex("1f43b675"))])
    numbers = numbers_of(read(path))
    assert numbers == list(range(len(numbers)))
    assert 0 < len(numbers) < FRAMES


@pytest.mark.parametrize("count", [1, 5, 16])
def test_lost_transport_packets_are_noticed(trap, tmp_path: Path, count: int) -> None:
    data = trap("h264.ts").read_bytes()
    packets = [data[place : place + 188] for place in range(0, len(data), 188)]
    video = [number for number, packet in enumerate(packets) if packet[1:3] == b"\x01\x00"]
    lost = set(video[len(video) // 2 : len(video) // 2 + count])
    path = tmp_path / "lost.ts"
    path.write_bytes(b"".join(p for number, p in enumerate(packets) if number not in lost))
    with pytest.raises(DecodeError, match="frames lost: "):
        read(path)


@pytest.mark.parametrize("name", ["live.mkv", "vp9.webm", "mpeg4.mkv"])
def test_gaps_where_packets_are_gone_are_filled_on_request(
    trap, numbers_of, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(zeros(trap(name).read_bytes(), 0.4, 0.5))
    with pytest.raises(DecodeError, match=r"damaged at byte \d+: .*, frames lost: \d+ of "):
        read(path)
    video = open_video(path, "auto", FRAMES)
    numbers = numbers_of(np.concatenate(list(video.chunks(16))))
    copies = video.stats.frames_duplicated
    assert copies > 0
    assert len(numbers) + video.stats.frames_missing == FRAMES
    # Every group of pictures after the damage is in its place.
    assert numbers[48:] == list(range(48, len(numbers)))
    assert numbers[:12] == list(range(12))


def test_a_varying_rate_does_not_tell_how_many_are_gone(trap, tmp_path: Path) -> None:
    path = tmp_path / "varying.mkv"
    path.write_bytes(zeros(trap("varying.mkv").read_bytes(), 0.4, 0.5))
    with pytest.raises(
        DecodeError, match="positions of lost frames unknown: its frame rate varies"
    ):
        list(open_video(path, "auto", FRAMES).chunks(16))


def test_numbers_survive_encoding_and_a_changed_block_is_seen(trap, numbers_of) -> None:
    frames = read(trap("vp9.webm"))
    frames[7, :16, :16] = 255 - frames[7, :16, :16]
    numbers = numbers_of(frames)
    assert numbers[7] is None
    assert numbers[8] == 8


def test_tables_of_mp4_that_do_not_agree_are_damage(trap, tmp_path: Path) -> None:
    data = bytearray(trap("mpeg4.mp4").read_bytes())
    position = data.rindex(b"stts") + 8
    assert int.from_bytes(data[position + 4 : position + 8], "big") == FRAMES
    data[position + 7] = FRAMES - 3
    path = tmp_path / "tables.mp4"
    path.write_bytes(data)
    with pytest.raises(DecodeError, match="its tables list 60, 57 and 60 frames"):
        read(path)
