"""Many machines through Ray: one task a video, features back to the process that asked.

Ray's own tasks rather than joblib's Ray backend: that one hands out tasks in turn, whoever is busy,
gives no result before all are there, and fails as a whole with one of its processes. A task whose
process or machine dies is run once more, elsewhere, by Ray itself.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType

from vad_toolkit.core.files import home
from vad_toolkit.errors import InputError, VadError
from vad_toolkit.extraction.extract import Engine
from vad_toolkit.extraction.extractor import Extractor, OnFrames
from vad_toolkit.extraction.in_progress import Extracted
from vad_toolkit.extraction.plan import longest_first
from vad_toolkit.extraction.ray_cluster import connected, one_line
from vad_toolkit.extraction.sources import VideoSource

MakeExtractor = Callable[[str], Extractor]
DEVICES = ("auto", "cpu", "cuda")
RETRIES = 1  # of a task whose process died
POLL_SECONDS = 1.0  # a signal is seen between two


def ray_engine(make: MakeExtractor, device: str, address: str | None = None) -> Engine:
    """The engine for a Ray cluster, whose machines have this toolkit and see the same files.

    Args:
        make: an extractor for a device; picklable.
        device: `cuda`: each task asks for a GPU; `cpu`: for a core; `auto`: `cuda` where the
            cluster has one.
        address: of the cluster's head; None: what `RAY_ADDRESS` says, else one that runs on this
            machine, else a new one of this machine alone.

    Raises:
        InputError: Ray is not installed, or another device.
    """
    if device not in DEVICES:
        raise InputError(
            f"device {device!r}: Ray places the work itself; allowed: {', '.join(DEVICES)}"
        )
    try:
        import ray  # noqa: F401
    except ImportError:
        raise InputError(
            "the engine ray needs Ray on all machines: run `pip install 'vad-toolkit[ray]'`"
        ) from None
    return partial(_extract_on_cluster, make, device, address)


def _extract_on_cluster(
    make: MakeExtractor,
    device: str,
    address: str | None,
    videos: Sequence[VideoSource],
    on_frames: OnFrames,  # not called: tasks tell nothing before their end
) -> Generator[Extracted, None, None]:
    with connected(address) as ray:
        device = _pick(ray, device)
        run = ray.remote(
            num_cpus=1,
            num_gpus=1 if device == "cuda" else 0,
            max_retries=RETRIES,
            max_calls=0,  # processes on GPUs stay, too, with the network that they have loaded
        )(_extract_one)
        made = ray.cloudpickle.dumps(make)
        tasks = {
            run.remote(made, device, str(home().absolute()), _absolute(video)): video
            for video in longest_first(videos)
        }
        lost = (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.OutOfMemoryError,
            ray.exceptions.ObjectLostError,
        )
        try:
            while tasks:
                ready, _ = ray.wait(list(tasks), num_returns=1, timeout=POLL_SECONDS)
                for task in ready:
                    video = tasks.pop(task)
                    try:
                        found = replace(ray.get(task), source=video)
                    except lost as error:
                        reason = f"{video.path}: lost twice on the cluster ({one_line(error)})"
                        found = Extracted(video, None, VadError(reason))
                    yield found
                    del found
                ready = task = None  # so that the object store may forget the features
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, VadError):
                raise error.cause from error
            raise
        except ray.exceptions.RayError as error:
            raise VadError(f"the Ray cluster failed: {one_line(error)}") from error
        finally:
            for task in tasks:
                ray.cancel(task, force=True)


def _extract_one(made: bytes, device: str, home: str, video: VideoSource) -> Extracted:
    """On some machine of the cluster: the features of a video, or what it cannot be used for."""
    if Path(home).is_dir():  # else this machine has weights in a folder of its own
        os.environ["VAD_HOME"] = home
    (found,) = _extractor(made, device).extract_many([video])
    return found


@lru_cache(maxsize=1)
def _extractor(made: bytes, device: str) -> Extractor:
    """One for all videos of this process."""
    # Pickled by this run's own driver, as all that Ray's tasks take; nobody's file.
    extractor: Extractor = pickle.loads(made)(device)
    return extractor


def _pick(ray: ModuleType, device: str) -> str:
    has_gpu = ray.cluster_resources().get("GPU", 0) > 0
    if device == "cuda" and not has_gpu:
        raise InputError("device 'cuda': the Ray cluster has no GPU; try cpu")
    return ("cuda" if has_gpu else "cpu") if device == "auto" else device


def _absolute(video: VideoSource) -> VideoSource:
    return replace(video, path=video.path.absolute())  # tasks have a working folder of their own
