"""`vad predict` passes its options on, prints a row a video, and tells what failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from vad_cli.main import vad

from vad_toolkit.extraction.failures import Failure
from vad_toolkit.scoring.alarms import Alarm
from vad_toolkit.scoring.predict import Prediction, PredictionResult

ALARMS = (Alarm(16, 32, 1.6, 3.2, 0.75, 16), Alarm(48, 70, 4.8, 7.0, 0.9, 64))


def prediction(name: str, alarms: tuple[Alarm, ...], fps: float | None = 10.0) -> Prediction:
    out = Path("out")
    return Prediction(
        name=name,
        path=Path(f"{name}.mp4"),
        frames=70,
        fps=fps,
        seconds=fps and 70 / fps,
        max_score=0.9,
        mean_score=0.4,
        alarms=alarms,
        notes=() if fps else ("the video states no frame rate: seconds are left out",),
        csv=out / f"{name}.csv",
        json=out / f"{name}.json",
        plot=None,
    )


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """A function that fixes the result of `predict`; it gives the arguments of the call."""

    def fix(*predictions: Prediction, failures: Sequence[Failure] = ()) -> dict[str, Any]:
        call: dict[str, Any] = {}

        def fake(
            checkpoint: Path, videos: Sequence[Path], out: Path, **options: Any
        ) -> PredictionResult:
            call.update(checkpoint=checkpoint, videos=videos, out=out, **options)
            return PredictionResult(out, predictions, tuple(failures))

        monkeypatch.setattr("vad_toolkit.scoring.predict.predict", fake)
        return call

    return fix


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """The arguments that have to be there."""
    checkpoint = tmp_path / "best.safetensors"
    checkpoint.touch()
    return ["predict", str(checkpoint), "a.mp4", "folder", "--out", "out"]


def test_a_row_a_video(answer: Callable[..., dict[str, Any]], arguments: list[str]) -> None:
    call = answer(prediction("a", ALARMS), prediction("b", ()), prediction("c", ALARMS * 2))
    done = CliRunner().invoke(vad, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    lines = [line.split(None, 5) for line in done.stdout.splitlines()]
    assert lines[0] == ["video", "frames", "seconds", "max_score", "alarms", "at"]
    assert lines[1] == ["a", "70", "7.0", "0.9000", "2", "1.6-3.2 s, 4.8-7.0 s"]
    assert lines[2] == ["b", "70", "7.0", "0.9000", "0"]
    assert lines[3][5] == "1.6-3.2 s, 4.8-7.0 s, 1.6-3.2 s, ..."
    assert done.stderr == "Scores, alarms and plots: out\n"
    assert call["videos"] == (Path("a.mp4"), Path("folder"))
    assert (call["threshold"], call["merge_seconds"], call["min_seconds"]) == (0.5, 0.0, 0.0)
    assert (call["decoder"], call["timeout_seconds"], call["plots"]) == ("auto", 60.0, True)


def test_options_are_passed_on(answer: Callable[..., dict[str, Any]], arguments: list[str]) -> None:
    call = answer()
    more = [
        "--threshold",
        "0.7",
        "--merge-seconds",
        "2",
        "--min-seconds",
        "1",
        "--decoder",
        "pyav",
        "--timeout",
        "5",
    ]
    more += ["--no-plots", "--device", "cpu", "--fps", "24"]
    CliRunner().invoke(vad, arguments + more, catch_exceptions=False)
    assert (call["threshold"], call["merge_seconds"], call["min_seconds"]) == (0.7, 2.0, 1.0)
    assert (call["decoder"], call["timeout_seconds"], call["plots"]) == ("pyav", 5.0, False)
    assert (call["device"], call["fps"]) == ("cpu", 24.0)


def test_no_frame_rate_is_told(answer: Callable[..., dict[str, Any]], arguments: list[str]) -> None:
    answer(prediction("still", (Alarm(0, 16, None, None, 0.9, 0),), fps=None))
    done = CliRunner().invoke(vad, arguments, catch_exceptions=False)
    assert done.stdout.splitlines()[1].split(None, 5)[2:] == ["-", "0.9000", "1", "frames 0-16"]
    assert "still: the video states no frame rate" in done.stderr


@pytest.mark.parametrize("as_json", [True, False])
def test_failures_are_told_and_end_with_1(
    answer: Callable[..., dict[str, Any]], arguments: list[str], as_json: bool
) -> None:
    answer(prediction("a", ALARMS), failures=[Failure("bad", "bad.mp4", "no frames")])
    more = ["--json"] if as_json else []
    done = CliRunner().invoke(vad, arguments + more, catch_exceptions=False)
    assert done.exit_code == 1
    assert "failed: bad: no frames" in done.stderr
    if as_json:
        values = json.loads(done.stdout)
        assert values["failures"] == [{"id": "bad", "path": "bad.mp4", "reason": "no frames"}]
        assert values["predictions"][0]["csv"] == "out/a.csv"
        assert values["predictions"][0]["alarms"][0]["stop_seconds"] == 3.2


def test_wrong_use_is_refused(arguments: list[str]) -> None:
    done = CliRunner().invoke(vad, arguments[:2])
    assert done.exit_code == 2
    assert "Missing argument 'VIDEO-or-DIR ...'" in done.stderr
    done = CliRunner().invoke(vad, arguments[:4])
    assert done.exit_code == 2
    assert "Missing option '--out'" in done.stderr
    done = CliRunner().invoke(vad, [*arguments, "--threshold", "high"])
    assert done.exit_code == 2
    assert "'high' is not a valid float" in done.stderr
