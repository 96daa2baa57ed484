"""A connection to a Ray cluster that leaves nothing behind, however it ends."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType

from vad_toolkit.core.processes import before_forced_end, descendants
from vad_toolkit.errors import InputError


@contextmanager
def connected(address: str | None) -> Iterator[ModuleType]:
    """Ray, connected to a cluster; afterwards not, unless it was so before.

    Args:
        address: as `ray_engine` takes it.

    Raises:
        InputError: there is no cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    import ray

    if ray.is_initialized():
        yield ray
        return
    started = _Started()
    with before_forced_end(started.end):
        try:
            _connect(ray, address)
            started.are_all()
            yield ray
        finally:
            try:
                started.look()
                _disconnect(ray)
            finally:
                started.end()


class _Started:
    """The processes that Ray starts below this one; none where its cluster was there before.

    Ray's agents that are still starting know nothing of the end of their parent, and stay for
    minutes. They are seen while it is there, and ended when it may not be.
    """

    def __init__(self) -> None:
        self._others: set[int] | None = descendants(os.getpid())
        self._own: set[int] = set()  # this process's children and what is below them
        self._seen: set[int] = set()

    def are_all(self) -> None:
        """Say that no more are started from here: what comes now is not Ray's."""
        self._find_own()
        self._others = None

    def look(self) -> None:
        """Keep in mind which there are."""
        self._find_own()
        self._seen |= self._own | descendants(*self._own)

    def end(self) -> None:
        """Kill those that there are and those that were seen."""
        self.look()
        for pid in self._seen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _find_own(self) -> None:
        now = descendants(os.getpid())
        self._own = self._own & now if self._others is None else now - self._others


def _connect(ray: ModuleType, address: str | None) -> None:
    """Connect, with SIGTERM answered as before; Ray puts an answer of its own in place."""
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        if in_main:
            signal.signal(signal.SIGTERM, handler)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"no Ray cluster at {address or 'the address of RAY_ADDRESS'}: {one_line(error)}"
        ) from error
    except SystemExit:  # that answer, while Ray was starting
        if in_main:
            signal.signal(signal.SIGTERM, handler)
            signal.raise_signal(signal.SIGTERM)
        raise


def _disconnect(ray: ModuleType) -> None:
    """Disconnect, with SIGTERM answered as before.

    Ray's core takes the process's answer away when it ends, behind Python's back; what follows in
    `ray.shutdown`, the end of Ray's processes, takes a second and more.
    """
    handler = signal.getsignal(signal.SIGTERM)

    def answer_again() -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)

    node = getattr(ray._private.worker, "_global_node", None)
    if node is not None:
        kill_all = node.kill_all_processes

        def answer_and_kill_all(*args: object, **more: object) -> None:
            answer_again()
            kill_all(*args, **more)

        node.kill_all_processes = answer_and_kill_all
    try:
        ray.shutdown()
    finally:
        answer_again()


def one_line(error: Exception) -> str:
    """What an error of Ray says, without its line breaks, at most 300 characters."""
    return " ".join(str(error).split())[:300]
