from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from vad_toolkit.errors import DecodeError
from vad_toolkit.video import image as module
from vad_toolkit.video.image import read_image

Pixels = NDArray[np.uint8]


@pytest.fixture
def pixels() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Save a picture under a name, whose suffix says how; gives the path."""

    def save(picture: Image.Image, name: str = "0.png", **options: object) -> Path:
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return save


MODES = {
    "0.png": ("RGB", "L", "1", "P"),
    "0.bmp": ("RGB", "L", "1", "P"),
    "0.tif": ("RGB", "L", "1", "P", "CMYK"),
    "0.JPG": ("RGB", "L", "CMYK"),
}


@pytest.mark.parametrize(
    ("name", "mode"), [(name, mode) for name, modes in MODES.items() for mode in modes]
)
def test_pixels_are_pillows(pixels: Pixels, save, mode: str, name: str) -> None:
    path = save(Image.fromarray(pixels).convert(mode), name)
    picture = read_image(path)
    with Image.open(path) as opened:
        np.testing.assert_array_equal(picture.pixels, np.asarray(opened.convert("RGB")))
        assert picture.codec == str(opened.format).lower()
    assert picture.rotation == 0
    assert picture.pixels.dtype == np.uint8


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_packed_tiffs_are_read(pixels: Pixels, save, compression: str) -> None:
    path = save(Image.fromarray(pixels), "0.tif", compression=compression)
    np.testing.assert_array_equal(read_image(path).pixels, pixels)


@pytest.mark.parametrize("name", ["0.png", "0.tif"])
def test_sixteen_bit_greys_are_scaled_not_cut(save, name: str) -> None:
    values = np.array([[0, 128, 129, 257 * 7], [257 * 200 + 128, 257 * 200 + 129, 65407, 65535]])
    pixels = read_image(save(Image.fromarray(values.astype(np.uint16)), name)).pixels
    np.testing.assert_array_equal(pixels[:, :, 0], np.rint(values / 257))
    np.testing.assert_array_equal(pixels, np.repeat(pixels[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_opaque_alpha_channel_is_dropped(pixels: Pixels, save, mode: str) -> None:
    picture = Image.fromarray(pixels).convert(mode)
    read = read_image(save(picture)).pixels
    np.testing.assert_array_equal(read, np.asarray(picture.convert("RGB")))


def see_through(pixels: Pixels) -> dict[str, tuple[Image.Image, dict[str, object]]]:
    plain = Image.fromarray(pixels)
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[0, 0] = 254
    grey16 = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 100)
    with_alpha = plain.copy()
    with_alpha.putalpha(Image.fromarray(alpha))
    palette = plain.quantize(4)
    return {
        "alpha": (with_alpha, {}),
        "palette": (palette, {"transparency": palette.getpixel((0, 0))}),
        "a color": (plain, {"transparency": tuple(map(int, pixels[0, 0]))}),
        "a grey of 16 bits": (grey16, {"transparency": int(pixels[0, 0, 0]) * 100}),
    }


@pytest.mark.parametrize("kind", ["alpha", "palette", "a color", "a grey of 16 bits"])
def test_transparent_pixels_are_refused(pixels: Pixels, save, kind: str) -> None:
    picture, options = see_through(pixels)[kind]
    with pytest.raises(DecodeError, match=r"0.png: has transparent pixels; flatten it"):
        read_image(save(picture, **options))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["0.jpg", "0.png", "0.tif"])
def test_the_exif_orientation_is_applied(pixels: Pixels, save, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = save(Image.fromarray(pixels), name, exif=exif)
    picture = read_image(path)
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    np.testing.assert_array_equal(picture.pixels, np.asarray(upright))
    if orientation in (1, 3, 6, 8):
        assert picture.rotation == {1: 0, 3: 180, 6: 90, 8: 270}[orientation]
    assert (picture.rotation in (90, 270)) == (orientation > 4)


def test_an_orientation_that_is_none_is_passed_over(pixels: Pixels, save) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 77
    assert read_image(save(Image.fromarray(pixels), exif=exif)).rotation == 0


def png(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, and that has no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        rest = kind + data
        return struct.pack(">I", len(data)) + rest + struct.pack(">I", zlib.crc32(rest))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def damaged(pixels: Pixels) -> dict[str, tuple[bytes, str]]:
    plain = Image.fromarray(pixels)
    jpeg, whole = encoded(plain, "JPEG"), encoded(plain, "PNG")
    pages = encoded(plain, "TIFF", save_all=True, append_images=[plain])
    return {
        "empty": (b"", r"is empty \(0 bytes\)"),
        "text": (b"no picture", "is not a JPEG, PNG, BMP or TIFF image"),
        "another format": (encoded(plain, "GIF"), "is not a JPEG, PNG, BMP or TIFF image"),
        "cut JPEG": (jpeg[:-20], r"cannot be read \(image file is truncated"),
        "cut PNG": (whole[:-40], "cannot be read"),
        "mark alone": (jpeg[:4], "cannot be read"),
        "bomb": (png(20_000, 20_000), "its header claims 20000x20000 pixels, over the limit of 67"),
        "bomb of bombs": (png(2**31 - 1, 2**31 - 1), "its header claims 2147483647x2147483647"),
        "two pages": (pages, "has 2 pictures; each file must be one frame"),
        "floats": (
            encoded(plain.convert("F"), "TIFF"),
            "pixels of type F.* are not supported; use 8-bit RGB",
        ),
    }


DAMAGED = tuple(damaged(np.zeros((6, 8, 3), np.uint8)))


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_no_whole_picture_is_refused_by_name(
    pixels: Pixels, tmp_path: Path, kind: str
) -> None:
    data, message = damaged(pixels)[kind]
    path = tmp_path / "007.jpg"
    path.write_bytes(data)
    with pytest.raises(DecodeError, match=f"007.jpg: {message}") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_odd_headers_are_no_warnings(pixels: Pixels, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a maker of cameras"
    data = encoded(Image.fromarray(pixels), "JPEG", exif=exif)
    path = tmp_path / "0.jpg"
    path.write_bytes(data.replace(b"\x00\x00\x00\x13\x00\x00\x00", b"\x00\x00\x7f\x13\x00\x00\x00"))
    assert path.read_bytes() != data
    with pytest.warns(UserWarning, match="EXIF|Tag|Read"), Image.open(path) as opened:
        opened.getexif()
    np.testing.assert_array_equal(
        read_image(path).pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    )


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "0.jpg")
    (tmp_path / "1.jpg").symlink_to("nowhere")
    with pytest.raises(DecodeError, match=r"0.jpg: is not a regular file"):
        read_image(tmp_path / "0.jpg")
    with pytest.raises(DecodeError, match=r"1.jpg: cannot be opened \(No such file"):
        read_image(tmp_path / "1.jpg")


def test_a_format_that_fails_to_open_is_an_error(pixels: Pixels, save, monkeypatch) -> None:
    def fails(file: object) -> None:
        raise OSError(5, "Input/output error")

    path = save(Image.fromarray(pixels))
    monkeypatch.setattr(module, "FORMATS", ((b"\x89PNG", fails),))
    with pytest.raises(DecodeError, match=r"0.png: cannot be read \(Input/output error\)"):
        read_image(path)
