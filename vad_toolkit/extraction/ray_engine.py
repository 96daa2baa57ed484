"""Extraction on an existing Ray cluster: one task per video, features back to the driver.

Ray's own tasks rather than joblib's Ray backend (docs/LOG.md, "Ray"): results arrive as they are
finished, and a lost process or machine costs only its own videos.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vad_toolkit.core.files import home
from vad_toolkit.core.registry import PLUGIN_VARIABLE
from vad_toolkit.errors import InputError, VadError
from vad_toolkit.extraction.extractor import Engine, Extractor, MakeExtractor, OnFrames
from vad_toolkit.extraction.in_progress import Extracted
from vad_toolkit.extraction.plan import longest_first
from vad_toolkit.extraction.sources import VideoSource

DEVICES = ("auto", "cpu", "cuda")
RETRIES = 1  # of a task whose process died
POLL_SECONDS = 1.0  # Python handles signals between two polls


def ray_engine(make: MakeExtractor, device: str, address: str | None) -> Engine:
    """Return the extraction engine for a Ray cluster.

    All machines of the cluster must have this toolkit and see the videos under the same paths.

    Args:
        make: A picklable function.
        device: "cuda": each task asks for one GPU; "cpu": for one core; "auto": "cuda" if the
            cluster has a GPU, else "cpu".
        address: HOST:PORT of the cluster. If None, the environment variable RAY_ADDRESS.

    Raises:
        InputError: If no address is known, Ray is not installed, or the device is another one.
    """
    if device not in DEVICES:
        raise InputError(
            f"device {device!r} is not for Ray, which places the tasks itself; allowed: "
            f"{', '.join(DEVICES)}"
        )
    address = address or os.environ.get("RAY_ADDRESS", "")
    if ":" not in address:
        raise InputError(
            f"the engine ray needs the address of a running cluster as HOST:PORT, got {address!r}; "
            "start one with `ray start --head` and give --address or set RAY_ADDRESS"
        )
    if find_spec("ray") is None:
        raise InputError(
            "the engine ray needs Ray on all machines: run `pip install 'vad-toolkit[ray]'`"
        )
    return partial(_extract_on_cluster, make, device, address)


def _extract_on_cluster(
    make: MakeExtractor,
    device: str,
    address: str,
    videos: Sequence[VideoSource],
    on_frames: OnFrames,  # not called: a task reports nothing before its end
) -> Generator[Extracted, None, None]:
    ray: Any = import_module("ray")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"no Ray cluster answers at {address} ({_one_line(error)}); start one with `ray start "
            "--head`, or give the --address of another one"
        ) from error
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray's own handler would abort this process
    errors = ray.exceptions
    lost = (
        errors.WorkerCrashedError, errors.NodeDiedError,
        errors.OutOfMemoryError, errors.ObjectLostError,
    )  # fmt: skip
    try:
        has_gpu = ray.cluster_resources().get("GPU", 0) > 0
        if device == "cuda" and not has_gpu:
            raise InputError("device 'cuda': the Ray cluster has no GPU; use --device cpu")
        if device == "auto":
            device = "cuda" if has_gpu else "cpu"
        run = ray.remote(
            num_cpus=1,
            num_gpus=1 if device == "cuda" else 0,
            max_retries=RETRIES,
            max_calls=0,  # processes on GPUs stay too, with the network that they have loaded
        )(_extract_one)
        made = pickle.dumps(make)
        # Variables that a task needs: the cache with the weights, and the plugins.
        plugins = os.environ.get(PLUGIN_VARIABLE, "")
        variables = {"VAD_HOME": str(home().absolute()), PLUGIN_VARIABLE: plugins}
        tasks = {
            # A task's process has its own working folder.
            run.remote(made, device, variables, replace(video, path=video.path.absolute())): (video)
            for video in longest_first(videos)
        }
        while tasks:
            ready, _ = ray.wait(list(tasks), num_returns=1, timeout=POLL_SECONDS)
            for task in ready:
                video = tasks.pop(task)
                try:
                    found = replace(ray.get(task), source=video)
                except lost as error:
                    reason = f"{video.path}: lost twice on the cluster ({_one_line(error)})"
                    found = Extracted(video, None, VadError(reason))
                yield found
                del found
            ready = task = None  # so that the object store may drop the features
    except errors.RayTaskError as error:
        if isinstance(error.cause, VadError):
            raise error.cause from error
        raise
    except errors.RayError as error:
        raise VadError(f"the Ray cluster failed: {_one_line(error)}") from error
    finally:
        ray.shutdown()  # the cluster ends this driver's tasks


def _extract_one(
    made: bytes, device: str, environment: Mapping[str, str], video: VideoSource
) -> Extracted:
    """Extract one video in a process of the cluster."""
    for name, value in environment.items():
        # A machine without the driver's cache folder has the weights in its own.
        if name != "VAD_HOME" or Path(value).is_dir():
            os.environ[name] = value
    (found,) = _extractor(made, device).extract_many([video])
    return found


@lru_cache(maxsize=1)
def _extractor(made: bytes, device: str) -> Extractor:
    """Return the one extractor of this process."""
    # Pickled by this run's own driver, like all arguments of Ray's tasks.
    extractor: Extractor = pickle.loads(made)(device)
    return extractor


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
