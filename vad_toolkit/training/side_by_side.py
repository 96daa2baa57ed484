"""Runs side by side, each in a process of its own; their logs tell how far they are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

from vad_toolkit.processes import worker_processes
from vad_toolkit.progress import ProgressCallback, ProgressEvent
from vad_toolkit.training.folder import RESULT
from vad_toolkit.training.log import LOG

LOOK_SECONDS = 1.0  # between two looks at the logs
TAIL_BYTES = 4_096  # of a log, in which its last line lies


def train_side_by_side(
    train: Callable[..., object],
    calls: Mapping[Path, tuple[Any, ...]],
    options: Mapping[str, Any],
    jobs: int,
    progress: ProgressCallback,
) -> None:
    """Call `train(*arguments, **options)` for each run folder, `jobs` at a time.

    When one fails the others are stopped; what they did is kept, as after a kill.

    Args:
        train: a function of a module.
        calls: arguments by run folder.

    Raises:
        VadError: what the first failing run raised, or that its process was killed.
    """
    with worker_processes(min(jobs, len(calls))) as submit:
        futures = {submit(train, *arguments, **options): out for out, arguments in calls.items()}
        _follow(futures, progress)


def _follow(futures: Mapping[Future[object], Path], progress: ProgressCallback) -> None:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=LOOK_SECONDS, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        finished = sum((out / RESULT).is_file() for out in futures.values())
        notes = [_last_loss(out) for future, out in futures.items() if future in pending]
        note = "; ".join(filter(None, notes))
        progress(ProgressEvent("train", finished, len(futures), "seeds", note))


def _last_loss(out: Path) -> str:
    """ "seed-3 step 500 loss 0.512", or nothing where no line was written yet."""
    with suppress(OSError, ValueError, KeyError, IndexError):
        with (out / LOG).open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
            lines = [json.loads(line) for line in log.read().splitlines() if line[:1] == b"{"]
        last = [line for line in lines if line["group"] == "train"][-1]
        return f"{out.name} step {last['step']} loss {last['loss']:.3f}"
    return ""
