from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.video.encode import repeat_video, write_video
from vad_toolkit.video.open import open_video


def read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.concatenate(list(open_video(path).chunks(16)))


def test_a_repeated_video_shows_its_frames_over_and_over(picture, tmp_path: Path) -> None:
    source, target = tmp_path / "once.mp4", tmp_path / "thrice.mp4"
    assert write_video(source, (picture(index, 96, 64) for index in range(7)), fps=15) == 7
    assert repeat_video(source, target, 3) == 21
    np.testing.assert_array_equal(read(target), np.concatenate([read(source)] * 3))
    video = open_video(target)
    assert (video.info.fps, video.info.frames_reported) == (15.0, 21)


def test_wrong_values(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frames to encode"):
        write_video(tmp_path / "none.mp4", iter(()), fps=15)
    with pytest.raises(InputError, match="0 times; allowed: 1 or more"):
        repeat_video(tmp_path / "none.mp4", tmp_path / "b.mp4", 0)
    assert not list(tmp_path.iterdir())
