from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from vad_toolkit.core.progress import ProgressEvent, silent
from vad_toolkit.errors import InputError
from vad_toolkit.training import train as train_module


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


def test_bytes_do_not_depend_on_jobs(dataset, tmp_path, small_config) -> None:
    events: list[ProgressEvent] = []
    for jobs in (1, 2):
        out = tmp_path / f"{jobs} jobs"
        results = dataset.train(
            out,
            small_config,
            seeds=[5, 1],
            progress=events.append if jobs > 1 else silent,
            jobs=jobs,
            threads=1,
        )
        assert [result.run.name for result in results] == ["seed-5", "seed-1"]
    for seed in (1, 5):
        one, other = (contents(tmp_path / f"{jobs} jobs" / f"seed-{seed}") for jobs in (1, 2))
        assert one == other
    assert (events[-1].stage, events[-1].done, events[-1].total) == ("train", 2, 2)


def test_threads_are_shared_out_and_recorded(dataset, tmp_path, small_config, monkeypatch) -> None:
    def in_this_process(function, tasks, jobs, on_wait) -> Iterator[object]:
        assert ([seed for seed, _ in tasks], jobs) == ([0, 1], 2)
        yield from map(function, tasks)
        on_wait([])

    monkeypatch.setattr(train_module, "run_tasks", in_this_process)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        dataset.train(tmp_path, small_config, seeds=2, jobs=2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    stored = [json.loads((tmp_path / f"seed-{s}" / "run.json").read_text()) for s in (0, 1)]
    assert [run["threads"] for run in stored] == [1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 2, "jobs": 0}, "jobs must be an integer >= 1, got 0"),
        ({"seeds": 2, "threads": 0}, "threads must be an integer >= 1, got 0"),
        ({"seeds": 0}, "seeds must be one or more different integers >= 0, got 0"),
        ({"seeds": [-1]}, r"seeds must be one or more different integers >= 0, got \[-1\]"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"seed": 1, "seeds": 2}, "seed is for one run and seeds for several; give only one"),
        ({"jobs": 2}, "jobs is for several seeds, got jobs 2 for one; give seeds too"),
    ],
)
def test_wrong_numbers(dataset, tmp_path, small_config, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataset.train(tmp_path, small_config, **options)
