"""Damaged videos with numbered frames: none crashes the parent, none is read out of place.

VAD_FUZZ says how many are tried (default 40; 1,000 before a release). A bit that flips inside a
picture can change it without a trace; how many such videos were accepted is printed.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.errors import DecodeError
from vad_toolkit.video.worker import DecodeWorker

CASES = int(os.environ.get("VAD_FUZZ", "40"))
SEED = int(os.environ.get("VAD_FUZZ_SEED", "0"))
FRAMES = 60
H264 = {"codec": "libx264", "codec_options": {"g": "12", "bf": "2"}}
HEVC = {"codec": "libx265", "codec_options": {"x265-params": "log-level=none:keyint=12"}}
MPEG4 = {"codec": "mpeg4", "codec_options": {"g": "12", "bf": "2", "b": "1M"}}
VP9 = {"codec": "libvpx-vp9", "codec_options": {"g": "12", "deadline": "realtime", "b": "200k"}}
CODECS = {"h264": H264, "hevc": HEVC, "mpeg4": MPEG4, "vp9": VP9}
NAMES = [f"{codec}.{container}" for codec in CODECS for container in ("mp4", "mkv")]
NAMES += ["h264.avi", "mpeg4.avi", "vp9.webm"]


def flip(data: bytearray, generator: random.Random) -> None:
    for _ in range(generator.choice((1, 1, 4, 30))):
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)


def blank(data: bytearray, generator: random.Random) -> None:
    start = generator.randrange(len(data))
    length = min(generator.randrange(1, len(data) // 4), len(data) - start)
    data[start : start + length] = bytes(length)


def cut(data: bytearray, generator: random.Random) -> None:
    del data[generator.randrange(1, len(data)) :]


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, blank, cut)


def verdict(frames: NDArray[np.uint8], whole: NDArray[np.uint8], numbers: list[int | None]) -> str:
    """What became of an accepted video's frames.

    "same": all of them as they were. "changed": each in its place, some with another picture.
    "misread": the same, and a changed picture shows the number of another frame, as damage that
    copies a part of an earlier picture does. "out of place": too many, too few, or moved.
    """
    if frames.shape != whole.shape:
        return "out of place"
    changed = [place for place in range(FRAMES) if (frames[place] != whole[place]).any()]
    for place in changed:
        shown = numbers[place]
        is_moved = shown is not None and shown < FRAMES and (frames[place] == whole[shown]).all()
        if is_moved and shown in changed:  # elsewhere, and not where it belongs
            return "out of place"
    misread = any(numbers[place] not in (place, None) for place in changed)
    return "misread" if misread else "changed" if changed else "same"


@pytest.mark.slow
@pytest.mark.timeout(120 + 2 * CASES)
def test_no_damage_moves_a_frame(
    worker: DecodeWorker, make_numbered, numbers_of, tmp_path: Path
) -> None:
    sources = {
        name: make_numbered(name, frames=FRAMES, **CODECS[name.partition(".")[0]]) for name in NAMES
    }
    whole: dict[str, NDArray[np.uint8]] = {}
    for name, path in sources.items():
        with worker.stream(path) as stream:
            whole[name] = np.concatenate(list(stream))
        assert numbers_of(whole[name]) == list(range(FRAMES))
    generator = random.Random(SEED)
    counts: Counter[str] = Counter()
    kinds: Counter[tuple[str, str]] = Counter()
    crashes = 0
    for case in range(CASES):
        name, damage = NAMES[case % len(NAMES)], generator.choice(DAMAGES)
        data = bytearray(sources[name].read_bytes())
        damage(data, generator)
        path = tmp_path / name
        path.write_bytes(data)
        try:
            with worker.stream(path) as stream:
                frames = np.concatenate(list(stream))
        except DecodeError as error:
            found = "refused"
            crashes += "the decoder crashed" in str(error)
        else:
            found = verdict(frames, whole[name], numbers_of(frames))
        counts[found] += 1
        kinds[name, found] += 1
        assert found != "out of place", f"{case} {name} {damage.__name__} {numbers_of(frames)}"
    print(f"{CASES} damaged videos: {dict(counts)}; children that crashed: {crashes}")
    print({f"{name} {found}": count for (name, found), count in sorted(kinds.items())})
    assert counts["refused"] > 0
    assert counts.total() == CASES


def test_the_verdict_knows_a_moved_frame() -> None:
    whole = np.arange(FRAMES, dtype=np.uint8)[:, None].repeat(3, axis=1)
    numbers: list[int | None] = list(range(FRAMES))
    assert verdict(whole, whole, numbers) == "same"
    assert verdict(whole[1:], whole, numbers[1:]) == "out of place"
    order = [*range(10), 11, 10, *range(12, FRAMES)]
    assert verdict(whole[order], whole, list(order)) == "out of place"
    changed = whole.copy()
    changed[5, 0] = 99
    assert verdict(changed, whole, numbers) == "changed"
    again = [*range(10), 9, *range(11, FRAMES)]
    assert verdict(whole[again], whole, list(again)) == "misread"
