"""One image file as an upright RGB frame, through Pillow: exact, or refused.

What Pillow would show with a guess (transparency, 32-bit greys, the first of several pictures) is
an error here, since nobody looks at each of 100,000 frames.
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

MAX_PIXELS = 1 << 26  # twice 8K; a header that claims more is a bomb or an accident
# By content, not by name. The classes are called themselves, since Image.open tries every format
# there is and warns of large pictures, for the whole process.
FORMATS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"BM", BmpImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
    (b"II+\0", TiffImageFile),
    (b"MM\0+", TiffImageFile),
)
# What makes a picture upright, by its EXIF orientation (as ImageOps.exif_transpose has it), and how
# many degrees clockwise that is; mirrored pictures are mirrored back first.
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
    """A decoded image: `pixels` uint8 (height, width, 3), upright; the file's `codec`, such as
    "jpeg"; `rotation`, the degrees clockwise that made it upright."""

    pixels: NDArray[np.uint8]
    codec: str
    rotation: int


def read_image(path: Path) -> Picture:
    """Decode a JPEG, PNG, BMP or TIFF file to RGB; may run in several threads at once.

    Greys, palettes and CMYK become RGB as by Pillow's `convert`, 16-bit greys by v / 257, rounded.
    The EXIF orientation is applied.

    Raises:
        DecodeError: no such image, one that is damaged or cut short, larger than MAX_PIXELS, not
            opaque, of more than 16 bits, or with several pictures. Names the file.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            start = file.peek(8)
            kind = next((kind for mark, kind in FORMATS if start.startswith(mark)), None)
            if kind is None:
                raise DecodeError(f"{path}: is no JPEG, PNG, BMP or TIFF image")
            with _silence():
                image = kind(file)
                _check_header(path, image)
                # A PNG's may stand behind its pixels; a TIFF turns itself while it loads.
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
    except OSError as error:
        reason = error.strerror or str(error)
        raise DecodeError(f"{path}: cannot be read ({reason})") from error
    except Exception as error:  # Pillow lets pass whatever a broken header leads to
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DecodeError(f"{path}: cannot be read ({reason})") from error


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Pillow's remarks on odd headers to ourselves; filters are the whole process's."""
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_header(path: Path, image: ImageFile) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DecodeError(
            f"{path}: its header claims {width}x{height} pixels, over the limit of {MAX_PIXELS:,}"
        )
    # JPEG is not asked: the further pictures of a camera's file are previews.
    pictures = 1 if isinstance(image, JpegImageFile) else getattr(image, "n_frames", 1)
    if pictures != 1:
        raise DecodeError(f"{path}: holds {pictures} pictures; one file has to be one frame")
    bits = image.tag_v2.get(BITSPERSAMPLE, (8,)) if isinstance(image, TiffImageFile) else (8,)
    if image.mode in ("I", "F") or 12 in bits:
        raise DecodeError(f"{path}: has pixels of a kind that is not read ({image.mode}, {bits})")


def _orientation(image: ImageFile) -> int:
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in UPRIGHT else 1


def _rgb(path: Path, image: Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint32)
        if np.any(values == image.info.get("transparency", -1)):
            raise DecodeError(_not_opaque(path))
        grey = ((values + 128) // 257).astype(np.uint8)
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] != 255:
            raise DecodeError(_not_opaque(path))
    return np.asarray(image.convert("RGB"))


def _not_opaque(path: Path) -> str:
    return f"{path}: has transparent pixels; flatten it on a background first"
