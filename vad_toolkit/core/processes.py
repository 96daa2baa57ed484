"""Tasks in worker processes, which never outlive the process that started them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from vad_toolkit.errors import VadError

WAIT_SECONDS = 1.0

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    jobs: int,
    on_wait: Callable[[list[Task]], None] | None = None,
) -> Iterator[tuple[Task, Result]]:
    """Run `function(task)` for each task in worker processes, and yield results as they finish.

    When a task raises, or the iterator is closed, the workers are killed.

    Args:
        function, tasks: A function and its arguments, which can be pickled.
        jobs: The number of worker processes. With 1, or for a single task, all tasks run in this
            process, one after the other.
        on_wait: Called about once per second with the unfinished tasks while workers run, and with
            an empty list at the end.

    Yields:
        (task, result) in the order in which the tasks finish.

    Raises:
        VadError: If a worker process was killed. Errors of the function are raised as they are.
    """
    if jobs == 1 or len(tasks) < 2:
        yield from ((task, function(task)) for task in tasks)
        return
    pool = ProcessPoolExecutor(max_workers=min(jobs, len(tasks)))
    try:
        running: dict[Future[Result], Task] = {
            pool.submit(_call, os.getpid(), function, task): task for task in tasks
        }
        while running:
            done, _ = wait(running, timeout=WAIT_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
            if on_wait is not None:
                on_wait(list(running.values()))
    except TerminatedWorkerError as error:
        raise VadError(
            "a worker process was killed, perhaps because memory ran out; run the same command "
            "again with fewer --jobs and the same --threads (finished work is kept)"
        ) from error
    finally:
        pool.shutdown(kill_workers=True)


def _call(parent: int, function: Callable[[Task], Result], task: Task) -> Result:
    end_with(parent)
    return function(task)


def end_with(parent: int) -> None:
    """Exit this process when its parent process, whose id is `parent`, ends, even by a kill."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)
