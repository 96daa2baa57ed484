from __future__ import annotations

import json
from pathlib import Path

import pytest

from vad_toolkit.errors import VadError
from vad_toolkit.training.run_folder import RunLog


def test_a_line_a_step(tmp_path: Path) -> None:
    with RunLog(tmp_path, tensorboard=False) as log:
        log.write(5, "train", {"loss": 0.5})
        lines = (tmp_path / "log.jsonl").read_text()  # there while training goes on
    assert json.loads(lines) == {"step": 5, "group": "train", "loss": 0.5}
    assert not (tmp_path / "tensorboard").exists()


def test_tensorboard_gets_the_same(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunLog(tmp_path, tensorboard=True) as log:
        log.write(5, "validation", {"auc": 0.75})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("validation/auc")] == [(5, 0.75)]


def test_what_came_after_the_state_is_cut_off(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunLog(tmp_path, tensorboard=True) as log:
        log.write(5, "train", {"loss": 0.5})
        kept = log.sync()
        log.write(10, "train", {"loss": 99.0})
        log.write(15, "train", {"loss": 98.0})
    with RunLog(tmp_path, tensorboard=True, step=7, keep_bytes=kept) as log:
        assert log.sync() == kept
        log.write(10, "train", {"loss": 0.25})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(5, 0.5), (10, 0.25)]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(5, 0.5), (10, 0.25)]


def test_a_log_that_lost_lines_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(VadError, match="has lost lines since its run was stopped"):
        RunLog(tmp_path, tensorboard=False, step=7, keep_bytes=10)
