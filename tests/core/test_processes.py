"""Tasks in worker processes: results, errors as they were raised, and killed workers."""

from __future__ import annotations

import math
import signal
import time

import pytest

from vad_toolkit.core import processes
from vad_toolkit.core.processes import run_tasks
from vad_toolkit.errors import VadError


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_has_its_result(jobs: int) -> None:
    assert dict(run_tasks(math.factorial, range(5), jobs)) == {0: 1, 1: 1, 2: 2, 3: 6, 4: 24}


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_is_the_one_that_was_raised(jobs: int) -> None:
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        list(run_tasks(math.sqrt, [4, -1], jobs))


@pytest.mark.filterwarnings("ignore:.*worker stopped:UserWarning")
def test_a_killed_worker_is_an_error() -> None:
    with pytest.raises(VadError, match=r"a worker process was killed.*with fewer --jobs"):
        list(run_tasks(signal.raise_signal, [signal.SIGKILL] * 2, 2))


def test_unfinished_tasks_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "WAIT_SECONDS", 0.02)
    seen: list[list[float]] = []
    assert len(list(run_tasks(time.sleep, [0.0, 0.3], 2, seen.append))) == 2
    assert [0.3] in seen
    assert seen[-1] == []
