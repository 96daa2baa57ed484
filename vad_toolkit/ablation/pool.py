"""Tasks in processes of their own, a few at a time; their results as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from typing import TypeVar

from vad_toolkit.processes import worker_processes

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
    with worker_processes(min(jobs, len(tasks))) as submit:
        futures = {submit(function, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
