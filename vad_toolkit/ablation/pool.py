"""Tasks in processes of their own, a few at a time; their results as they come."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from typing import TypeVar

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from vad_toolkit.errors import VadError

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(
    function: Callable[[Task], Result], tasks: Sequence[Task], jobs: int
) -> Iterator[tuple[Task, Result]]:
    """Each task with `function(task)`, in the order in which they are done.

    Args:
        function: of a module.
        jobs: processes; with 1 the tasks run here, one after the other.

    Raises:
        VadError: a process was killed.
    """
    if jobs == 1 or len(tasks) < 2:
        yield from ((task, function(task)) for task in tasks)
        return
    pool = ProcessPoolExecutor(max_workers=min(jobs, len(tasks)))
    try:
        futures = {pool.submit(_call, os.getpid(), function, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except TerminatedWorkerError as error:
        raise VadError(
            "a process was killed, perhaps since memory ran out: give the same command again with "
            "fewer --jobs; what was finished is kept"
        ) from error
    finally:
        pool.shutdown(kill_workers=True)


def _call(parent: int, function: Callable[[Task], Result], task: Task) -> Result:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    return function(task)


def _end_with(parent: int) -> None:
    """End this process when the one that started it does, even by a kill."""
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)
