"""`vad eval` passes its options on and prints what came back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from vad_cli.main import vad

from vad_toolkit.evaluation.evaluate import (
    CheckpointFacts,
    EvaluationResult,
    Inputs,
    RunsResult,
    Spread,
)
from vad_toolkit.evaluation.metrics import METRIC_NAMES, ScoredVideo, compute_metrics


def result(seed: int, *, abnormal: bool = True, leak: bool = False) -> EvaluationResult:
    videos = [ScoredVideo("n", 0, np.array([0.1, 0.6]), np.zeros(2, np.uint8))]
    if abnormal:
        truth = np.array([0, 1], np.uint8)
        videos.append(ScoredVideo("a", 1, np.array([0.2, 0.5]), truth, ("fight",)))
    return EvaluationResult(
        out=Path("out") / f"seed-{seed}",
        checkpoint=CheckpointFacts("best.safetensors", "d" * 64, "sultani", 10, seed, 0.5, "", ""),
        inputs=Inputs("small", 16, "", "", "", leak, "cpu", {}),
        metrics=compute_metrics(videos),
        videos=(),
    )


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """A function that fixes the results of `evaluate_runs`; it gives the arguments of the call."""

    def fix(*results: EvaluationResult) -> dict[str, Any]:
        call: dict[str, Any] = {}

        def fake(
            run: Path, pack: Path, manifest: Path, out: Path | None, **options: Any
        ) -> RunsResult:
            call.update(run=run, pack=pack, manifest=manifest, out=out, **options)
            spread = {name: Spread(0.5, 0.25) for name in METRIC_NAMES}
            return RunsResult(Path("out"), results, spread)

        monkeypatch.setattr("vad_toolkit.evaluation.evaluate.evaluate_runs", fake)
        return call

    return fix


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """The arguments that have to be there."""
    for name in ("run.safetensors", "test.h5", "test.jsonl"):
        (tmp_path / name).touch()
    run, pack, manifest = (tmp_path / n for n in ("run.safetensors", "test.h5", "test.jsonl"))
    return ["eval", str(run), "--pack", str(pack), "--manifest", str(manifest)]


def test_one_run_prints_metrics_and_classes(
    answer: Callable[..., dict[str, Any]], arguments: list[str]
) -> None:
    call = answer(result(0))
    done = CliRunner().invoke(vad, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    pairs = dict(line.split(None, 1) for line in done.stdout.splitlines() if line)
    assert pairs["checkpoint"] == "best.safetensors (step 10, seed 0)"
    assert pairs["videos"] == "1 normal, 1 abnormal"
    assert pairs["frames"] == "4, 1 abnormal"
    assert pairs["auc"] == "0.6667"
    assert pairs["far_normal"] == "0.5000"
    assert pairs["fight"].split() == ["1", "0.6667", "0.5000", "1.0000", "1.0000"]
    assert done.stderr.splitlines() == ["Metrics, scores and plots: out"]
    assert (call["which"], call["plots"], call["device"]) == ("best", True, "auto")
    assert call["out"] is None


def test_options_are_passed_on(
    answer: Callable[..., dict[str, Any]], arguments: list[str], tmp_path: Path
) -> None:
    call = answer(result(0))
    more = ["--which", "last", "--no-plots", "--device", "cpu", "--out", str(tmp_path / "out")]
    CliRunner().invoke(vad, arguments + more, catch_exceptions=False)
    assert (call["which"], call["plots"], call["device"]) == ("last", False, "cpu")
    assert call["out"] == tmp_path / "out"


def test_an_undefined_metric_says_why(
    answer: Callable[..., dict[str, Any]], arguments: list[str]
) -> None:
    answer(result(0, abnormal=False, leak=True))
    done = CliRunner().invoke(vad, arguments, catch_exceptions=False)
    assert "not defined: there are no abnormal frames" in done.stdout
    assert "Warning: these are the videos that the checkpoint was trained on" in done.stderr


def test_seeds_are_rows_with_mean_and_deviation(
    answer: Callable[..., dict[str, Any]], arguments: list[str]
) -> None:
    answer(result(0), result(1))
    done = CliRunner().invoke(vad, arguments, catch_exceptions=False)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][:3] == ["seed", "step", "auc"]
    assert [line[0] for line in lines[1:]] == ["0", "1", "mean", "std"]
    assert lines[-1][1:3] == ["-", "0.2500"]
    assert "std: sample standard deviation (n - 1)" in done.stderr


def test_json(answer: Callable[..., dict[str, Any]], arguments: list[str]) -> None:
    answer(result(0), result(1))
    done = CliRunner().invoke(vad, [*arguments, "--json"], catch_exceptions=False)
    values = json.loads(done.stdout)
    assert values["out"] == "out"
    assert [run["out"] for run in values["runs"]] == ["out/seed-0", "out/seed-1"]
    assert values["runs"][0]["metrics"]["classes"]["fight"]["auc_abnormal"] == 1.0
    assert values["spread"]["auc"] == {"mean": 0.5, "std": 0.25}
    assert "videos" not in values["runs"][0]


def test_wrong_use_is_refused(arguments: list[str]) -> None:
    done = CliRunner().invoke(vad, arguments[:4])
    assert done.exit_code == 2
    assert "Missing option '--manifest'" in done.stderr
    done = CliRunner().invoke(vad, [*arguments, "--which", "first"])
    assert done.exit_code == 2
    assert "'first' is not one of 'best', 'last'" in done.stderr
    done = CliRunner().invoke(vad, ["eval", "no-such-run", *arguments[2:]])
    assert done.exit_code == 2
    assert "Path 'no-such-run' does not exist" in done.stderr
