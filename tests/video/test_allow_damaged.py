from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.video.open import open_video
from vad_toolkit.video.reader import DecodeStats
from vad_toolkit.video.worker import DecodeWorker

FRAMES = 40
KINDS = {
    "plain.mp4": {"codec_options": {"g": "10", "bf": "0"}},
    "plain.avi": {"codec": "mpeg4", "codec_options": {"g": "10"}},
    "reordered.mp4": {"codec_options": {"g": "10", "bf": "2"}},
    "reordered.mkv": {"codec_options": {"g": "10", "bf": "2"}},
    "hevc.mp4": {
        "codec": "libx265",
        "codec_options": {
            "x265-params": "log-level=none:keyint=10:open-gop=0:b-adapt=0:bframes=2:b-pyramid=0"
        },
    },
}


def read(path: Path, allow_damaged: int = 0) -> tuple[NDArray[np.uint8], DecodeStats]:
    video = open_video(path, "pyav", allow_damaged)
    frames = np.concatenate(list(video.chunks(16)))
    video.close()
    return frames, video.stats


def packets_of(path: Path) -> list[tuple[int, int, int]]:
    """Position in the file, size and place in the order of display of each packet."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    times = sorted(packet.pts for packet in packets)
    return [(packet.pos, packet.size, times.index(packet.pts)) for packet in packets]


def ends_of_groups(path: Path) -> list[int]:
    """Places of the packets just before key frames, which no other frame is made from."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    return [packets_of(path)[number - 1][2] for number in keys[1:]]


def damage(source: Path, target: Path, places: Sequence[int]) -> Path:
    """Copy a video with zeros instead of the packets that are shown at these places."""
    data = bytearray(source.read_bytes())
    for position, size, place in packets_of(source):
        if place in places:
            # In Matroska the position is that of the block's header.
            start = data.index(_payload(source, place), position)
            data[start : start + size] = bytes(size)
    target.write_bytes(data)
    return target


def _payload(path: Path, place: int) -> bytes:
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return bytes(sorted(packets, key=lambda packet: packet.pts)[place])


@pytest.mark.parametrize("name", KINDS)
def test_lost_frames_become_copies_of_the_one_before(
    make_numbered, numbers_of, tmp_path: Path, name: str
) -> None:
    source = make_numbered(name, **KINDS[name])
    places = ends_of_groups(source)
    assert len(places) == 3
    path = damage(source, tmp_path / name, places)
    with pytest.raises(DecodeError, match=r"frames lost: 3 of 40; allowed: 0 \(--allow-damaged\)"):
        read(path)
    with pytest.raises(DecodeError, match=r"frames lost: 3 of 40; allowed: 2 \(--allow-damaged\)"):
        read(path, 2)
    frames, stats = read(path, 3)
    expected = [place - (place in places) for place in range(FRAMES)]
    assert numbers_of(frames) == expected
    whole, _ = read(source)
    np.testing.assert_array_equal(frames, whole[expected])
    assert (stats.frames_decoded, stats.frames_duplicated, stats.frames_missing) == (FRAMES, 3, 0)


def test_frames_lost_at_the_start_become_copies_of_the_first_good_one(
    make_numbered, numbers_of, tmp_path: Path
) -> None:
    source = make_numbered("start.mp4", codec_options={"g": "5", "bf": "0"})
    path = damage(source, tmp_path / "damaged.mp4", range(5))
    frames, stats = read(path, 5)
    assert numbers_of(frames) == [5] * 5 + list(range(5, FRAMES))
    assert stats.frames_duplicated == 5


def test_frames_missing_at_the_end_are_counted_and_nothing_more(
    make_numbered, numbers_of, tmp_path: Path
) -> None:
    source = make_numbered(
        "cut.mp4",
        codec_options={"g": "10", "bf": "0"},
        container_options={"movflags": "faststart"},
    )
    damaged = damage(source, tmp_path / "damaged.mp4", (9,))
    position = packets_of(source)[35][0]
    damaged.write_bytes(damaged.read_bytes()[:position])
    with pytest.raises(DecodeError, match="frames lost: 6 of 40; allowed: 5"):
        read(damaged, 5)
    frames, stats = read(damaged, 6)
    assert numbers_of(frames) == [*range(9), 8, *range(10, 35)]
    assert stats == DecodeStats(35, FRAMES, 1, 5)


def test_a_matroska_file_cut_short_misses_what_its_duration_tells(
    make_numbered, numbers_of, tmp_path: Path
) -> None:
    source = make_numbered("cut.mkv", codec_options={"g": "10", "bf": "0"})
    path = tmp_path / "cut.mkv"
    path.write_bytes(source.read_bytes()[: packets_of(source)[20][0]])
    with pytest.raises(DecodeError, match=r"cut short: .*, frames lost: 20 of 40; allowed: 19"):
        read(path, 19)
    frames, stats = read(path, 20)
    assert numbers_of(frames) == list(range(20))
    assert stats == DecodeStats(20, 0, 0, 20)


def test_a_whole_video_is_the_same_whatever_is_allowed(make_numbered) -> None:
    path = make_numbered("whole.mp4")
    for allowed in (0, 1, 1000):
        frames, stats = read(path, allowed)
        assert stats == DecodeStats(FRAMES, FRAMES, 0, 0)
        np.testing.assert_array_equal(frames, read(path)[0])


def test_no_place_no_copies(make_numbered, tmp_path: Path) -> None:
    source = make_numbered("reordered.avi", codec_options={"g": "10", "bf": "2"})
    assert len(read(source, 5)[0]) == FRAMES
    path = damage(source, tmp_path / "damaged.avi", (12,))
    with pytest.raises(
        DecodeError, match="none can be allowed, because AVI does not store the times"
    ):
        read(path, 5)


def test_the_worker_passes_it_on(
    worker: DecodeWorker, make_numbered, numbers_of, tmp_path: Path
) -> None:
    source = make_numbered("worker.mp4", codec_options={"g": "10", "bf": "0"})
    path = damage(source, tmp_path / "damaged.mp4", (9,))
    with worker.stream(path, allow_damaged=1) as stream:
        frames = np.concatenate(list(stream))
        assert stream.info.decoder == "pyav"
        assert stream.stats == DecodeStats(FRAMES, FRAMES, 1, 0)
    assert numbers_of(frames)[8:11] == [8, 8, 10]
    with pytest.raises(DecodeError, match="frames lost: 1 of 40; allowed: 0") as caught:
        list(worker.stream(path, "pyav"))
    assert caught.value.retry is None


def test_wrong_allowances_are_refused(worker: DecodeWorker, plain: Path) -> None:
    with pytest.raises(InputError, match="allow_damaged must be an integer >= 0, got -1"):
        worker.stream(plain, allow_damaged=-1)
    with pytest.raises(InputError, match="decoder decord cannot replace lost frames; use decoder"):
        worker.stream(plain, "decord", allow_damaged=1)
