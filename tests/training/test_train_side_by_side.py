from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from vad_toolkit.core.progress import ProgressEvent, silent
from vad_toolkit.errors import InputError, VadError
from vad_toolkit.training.train import train_seeds, train_side_by_side


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


def test_bytes_do_not_depend_on_jobs(dataset, tmp_path, small_config) -> None:
    events: list[ProgressEvent] = []
    for jobs in (1, 2):
        out = tmp_path / f"{jobs} jobs"
        results = train_seeds(
            dataset.pack,
            dataset.manifest,
            out,
            small_config,
            [5, 1, 3],
            "cpu",
            events.append if jobs > 1 else silent,
            jobs=jobs,
            threads=1,
        )
        assert [result.run.name for result in results] == ["seed-5", "seed-1", "seed-3"]
    for seed in (1, 3, 5):
        one, other = (contents(tmp_path / f"{jobs} jobs" / f"seed-{seed}") for jobs in (1, 2))
        assert one == other
    assert (events[-1].stage, events[-1].done, events[-1].total) == ("train", 3, 3)


def test_threads_are_shared_out_and_recorded(dataset, tmp_path, small_config) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        train_seeds(dataset.pack, dataset.manifest, tmp_path, small_config, [0, 1], "cpu", jobs=2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    stored = [json.loads((tmp_path / f"seed-{s}" / "run.json").read_text()) for s in (0, 1)]
    assert [run["threads"] for run in stored] == [1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"jobs": 0}, "jobs 0: has to be at least 1"), ({"threads": 0}, "threads 0: has to be at")],
)
def test_wrong_numbers(dataset, tmp_path, small_config, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_seeds(
            dataset.pack, dataset.manifest, tmp_path, small_config, [0, 1], "cpu", **options
        )


def test_what_a_run_raises_stops_the_others(tmp_path) -> None:
    def fail_or_wait(out: Path) -> None:  # inside, so that it is sent as it is
        if out.name == "a":
            raise VadError(f"step 3 of {out.name}: the loss is nan")
        time.sleep(60)

    calls = {tmp_path / name: (tmp_path / name,) for name in ("a", "b")}
    with pytest.raises(VadError, match=r"^step 3 of a: the loss is nan$"):
        train_side_by_side(fail_or_wait, calls, {}, 2, silent)


def test_a_killed_process_is_told(tmp_path) -> None:
    def die(out: Path) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    calls = {tmp_path / name: (tmp_path / name,) for name in ("a", "b")}
    with pytest.raises(VadError, match="a worker process was killed, perhaps because memory ran"):
        train_side_by_side(die, calls, {}, 2, silent)
