from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.video.backends import images as pillow_backend
from vad_toolkit.video.open import choose_decoder, open_video
from vad_toolkit.video.probe import probe
from vad_toolkit.video.reader import DecodeStats
from vad_toolkit.video.worker import DecodeWorker

COUNT = 37


@pytest.fixture
def pictures(picture: Callable[[int, int, int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.stack([picture(index, 48, 32) for index in range(COUNT)])


@pytest.fixture
def folder(tmp_path: Path, pictures: NDArray[np.uint8]) -> Path:
    """Frames 3.png to 39.png in a folder with a dot in its name."""
    path = tmp_path / "01.0014"
    path.mkdir()
    for index, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(path / f"{index + 3}.png", compress_level=1)
    return path


def read(path: Path, size: int = 16) -> NDArray[np.uint8]:
    video = open_video(path)
    chunks = list(video.chunks(size))
    video.close()
    video.close()
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert video.stats == DecodeStats(sum(map(len, chunks)), video.info.frames_reported, 0)
    return np.concatenate(chunks)


def test_frames_come_whole_and_in_order(folder: Path, pictures: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(read(folder), pictures)
    np.testing.assert_array_equal(read(folder, size=100), pictures)
    np.testing.assert_array_equal(read(folder, size=1), pictures)


def test_what_is_known_before(folder: Path) -> None:
    info = open_video(folder).info
    assert (info.width, info.height, info.rotation, info.fps) == (48, 32, 0, 0.0)
    assert (info.frames_reported, info.container, info.codec) == (COUNT, "frames", "png")
    assert (info.decoder, choose_decoder(probe(folder))) == ("pillow", "pillow")
    assert info.decoder_version.split(".")[0].isdigit()
    facts = probe(folder)
    assert (facts.samples, facts.frames_estimated, facts.cut, facts.seconds) == (
        37,
        37,
        False,
        None,
    )


def test_a_worker_reads_it_as_a_video(
    worker: DecodeWorker, folder: Path, pictures: NDArray[np.uint8]
) -> None:
    with worker.stream(folder, chunk_frames=16) as stream:
        np.testing.assert_array_equal(np.concatenate(list(stream)), pictures)
    assert stream.info == open_video(folder).info
    (folder / "20.png").unlink()
    with pytest.raises(DecodeError, match=r"01.0014: frame 20 is missing") as caught:
        worker.stream(folder)
    assert caught.value.retry is None


def test_a_closed_stream_leaves_the_worker_usable(worker: DecodeWorker, folder: Path) -> None:
    with worker.stream(folder, chunk_frames=1) as stream:
        next(stream)
    first = worker.pid
    with worker.stream(folder) as stream:
        assert sum(map(len, stream)) == COUNT
    assert worker.pid == first


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_the_decoders_of_files_do_not_read_it(folder: Path, decoder: str) -> None:
    with pytest.raises(
        DecodeError, match=f"is a folder, which decoder {decoder} does not read; use"
    ):
        open_video(folder, decoder)


def test_a_crash_on_a_folder_is_not_tried_again_with_pyav(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("vad_toolkit.video.worker.CHILD_MODULE", "vad_toolkit.no_such_module")
    with DecodeWorker() as worker, pytest.raises(DecodeError, match="crashed") as caught:
        worker.stream(folder)
    assert caught.value.retry is None


def test_an_image_of_another_size_is_named(folder: Path) -> None:
    Image.new("RGB", (50, 32)).save(folder / "9.png")
    with pytest.raises(DecodeError, match=r"9.png: is 50x32, but the first frame is 48x32"):
        read(folder)


def test_a_damaged_image_is_named(folder: Path) -> None:
    path = folder / "30.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DecodeError, match=r"30.png: cannot be read"):
        read(folder)


def test_turned_images_are_upright(tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for index in range(2):
        Image.fromarray(pictures[index]).save(tmp_path / f"{index}.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path), np.rot90(pictures[:2], -1, axes=(1, 2)))
    facts = probe(tmp_path)
    assert (facts.width, facts.height, facts.rotation, facts.upright_size) == (48, 32, 90, (32, 48))


def test_reading_ahead_is_bounded(folder: Path, monkeypatch) -> None:
    seen: list[str] = []
    pixels = pillow_backend._pixels
    monkeypatch.setattr(
        pillow_backend, "_pixels", lambda path: (seen.append(path.name), pixels(path))[1]
    )
    video = open_video(folder)
    next(video.chunks(1))
    video.close()
    assert len(seen) <= 1 + pillow_backend.READ_AHEAD_FRAMES
    seen.clear()
    monkeypatch.setattr(pillow_backend, "READ_AHEAD_BYTES", 1)
    video = open_video(folder)
    next(video.chunks(1))
    video.close()
    assert len(seen) <= 2


def test_a_chunk_of_no_frames_is_refused(folder: Path) -> None:
    video = open_video(folder)
    with pytest.raises(InputError, match="a chunk must have at least 1 frame, got 0"):
        next(video.chunks(0))
    video.close()
