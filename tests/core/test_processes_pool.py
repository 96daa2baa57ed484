"""Tasks side by side: all results, errors as they were raised, and a killed process told."""

from __future__ import annotations

import math
import signal

import pytest

from vad_toolkit.core.processes import run_tasks
from vad_toolkit.errors import InputError, VadError
from vad_toolkit.experiments.ablation.tables import load_table


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_has_its_result(jobs: int) -> None:
    assert dict(run_tasks(math.factorial, range(5), jobs)) == {0: 1, 1: 1, 2: 2, 3: 6, 4: 24}


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_is_the_one_that_was_raised(jobs: int) -> None:
    with pytest.raises(InputError, match="no table 'other'"):
        list(run_tasks(load_table, ["parts", "other"], jobs))


@pytest.mark.filterwarnings("ignore:.*worker stopped:UserWarning")
def test_a_killed_process_is_told() -> None:
    with pytest.raises(VadError, match="a process was killed, perhaps since memory ran out"):
        list(run_tasks(signal.raise_signal, [signal.SIGKILL] * 2, 2))
