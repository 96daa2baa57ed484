"""Events from the frame and pixel masks that some benchmarks publish as ground truth.

Three forms are recognized by their names: `VIDEO.npy`, one label per frame (ShanghaiTech);
`NUMBER_label.mat`, a cell `volLabel` with one pixel mask per frame (CUHK Avenue); and a folder
`VIDEO_annotations` of images `..._FRAME_gt.png`, one pixel map per frame (UBnormal). A frame is
abnormal if any of its pixels is not zero.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.building.build import BuiltDataset
from vad_toolkit.datasets.manifest import Entry, Event
from vad_toolkit.errors import InputError, ManifestError

CELL = "volLabel"
COLOR_MODES = ("P", "PA", "RGBA", "LA")  # image modes whose values are not the visible colors
_MAT = re.compile(r"([0-9]+)_label\.mat")
_MAPS = "_annotations"
_MAP = re.compile(r".*?([0-9]+)_gt\.png", re.IGNORECASE)


def mask_events(mask: NDArray[Any]) -> tuple[Event, ...]:
    """Return the runs of abnormal frames.

    Args:
        mask : np.ndarray [shape=(n_frames,), bool or integer]: 0 normal, anything else abnormal.

    Returns:
        Sorted events [start, stop) in frames, with a normal frame between any two; () if no frame
        is abnormal.

    Raises:
        ManifestError: If the mask does not have one dimension.

    Example:
        >>> mask_events(np.array([0, 1, 1, 0, 1]))
        ((1, 3), (4, 5))
    """
    if mask.ndim != 1:
        raise ManifestError(
            f"a frame mask must have one value per frame, shape (n,), got shape {mask.shape}"
        )
    edges = np.flatnonzero(np.diff(mask != 0, prepend=False, append=False))
    return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


def read_masks(
    folder: Path, ids: Iterable[str], *, progress: ProgressCallback = silent
) -> Mapping[str, NDArray[np.bool_]]:
    """Read the masks of videos in a folder and its sub-folders, by the last part of the ids.

    Args:
        folder: A folder of masks in any of the three forms.
        ids: Videos to look for: `01_0015` finds `01_0015.npy`, `testing_videos/01` finds
            `1_label.mat`, `Scene1/abnormal_1` finds the folder `abnormal_1_annotations`.

    Returns:
        By id, for videos with a mask: mask : np.ndarray [shape=(n_frames,), bool], True abnormal.

    Raises:
        InputError: If `folder` is not a folder, or cannot be read.
        ManifestError: If it holds no masks, two masks of one video, or a malformed mask.
    """
    places = _find(folder)
    wanted = {id: places[name] for id in ids if (name := id.rpartition("/")[2]) in places}
    masks: dict[str, NDArray[np.bool_]] = {}
    for done, (id, path) in enumerate(wanted.items(), start=1):
        is_maps = path.name.endswith(_MAPS)
        read = _read_maps if is_maps else _read_mat if path.suffix == ".mat" else _read_npy
        masks[id] = read(path)
        progress(ProgressEvent("masks", done, len(wanted), "videos", id))
    return masks


def with_masks(
    built: BuiltDataset, folder: Path, *, progress: ProgressCallback = silent
) -> BuiltDataset:
    """Return the dataset with the events of its abnormal videos from the masks in a folder.

    Every abnormal video of test and validation needs a mask; in training they are optional.

    Raises:
        InputError, ManifestError: Like `read_masks`; also if a mask is missing, does not have the
            length of its video, or has no abnormal frame.
    """
    abnormal = [
        (side, entry) for side, entries in built.sides.items() for entry in entries if entry.label
    ]
    masks = read_masks(folder, [entry.id for _, entry in abnormal], progress=progress)
    lost = [entry.id for side, entry in abnormal if side != "train" and entry.id not in masks]
    if lost:
        raise ManifestError(
            f"{folder} has no mask for {len(lost)} abnormal test videos (first: {lost[0]}); "
            "complete the folder, or omit --masks"
        )
    sides = {
        side: tuple(
            _with_events(entry, masks[entry.id]) if entry.id in masks else entry
            for entry in entries
        )
        for side, entries in built.sides.items()
    }
    return replace(built, train=sides["train"], validation=sides["validation"], test=sides["test"])


def _with_events(entry: Entry, mask: NDArray[np.bool_]) -> Entry:
    # Containers state the number of frames that decode, or one more.
    container = entry.container_frames
    allowed = {entry.frames} if entry.frames else {container, container and container - 1}
    if len(mask) not in allowed and allowed != {None}:
        count = entry.frames or f"{container} according to its container"
        raise ManifestError(
            f"video {entry.id!r}: the mask has {len(mask)} frames, but the video has {count}"
        )
    events = mask_events(mask)
    if not events:
        raise ManifestError(f"video {entry.id!r} is abnormal, but its mask has no abnormal frame")
    return entry.model_copy(update={"events": events})


def _find(folder: Path) -> dict[str, Path]:
    """Return the masks by the last part of their videos' ids."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be listed ({error.strerror})")

    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; --masks must name the folder of masks")
    places: dict[str, Path] = {}
    for root, folders, files in os.walk(folder, onerror=refuse):
        maps = sorted(name for name in folders if name.endswith(_MAPS))
        folders[:] = sorted(set(folders) - set(maps))
        for name in (*maps, *sorted(files)):
            video = _video_of(name)
            if video is None:
                continue
            path = Path(root, name)
            if video in places:
                raise ManifestError(
                    f"{places[video]} and {path} are both masks of video {video!r}; remove one"
                )
            places[video] = path
    if not places:
        raise ManifestError(
            f"{folder} holds no masks (VIDEO.npy, NUMBER_label.mat or folders VIDEO{_MAPS})"
        )
    return places


