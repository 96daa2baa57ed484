"""`vad predict`: scores, alarms and plots of new videos."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    ANY_PATH,
    EXISTING,
    decoder_options,
    device_option,
    json_option,
    print_json,
    print_table,
    progress_reporter,
)

if TYPE_CHECKING:
    from vad_toolkit.scoring.alarms import Alarm
    from vad_toolkit.scoring.predict import Prediction, PredictSummary

SHOWN_ALARMS = 3


@click.command("predict")
@click.argument("checkpoint", type=EXISTING)
@click.argument("videos", metavar="VIDEO-or-DIR ...", nargs=-1, required=True, type=ANY_PATH)
@click.option("--out", type=ANY_PATH, required=True, help="New or empty folder for the results.")
@click.option(
    "--threshold", default=0.5, show_default=True, help="Scores from here on are an alarm."
)
@click.option(
    "--merge-seconds",
    default=0.0,
    show_default=True,
    help="Join alarms with a shorter gap between them.",
)
@click.option(
    "--min-seconds", default=0.0, show_default=True, help="Then drop alarms that are shorter."
)
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True),
    help="Frames a second of videos that state none, such as folders of frames.",
)
@decoder_options
@click.option("--no-plots", is_flag=True, help="Write no pictures.")
@device_option
@json_option
def predict(
    checkpoint: Path,
    videos: tuple[Path, ...],
    out: Path,
    threshold: float,
    merge_seconds: float,
    min_seconds: float,
    fps: float | None,
    decoder: str,
    allow_damaged: int,
    timeout: float,
    no_plots: bool,
    device: str,
    as_json: bool,
) -> None:
    """Score the frames of videos with a checkpoint: a file or the folder of one run.

    A video is a file, or a folder of frames (000.jpg, 001.jpg, ...). The checkpoint says how
    features are made; nothing else has to be told. Each video gets a CSV
    (frame, seconds, score), a JSON (alarms in frames and seconds) and a PNG in OUT, folders keep
    their sub-folders. A video that cannot be used is a line in failures.jsonl, and the exit code
    is 1.

    \b
    Examples:
      vad predict runs/first camera.mp4 --out scores
      vad predict runs/first videos/ --out scores --threshold 0.7 --merge-seconds 2 --min-seconds 1
      vad predict runs/first testing/frames/01_0014 --fps 24 --out scores
    """
    from vad_toolkit.scoring.predict import predict as predict_videos

    with progress_reporter() as progress:
        summary = predict_videos(
            checkpoint,
            videos,
            out,
            threshold=threshold,
            merge_seconds=merge_seconds,
            min_seconds=min_seconds,
            fps=fps,
            device=device,
            decoder=decoder,
            allow_damaged=allow_damaged,
            timeout_seconds=timeout,
            plots=not no_plots,
            progress=progress,
        )
    if as_json:
        print_json(_json(summary))
    else:
        print_table([_row(prediction) for prediction in summary.predictions])
    for prediction in summary.predictions:
        for note in prediction.notes:
            click.echo(f"{prediction.name}: {note}", err=True)
    for failure in summary.failures:
        click.echo(f"failed: {failure.id}: {failure.reason}", err=True)
    click.echo(f"Scores, alarms and plots: {summary.out}", err=True)
    if summary.failures:
        raise SystemExit(1)


def _row(prediction: Prediction) -> dict[str, Any]:
    return {
        "video": prediction.name,
        "frames": prediction.frames,
        "seconds": None if prediction.seconds is None else f"{prediction.seconds:.1f}",
        "max_score": prediction.max_score,
        "alarms": len(prediction.alarms),
        "at": ", ".join(map(_when, prediction.alarms[:SHOWN_ALARMS]))
        + (", ..." if len(prediction.alarms) > SHOWN_ALARMS else ""),
    }


def _when(alarm: Alarm) -> str:
    if alarm.start_seconds is None or alarm.stop_seconds is None:
        return f"frames {alarm.start}-{alarm.stop}"
    return f"{alarm.start_seconds:.1f}-{alarm.stop_seconds:.1f} s"


def _json(summary: PredictSummary) -> dict[str, Any]:
    predictions = []
    for prediction in summary.predictions:
        values = asdict(prediction)
        predictions.append(
            {
                name: str(value) if isinstance(value, Path) else value
                for name, value in values.items()
            }
        )
    return {
        "out": str(summary.out),
        "predictions": predictions,
        "failures": [asdict(failure) for failure in summary.failures],
    }
