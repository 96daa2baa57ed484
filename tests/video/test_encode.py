from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.video.encode import write_video
from vad_toolkit.video.open import open_video


def read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.concatenate(list(open_video(path).chunks(16)))


def test_a_video_shows_its_frames(picture, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    frames = [picture(index, 96, 64) for index in range(7)]
    assert write_video(path, iter(frames), fps=15) == 7
    assert abs(read(path).astype(int) - frames).mean() < 8
    video = open_video(str(path))
    assert (video.info.fps, video.info.frames_reported) == (15.0, 7)


def test_no_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frames to encode"):
        write_video(tmp_path / "none.mp4", iter(()), fps=15)
    assert not list(tmp_path.iterdir())
