from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.training.log import RunLog, check_run_folder


def test_a_line_a_step(tmp_path: Path) -> None:
    with RunLog(tmp_path / "run", tensorboard=False) as log:
        log.write(5, "train", {"loss": 0.5})
        lines = (tmp_path / "run" / "log.jsonl").read_text()  # there while training goes on
    assert json.loads(lines) == {"step": 5, "group": "train", "loss": 0.5}
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_tensorboard_gets_the_same(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunLog(tmp_path, tensorboard=True) as log:
        log.write(5, "validation", {"auc": 0.75})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("validation/auc")] == [(5, 0.75)]


def test_a_new_or_empty_folder_is_fine(tmp_path: Path) -> None:
    check_run_folder(tmp_path / "new")
    check_run_folder(tmp_path)


@pytest.mark.parametrize("name", ["full", "full/file"])
def test_what_exists_is_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    message = f"{str(tmp_path / name)!r} exists and is not empty: a run never overwrites"
    with pytest.raises(InputError, match=re.escape(message)):
        check_run_folder(tmp_path / name)
