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

from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.controls import measure_controls
from vad_toolkit.evaluation.metrics import video_metrics
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.result import (
    CheckpointFacts,
    CheckpointResult,
    EvaluationResult,
    Inputs,
    Member,
)
from vad_toolkit.experiments.inspection.figures import FigureRequest


def result(
    seed: int,
    *,
    abnormal: bool = True,
    leak: bool = False,
    resamples: int = 0,
    truth: dict[str, Any] | None = None,
    weights: tuple[float, ...] = (1.0,),
    notes: tuple[str, ...] = (),
) -> CheckpointResult:
    videos = [ScoredVideo("n", 0, np.array([0.1, 0.6]), np.zeros(2, np.uint8))]
    if abnormal:
        labels = np.array([0, 1], np.uint8)
        videos.append(ScoredVideo("a", 1, np.array([0.2, 0.5]), labels, ("fight",)))
    if resamples:
        videos.append(ScoredVideo("m", 0, np.array([0.1, 0.2]), np.zeros(2, np.uint8)))
    return CheckpointResult(
        out=Path("out") / f"seed-{seed}",
        members=tuple(
            Member(
                CheckpointFacts("best.safetensors", "d" * 64, "sultani", 10, seed, 0.5, "", ""),
                Inputs("small", 16, "", "", "", truth or {"kind": "events"}, leak, "cpu", {}),
                weight,
            )
            for weight in weights
        ),
        metrics=video_metrics(videos, resamples=resamples),
        videos=(),
        controls=measure_controls(videos),
        notes=notes,
    )


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """A function that fixes the results of `evaluate`; it gives the arguments of the call."""

    def fix(*results: CheckpointResult) -> dict[str, Any]:
        call: dict[str, Any] = {}

        def fake(
            runs: tuple[Path, ...], packs: tuple[Path, ...], manifest: str, **options: Any
        ) -> EvaluationResult:
            call.update(runs=runs, packs=packs, manifest=manifest, **options)
            return EvaluationResult(Path("out"), results)

        monkeypatch.setattr("vad_toolkit.evaluation.evaluate.evaluate", fake)
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
    assert pairs["far_all"] == "0.3333"
    assert "ground truth  " in done.stdout
    assert "events over decoded frames" in done.stdout
    assert pairs["fight"].split() == ["1", "0.6667", "0.5000", "1.0000", "1.0000"]
    assert pairs["middle"].split() == ["0.5000", "0.2500", "0.5000", "0.5000"]
    assert done.stderr.splitlines() == [
        "length: learned from the test videos, since lengths of training videos are not known",
        "Note: AUC 0.6667 does not exceed scores that look at no features: labels (0.8333), "
        "labels x middle (0.8333)",
        "Metrics, scores and plots: out",
    ]
    assert (call["which"], call["plots"], call["device"]) == ("best", True, "auto")
    assert (call["out"], call["fuse"], call["resamples"]) == (None, None, 1000)
    assert (call["rule"], call["gt"], call["order"]) == (None, None, None)
    assert call["manifest"] == arguments[-1]


def test_options_are_passed_on(
    answer: Callable[..., dict[str, Any]], arguments: list[str], tmp_path: Path
) -> None:
    call = answer(result(0))
    more = ["--which", "last", "--no-plots", "--device", "cpu", "--out", str(tmp_path / "out")]
    CliRunner().invoke(vad, arguments + more, catch_exceptions=False)
    assert (call["which"], call["plots"], call["device"]) == ("last", False, "cpu")
    assert call["out"] == tmp_path / "out"
    rest = [*arguments[:4], "--manifest", "ucf-crime", "--bootstrap", "0"]
    CliRunner().invoke(vad, [*rest, "--rule", "rtfm"], catch_exceptions=False)
    assert (call["manifest"], call["resamples"]) == ("ucf-crime", 0)
    assert call["rule"] == "rtfm"
    gt, order = tmp_path / "test.h5", tmp_path / "test.jsonl"
    more = ["--gt", str(gt), "--order", str(order)]
    CliRunner().invoke(vad, [*rest, *more], catch_exceptions=False)
    assert (call["gt"], call["order"]) == (gt, order)


@pytest.mark.parametrize(
    ("truth", "line"),
    [
        ({"kind": "rule", "rule": "tevad", "fields": {}}, "ground truth      rule tevad"),
        ({"kind": "array", "sha256": "ab12"}, "ground truth      array with sha256 ab12"),
    ],
)
def test_where_labels_come_from_is_told(
    answer: Callable[..., dict[str, Any]], arguments: list[str], truth: dict[str, Any], line: str
) -> None:
    answer(result(0, truth=truth))
    done = CliRunner().invoke(vad, arguments, catch_exceptions=False)
    assert line in done.stdout.splitlines()


def test_intervals_follow_their_metrics(
    answer: Callable[..., dict[str, Any]], arguments: list[str]
) -> None:
    answer(result(0, resamples=50))
    done = CliRunner().invoke(vad, arguments, catch_exceptions=False)
    pairs = dict(line.split(None, 1) for line in done.stdout.splitlines() if line)
    assert pairs["far_normal"] == "0.2500 [0.0000, 0.5000]"
    assert pairs["auc"] == "0.8000"  # one abnormal video: nothing to draw from
    assert "[low, high]: 95% interval over 50 resamples of the test videos" in done.stderr


