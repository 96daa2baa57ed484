"""Ctrl-C and SIGTERM: an orderly end at once, and an end by force where that takes too long.

Python handles a signal only between two of its own steps, and a network's forward pass is one step.
What is finished is safe whenever the process ends, so that nothing has to be waited for.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

import click

from vad_toolkit.core.processes import end_now

PATIENCE_SECONDS = 3.0
LAST_SECONDS = 0.5
INTERRUPTED = "Interrupted: what was finished is kept."


class Terminated(SystemExit):
    """SIGTERM has come; the code is 143."""


def handle_signals() -> None:
    """Let SIGTERM raise `Terminated`, as SIGINT raises KeyboardInterrupt, and watch both."""
    signal.signal(signal.SIGTERM, _terminated)
    told, tell = socket.socketpair()
    tell.setblocking(False)
    # Written to in the moment of the signal, whatever Python is doing.
    signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(told, tell), daemon=True).start()


def end_interrupted(number: int) -> NoReturn:
    """Say so and end, without the farewells of libraries: what had to be closed is closed."""
    try:
        click.echo(INTERRUPTED, err=True)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        end_now(128 + number)


def _watch(told: socket.socket, tell: socket.socket) -> None:
    while True:
        number = told.recv(1)[0]
        if number in (signal.SIGINT, signal.SIGTERM):
            break
    time.sleep(PATIENCE_SECONDS)
    # Nobody may read what is said.
    last = threading.Timer(LAST_SECONDS, end_now, (128 + number,))
    last.start()
    end_interrupted(number)


def _terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated(128 + number)