def _video_of(name: str) -> str | None:
    if match := _MAT.fullmatch(name):
        return f"{int(match[1]):02d}"  # 1_label.mat belongs to 01.avi
    for suffix in (".npy", _MAPS):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return None


def _read_npy(path: Path) -> NDArray[np.bool_]:
    try:
        mask = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        if "object" in str(error):
            raise ManifestError(
                f"{path}: an array of Python objects, which can run code when it is read; if you "
                "trust it, convert it: np.save(PATH, np.load(PATH, allow_pickle=True)"
                ".astype('uint8'))"
            ) from error
        raise ManifestError(f"{path}: not a readable array ({error})") from error
    if mask.ndim != 1 or not len(mask) or mask.dtype.kind not in "biu":
        raise ManifestError(
            f"{path}: a mask must have one integer per frame, shape (n,), got {mask.dtype} of "
            f"shape {mask.shape}"
        )
    return np.asarray(mask != 0)


def _read_mat(path: Path) -> NDArray[np.bool_]:
    from scipy.io import loadmat

    try:
        cell = loadmat(path, variable_names=[CELL])[CELL]
    except KeyError as error:
        raise ManifestError(f"{path}: has no variable {CELL}") from error
    except NotImplementedError as error:
        raise ManifestError(f"{path}: a MATLAB 7.3 file; save it with -v7") from error
    except Exception as error:  # scipy raises many kinds of errors for damaged files
        raise ManifestError(f"{path}: not a readable MATLAB file ({error})") from error
    if cell.dtype != object or not cell.size or any(m.dtype.kind not in "biu" for m in cell.flat):
        raise ManifestError(f"{path}: {CELL} must be a cell with one pixel mask per frame")
    return np.array([bool(frame.any()) for frame in cell.flat])


def _read_maps(folder: Path) -> NDArray[np.bool_]:
    paths = sorted(folder.iterdir())
    maps = {int(match[1]): path for path in paths if (match := _MAP.fullmatch(path.name))}
    numbers = sorted(maps)
    if not numbers or numbers[0] > 1:
        raise ManifestError(f"{folder}: has no map ..._FRAME_gt.png of the first frame, 0 or 1")
    for before, after in pairwise(numbers):
        if after != before + 1:
            raise ManifestError(f"{folder}: the map of frame {before + 1} is missing")
    return np.array([_is_abnormal(maps[number]) for number in numbers])


def _is_abnormal(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            # Visible colors: palettes are applied, and an alpha channel is not a mask.
            seen = image.convert("RGB") if image.mode in COLOR_MODES else image
            pixels = np.asarray(seen)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ManifestError(f"{path}: not a readable PNG image ({error})") from error
    return bool(pixels.any())