def test_seeds_have_their_intervals_in_a_table_of_their_own(
    answer: Callable[..., dict[str, Any]], arguments: list[str]
) -> None:
    answer(result(0, resamples=50), result(1, resamples=50))
    done = CliRunner().invoke(vad, arguments, catch_exceptions=False)
    lines = done.stdout.split("\n\n")[1].splitlines()
    assert lines[0].split()[:2] == ["seed", "auc"]
    assert [line.split()[0] for line in lines[1:]] == ["0", "1"]
    assert "[0.000, 0.500]" in lines[1]
    assert done.stderr.count("95% interval over 50 resamples") == 1


def test_an_undefined_metric_says_why(
    answer: Callable[..., dict[str, Any]], arguments: list[str]
) -> None:
    answer(result(0, abnormal=False, leak=True))
    done = CliRunner().invoke(vad, arguments, catch_exceptions=False)
    assert "not defined: there are no abnormal frames" in done.stdout
    assert "Warning: the checkpoint was trained on these very videos" in done.stderr


def test_seeds_are_rows_with_mean_and_deviation(
    answer: Callable[..., dict[str, Any]], arguments: list[str]
) -> None:
    answer(result(0), result(1))
    done = CliRunner().invoke(vad, arguments, catch_exceptions=False)
    table, controls = done.stdout.split("\n\n")
    lines = [line.split() for line in table.splitlines()]
    assert lines[0][:3] == ["seed", "step", "auc"]
    assert [line[0] for line in lines[1:]] == ["0", "1", "mean", "std"]
    assert lines[-1][1:3] == ["-", "0.0000"]
    assert controls.startswith("control ")
    assert "std: sample standard deviation (n - 1)" in done.stderr
    assert "videos: 1 normal, 1 abnormal\nframes: 4, 1 abnormal\n" in done.stderr
    assert "ground truth: events over decoded frames" in done.stderr


def test_json(answer: Callable[..., dict[str, Any]], arguments: list[str]) -> None:
    answer(result(0), result(1))
    done = CliRunner().invoke(vad, [*arguments, "--json"], catch_exceptions=False)
    values = json.loads(done.stdout)
    assert values["out"] == "out"
    assert [run["out"] for run in values["runs"]] == ["out/seed-0", "out/seed-1"]
    assert values["runs"][0]["metrics"]["classes"]["fight"]["auc_abnormal"] == 1.0
    assert values["runs"][0]["controls"]["values"]["labels"]["auc"] == 0.8333333333333334
    assert values["spread"]["far_normal"] == {"mean": 0.5, "std": 0.0}
    assert "videos" not in values["runs"][0]


def test_a_fusion_names_its_members_and_weights(
    answer: Callable[..., dict[str, Any]], arguments: list[str], tmp_path: Path
) -> None:
    call = answer(result(0, weights=(0.75, 0.25)))
    run, pack = tmp_path / "run.safetensors", tmp_path / "test.h5"
    more = [str(run), "--fuse", "3,1", "--pack", str(pack), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(vad, [*arguments, *more], catch_exceptions=False)
    pairs = [line.split(None, 2) for line in done.stdout.splitlines()[:2]]
    assert [pair[2] for pair in pairs] == [
        f"{share} of best.safetensors (step 10, seed 0)" for share in ("0.7500", "0.2500")
    ]
    assert (call["runs"], call["fuse"], call["packs"]) == ((run, run), [3, 1], (pack, pack))
    assert call["figures"] is None


def test_figures_are_asked_for(
    answer: Callable[..., dict[str, Any]], arguments: list[str], tmp_path: Path
) -> None:
    call = answer(result(0, notes=("interaction: no space",)))
    CliRunner().invoke(vad, arguments, catch_exceptions=False)
    assert call["figures"] is None
    run = tmp_path / "run.safetensors"
    more = ["--figures", "--compare", str(run), "--video", "a", "--video", "b"]
    done = CliRunner().invoke(vad, [*arguments, *more], catch_exceptions=False)
    assert call["figures"] == FigureRequest(run, ("a", "b"))
    assert "Not drawn: interaction: no space" in done.stderr


@pytest.mark.parametrize(
    ("runs", "more", "message"),
    [
        (
            2,
            [],
            "expected one run, got 2; evaluate them one by one, or average their scores with",
        ),
        (1, ["--pack", "test.h5"], "expected one pack for one run, got 2"),
        (2, ["--fuse", "0.5,0.5"], "--fuse needs --out"),
        (
            2,
            ["--fuse", "0.5;0.5", "--out", "out"],
            "--fuse must be numbers such as 0.5,0.5, got '0.5;0.5'",
        ),
        (
            2,
            ["--fuse", "0.5,0.5", "--out", "out", "--figures"],
            "--figures does not go with --fuse",
        ),
        (1, ["--video", "a"], "--compare and --video need --figures"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runs: int,
    more: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(
        vad, ["eval", *["run.safetensors"] * (runs - 1), *arguments[1:], *more]
    )
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)


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
    done = CliRunner().invoke(vad, [*arguments, "--gt", arguments[-1]])
    assert isinstance(done.exception, InputError)
    assert "--gt requires --order and vice versa" in str(done.exception)
    done = CliRunner().invoke(vad, [*arguments, "--bootstrap", "-1"])
    assert done.exit_code == 2
    assert "-1 is not in the range x>=0" in done.stderr
