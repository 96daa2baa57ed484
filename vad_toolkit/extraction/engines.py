"""What makes the features of a run: one extractor here, or several in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial

from vad_toolkit.device import pick_devices
from vad_toolkit.extraction.extractor import Extracted, Extractor, OnFrames
from vad_toolkit.extraction.processes import extract_in_processes
from vad_toolkit.extraction.sources import VideoSource

# Videos to features, in any order, each once; ended early by closing the iterator.
Engine = Callable[[Sequence[VideoSource], OnFrames], Generator[Extracted, None, None]]


def local_engine(make: Callable[[str], Extractor], device: str) -> Engine:
    """The engine for this machine: a process of its own for each device where there are several.

    Args:
        make: an extractor for a device; has to be picklable: `partial(Extractor, recipe, ...)`.
        device: as `pick_devices` takes it.

    Raises:
        InputError: a device that is not there.
    """
    devices = pick_devices(device)
    if len(devices) == 1:
        return partial(_extract_here, make, devices[0])
    return partial(extract_in_processes, make, devices)


def _extract_here(
    make: Callable[[str], Extractor],
    device: str,
    videos: Sequence[VideoSource],
    on_frames: OnFrames,
) -> Generator[Extracted, None, None]:
    yield from make(device).extract_many(videos, on_frames)
