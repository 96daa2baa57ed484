"""Work in processes of their own, which never outlive the one that started them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, Protocol, TypeVar

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from vad_toolkit.errors import VadError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Submit(Protocol):
    """Hands a call of a module's function to the next free process."""

    def __call__(
        self,
        function: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]: ...


@contextmanager
def worker_processes(jobs: int) -> Iterator[Submit]:
    """Give a way to run calls in `jobs` processes, which are ended when the block is left.

    Raises:
        VadError: a process was killed while the block waited for it.
    """
    pool = ProcessPoolExecutor(max_workers=jobs)

    def submit(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = pool.submit(_call, os.getpid(), function, args, kwargs)
        return future

    try:
        yield submit
    except TerminatedWorkerError as error:
        raise VadError(
            "a process was killed, perhaps since memory ran out: give the same command again with "
            "fewer --jobs and the same --threads; what was finished is kept"
        ) from error
    finally:
        pool.shutdown(kill_workers=True)


def _call(
    parent: int, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    end_with(parent)
    return function(*args, **kwargs)


def end_with(parent: int) -> None:
    """Let this process end when `parent`, which started it, does, even by a kill."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)


def descendants(*pids: int) -> set[int]:
    """All processes below these, by what /proc says; none where there is no /proc."""
    above: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            above.setdefault(parent, []).append(int(stat.parent.name))
    found: set[int] = set()
    waiting = list(pids)
    while waiting:
        below = above.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


# Tasks in processes of their own, a few at a time; their results as they come.

Task = TypeVar("Task")


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


# An end of the process that waits for nothing, with the few acts that it must not leave out.

_last_acts: list[Callable[[], None]] = []


def end_now(code: int) -> NoReturn:
    """End this process without Python's farewells, after the acts of `before_forced_end`."""
    try:
        for act in list(_last_acts):
            with suppress(Exception):
                act()
    finally:
        os._exit(code)


@contextmanager
def before_forced_end(act: Callable[[], None]) -> Iterator[None]:
    """Let `end_now`, in whatever thread, call `act` first if it comes inside this block."""
    _last_acts.append(act)
    try:
        yield
    finally:
        _last_acts.remove(act)
