"""SIGINT (Ctrl-C) and SIGTERM: an orderly exit, forced if it takes longer than a few seconds.

Python handles a signal only between two of its own steps, and one forward pass of a network is one
step. Finished work is on disk at any time, so the process need not wait for the step's end.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import click

ORDERLY_SECONDS = 3.0
INTERRUPTED = "Interrupted: finished work is kept."


def handle_signals() -> None:
    """Exit with 143 on SIGTERM; force the exit if SIGTERM or SIGINT is not handled in time."""
    signal.signal(signal.SIGTERM, _terminate)
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    # The interpreter writes the signal's number at once, whatever Python is doing.
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_force_exit, args=(reader, writer), daemon=True).start()


def end_interrupted(number: int) -> NoReturn:
    """Report the interruption and exit, without Python's and the libraries' exit handlers."""
    with suppress(OSError, ValueError):  # nobody may be reading
        click.echo(INTERRUPTED, err=True)
        sys.stdout.flush()
    os._exit(128 + number)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _force_exit(reader: socket.socket, writer: socket.socket) -> None:
    while (number := reader.recv(1)[0]) not in (signal.SIGINT, signal.SIGTERM):
        pass
    time.sleep(ORDERLY_SECONDS)
    # The message may block when the pipe of standard error is full.
    threading.Timer(0.5, os._exit, (128 + number,)).start()
    end_interrupted(number)
