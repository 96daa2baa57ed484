"""Image files as upright RGB frames, decoded by Pillow exactly or not at all.

Images that Pillow would convert by a guess (transparency, 32-bit gray levels, the first of several
pictures) are errors here, because nobody looks at each of 100,000 frames.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags
from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import Image, Transpose
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from vad_toolkit.errors import DecodeError
from vad_toolkit.video.paths import check_file

MAX_PIXELS = 1 << 26  # twice 8K; protects against decompression bombs
# The content decides, not the name. The classes are used directly, because Image.open tries every
# format and warns of large pictures, with effects on the whole process.
FORMATS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"BM", BmpImageFile),
    *((mark, TiffImageFile) for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
)
# For each EXIF orientation: the operation that makes the picture upright (as in
# ImageOps.exif_transpose), and its rotation in degrees clockwise. Mirrored ones are mirrored back.
UPRIGHT: dict[int, tuple[Transpose | None, int]] = {
    1: (None, 0),
    2: (Transpose.FLIP_LEFT_RIGHT, 0),
    3: (Transpose.ROTATE_180, 180),
    4: (Transpose.FLIP_TOP_BOTTOM, 180),
    5: (Transpose.TRANSPOSE, 270),
    6: (Transpose.ROTATE_270, 90),
    7: (Transpose.TRANSVERSE, 90),
    8: (Transpose.ROTATE_90, 270),
}
_QUIET = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A decoded image, upright."""

    pixels: NDArray[np.uint8]  # (height, width, 3)
    codec: str  # format of the file, such as "jpeg"
    rotation: int  # degrees clockwise that made it upright


def read_image(path: Path) -> Picture:
    """Decode a JPEG, PNG, BMP or TIFF file to RGB; threads may call it at the same time.

    Gray levels, palettes and CMYK become RGB as in Pillow's `convert`; 16-bit gray levels are
    divided by 257 and rounded. The EXIF orientation is applied.

    Raises:
        DecodeError: If the file is not such an image, is damaged or cut short, has more than
            MAX_PIXELS, transparent pixels, more than 16 bits per value, or several pictures.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            start = file.peek(8)
            kind = next((kind for mark, kind in FORMATS if start.startswith(mark)), None)
            if kind is None:
                raise DecodeError(f"{path}: is not a JPEG, PNG, BMP or TIFF image")
            with _silence():
                image = kind(file)
                _check_header(path, image)
                # In a PNG it may follow the pixels; a TIFF rotates itself while it loads.
                orientation = 1 if kind is PngImageFile else _orientation(image)
            image.load()
            if kind is PngImageFile:
                with _silence():
                    orientation = _orientation(image)
            turn, rotation = UPRIGHT[orientation]
            upright = image if turn is None or kind is TiffImageFile else image.transpose(turn)
            upright.info.update(image.info)
            return Picture(_rgb(path, upright), str(image.format).lower(), rotation)
    except DecodeError:
        raise
    except Exception as error:  # a broken header can raise anything in Pillow
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DecodeError(f"{path}: cannot be read ({reason.splitlines()[0]})") from error


@contextmanager
def _silence() -> Iterator[None]:
    """Ignore Pillow's warnings about odd headers; one at a time, as filters are process-wide."""
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_header(path: Path, image: ImageFile) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DecodeError(
            f"{path}: its header claims {width}x{height} pixels, over the limit of {MAX_PIXELS:,}"
        )
    # Not for JPEG: the additional pictures of a camera's file are previews.
    pictures = 1 if isinstance(image, JpegImageFile) else getattr(image, "n_frames", 1)
    if pictures != 1:
        raise DecodeError(f"{path}: has {pictures} pictures; each file must be one frame")
    bits = image.tag_v2.get(BITSPERSAMPLE, (8,)) if isinstance(image, TiffImageFile) else (8,)
    if image.mode in ("I", "F") or 12 in bits:
        kind = f"{image.mode}, {bits} bits"
        raise DecodeError(f"{path}: pixels of type {kind} are not supported; use 8-bit RGB")


def _orientation(image: ImageFile) -> int:
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in UPRIGHT else 1


def _rgb(path: Path, image: Image) -> NDArray[np.uint8]:
    is_opaque = True
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint32)
        is_opaque = not np.any(values == image.info.get("transparency", -1))
        gray = ((values + 128) // 257).astype(np.uint8)
        pixels = np.repeat(gray[:, :, np.newaxis], 3, axis=2)
    else:
        if image.has_transparency_data:
            image = image.convert("RGBA")
            is_opaque = image.getchannel("A").getextrema()[0] == 255
        pixels = np.asarray(image.convert("RGB"))
    if not is_opaque:
        raise DecodeError(f"{path}: has transparent pixels; flatten it on a background first")
    return pixels
