"""A run that was stopped anywhere and goes on gives the bytes of one that was not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from vad_toolkit.errors import InputError, VadError
from vad_toolkit.models.base import Method
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.models.registry import METHODS as REGISTRY
from vad_toolkit.models.sultani import Sultani, SultaniConfig, SultaniHead
from vad_toolkit.training import run as run_module
from vad_toolkit.training.checkpoint import load_checkpoint
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.run_folder import RunResult
from vad_toolkit.training.state import STATE
from vad_toolkit.training.step import TrainingStep

METHODS = {
    "clav-como": {"head.width": 8, "head.stream_width": 4, "head.activate_hidden": 4},
    "sultani": {"head.hidden": [8, 4]},  # Adagrad
}
EVERY = {
    "steps": 12,
    "pairs": 3,
    "log_every": 3,
    "validation.every": 4,
    "checkpoint_every": 5,
    "tensorboard": False,
    "data.segments": 6,
}


def config_of(method: str = "clav-como", **overrides: object) -> TrainConfig:
    return load_config(method, {**EVERY, **METHODS[method], **overrides})


class Stopped(Exception):
    """Takes the place of a kill."""


@contextmanager
def stopped(steps: int) -> Iterator[None]:
    """The training inside is stopped when it has made so many steps."""
    made = []
    original = TrainingStep.__call__

    def counted(self: TrainingStep, *arguments: object) -> object:
        if len(made) == steps:
            raise Stopped
        made.append(1)
        return original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingStep, "__call__", counted)
        with pytest.raises(Stopped):
            yield


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("segments", [6, "all"])
def test_stopped_anywhere(dataset, tmp_path, method, segments) -> None:
    config = config_of(method, **{"data.segments": segments})
    (whole,) = dataset.train(tmp_path / "whole", config, seed=3)
    expected = contents(whole.run)
    assert not (whole.run / STATE).exists()
    for step in (0, 4, 5, 6, 9, 11):
        out = tmp_path / f"stopped at {step}"
        with stopped(step):
            dataset.train(out, config, seed=3)
        assert (out / STATE).exists() == (step >= 5)
        torch.rand(3)
        (result,) = dataset.train(out, config, seed=3)
        assert contents(out) == expected
        assert (result.best_step, result.last_auc) == (whole.best_step, whole.last_auc)


@pytest.mark.parametrize("optimiser", [{}, {"name": "adamw", "ema": 0.9}])
def test_stopped_again_and_again(dataset, tmp_path, optimiser) -> None:
    config = config_of(**{f"optimiser.{name}": value for name, value in optimiser.items()})
    (whole,) = dataset.train(tmp_path / "whole", config)
    out = tmp_path / "stopped"
    for _ in range(2):  # the second one goes on from step 5 and reaches step 11
        with stopped(6):
            dataset.train(out, config)
    dataset.train(out, config)
    assert contents(out) == contents(whole.run)


def test_a_stop_after_the_last_checkpoint(dataset, tmp_path, monkeypatch) -> None:
    (whole,) = dataset.train(tmp_path / "whole", config_of())

    def stop(self: object) -> None:
        raise Stopped

    monkeypatch.setattr(RunResult, "write", stop)
    with pytest.raises(Stopped):
        dataset.train(tmp_path / "stopped", config_of())
    monkeypatch.undo()
    assert (tmp_path / "stopped" / "last.safetensors").exists()
    dataset.train(tmp_path / "stopped", config_of())
    assert contents(tmp_path / "stopped") == contents(whole.run)


def test_a_stop_before_the_state_is_removed(dataset, tmp_path, monkeypatch) -> None:
    (whole,) = dataset.train(tmp_path / "whole", config_of())

    unlink = Path.unlink

    def stop(path: Path, missing_ok: bool = False) -> None:
        if path.name == STATE:
            raise Stopped
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", stop)
    with pytest.raises(Stopped):
        dataset.train(tmp_path / "stopped", config_of())
    monkeypatch.undo()
    assert (tmp_path / "stopped" / STATE).exists()
    dataset.train(tmp_path / "stopped", config_of())
    assert contents(tmp_path / "stopped") == contents(whole.run)


def test_a_best_step_that_came_after_the_state_is_taken_back(dataset, tmp_path) -> None:
    """Its steps are made again; on a device that is not exact they may go another way."""
    out = tmp_path / "run"
    with stopped(7):
        dataset.train(out, config_of())
    best = (out / "best.safetensors").read_bytes()
    (out / "best.safetensors").write_bytes(b"of a later step")
    with stopped(0):
        dataset.train(out, config_of())
    assert (out / "best.safetensors").read_bytes() == best


def test_what_a_killed_process_was_writing_is_removed(dataset, tmp_path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "run.json.tmp-4711").write_text("{")
    (out / "log.jsonl").touch()
    dataset.train(out, config_of())
    assert not list(out.glob("*.tmp-*"))


def test_a_finished_run_is_kept(dataset, tmp_path, monkeypatch) -> None:
    (first,) = dataset.train(tmp_path / "run", config_of())
    before = {path: path.stat().st_mtime_ns for path in first.run.iterdir()}
    monkeypatch.setattr(run_module, "build_model", None)  # nothing is built for it
    (again,) = dataset.train(tmp_path / "run", config_of())
    assert again == type(first)(**{**vars(first), "reused": True})
    assert {path: path.stat().st_mtime_ns for path in first.run.iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "seed", "threads", "message"),
    [
        ({"head.window": 5}, 0, 1, r"\(config.head.window is 3 there, 5 here\)"),
        ({"steps": 13}, 0, 1, r"\(config.steps is 12 there, 13 here\)"),
        ({}, 1, 1, r"\(seed is 0 there, 1 here\)"),
        ({}, 0, 2, r"\(threads is 1 there, 2 here\)"),
    ],
)
def test_a_run_of_other_settings_is_refused(
    dataset, tmp_path, changes, seed, threads, message
) -> None:
    with stopped(6):
        dataset.train(tmp_path, config_of(), threads=1)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=f"holds another run {message}; choose another --out"):
        dataset.train(tmp_path, config_of(**changes), seed=seed, threads=threads)
    assert contents(tmp_path) == before


class LaterHead(SultaniHead):
    layers: int = 2


class LaterConfig(SultaniConfig):
    """As the config of a later version, with two fields more."""

    head: LaterHead = LaterHead()
    patience: int = 0


def test_a_run_of_an_older_version_goes_on(dataset, tmp_path, monkeypatch) -> None:
    """Its config lacks fields, and texts and the version of the toolkit are others."""
    (whole,) = dataset.train(tmp_path / "whole", config_of("sultani"))
    out = tmp_path / "stopped"
    with stopped(6):
        dataset.train(out, config_of("sultani"))
    written = json.loads((out / "run.json").read_text())
    written["versions"]["vad-toolkit"] = "0.1.0"
    written["notice"] = "in other words"
    (out / "run.json").write_text(json.dumps(written))
    with monkeypatch.context() as later:
        later.setitem(REGISTRY._items, "sultani", Method(LaterConfig, Sultani, ""))
        assert config_of("sultani").model_dump()["patience"] == 0
        dataset.train(out, config_of("sultani"))
        assert load_checkpoint(whole).config == config_of("sultani")
        with pytest.raises(InputError, match=r"config.patience is None there, 3 here"):
            dataset.train(out, config_of("sultani", patience=3))
    for name in ("best.safetensors", "last.safetensors", "log.jsonl", "result.json"):
        assert (out / name).read_bytes() == (whole.run / name).read_bytes()


def test_a_damaged_state_is_told(dataset, tmp_path) -> None:
    with stopped(6):
        dataset.train(tmp_path, config_of())
    state = tmp_path / STATE
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(VadError, match="is damaged; remove it to train this run from the begin"):
        dataset.train(tmp_path, config_of())


def test_finished_seeds_are_kept_and_others_go_on(dataset, tmp_path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "stopped"
    dataset.train(whole, config_of(), seeds=range(3))
    with stopped(12 + 7):
        dataset.train(out, config_of(), seeds=range(3))
    assert json.loads((out / "seed-0" / "result.json").read_text())["steps"] == 12
    results = dataset.train(out, config_of(), seeds=range(3))
    assert [result.reused for result in results] == [True, False, False]
    for seed in range(3):
        assert contents(out / f"seed-{seed}") == contents(whole / f"seed-{seed}")


def test_more_seeds_come_beside_those_that_are_there(dataset, tmp_path) -> None:
    dataset.train(tmp_path, config_of(), seeds=[0])
    results = dataset.train(tmp_path, config_of(), seeds=[0, 1])
    assert [result.reused for result in results] == [True, False]
    with pytest.raises(InputError, match="holds a run of one seed; choose another --out"):
        dataset.train(tmp_path / "seed-0", config_of(), seeds=[0, 1])
    shutil.rmtree(tmp_path / "seed-1")
    with pytest.raises(InputError, match=r"seed-0' holds another run \(config.steps"):
        dataset.train(tmp_path, config_of(steps=9), seeds=[0, 1])
    assert not (tmp_path / "seed-1").exists()  # all is looked at before anything begins
