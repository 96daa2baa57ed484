"""An end of the process that waits for nothing, with the few acts that it must not leave out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

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
