"""`vad predict`: scores, alarms and plots of new videos."""

from __future__ import annotations

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
    from vad_toolkit.scoring.predict import Prediction

SHOWN_ALARMS = 3


@click.command("predict")
@click.argument("checkpoint", type=EXISTING)
@click.argument("videos", metavar="VIDEO-or-DIR ...", nargs=-1, required=True, type=ANY_PATH)
@click.option("--out", type=ANY_PATH, required=True, help="New or empty folder for the results.")
@click.option(
    "--threshold",
    default=0.5,
    show_default=True,
    help="Frames with a score >= this are in an alarm.",
)
@click.option(
    "--merge-seconds",
    default=0.0,
    show_default=True,
    help="Join two alarms if the gap between them is shorter than this.",
)
@click.option(
    "--min-seconds",
    default=0.0,
    show_default=True,
    help="Drop alarms that are shorter than this, after joining.",
)
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True),
    help="Frames per second of videos without a frame rate, such as folders of frames.",
)
@decoder_options
@click.option("--no-plots", is_flag=True, help="Do not write plots.")
@device_option
@json_option
def predict(
    checkpoint: Path,
    videos: tuple[Path, ...],
    out: Path,
    no_plots: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Score every frame of videos with a checkpoint: a file or the folder of one run.

    A video is a file, or a folder of frames (000.jpg, 001.jpg, ...). The checkpoint determines how
    features are extracted. Each video gets a CSV (frame, seconds, score), a JSON (alarms in frames
    and seconds) and a PNG in OUT; sub-folders are kept. A video that fails is a line in
    failures.jsonl, and the exit code is 1.

    \b
    Examples:
      vad predict runs/first camera.mp4 --out scores
      vad predict runs/first videos/ --out scores --threshold 0.7 --merge-seconds 2 --min-seconds 1
      vad predict runs/first testing/frames/01_0014 --fps 24 --out scores
    """
    from vad_toolkit.scoring.predict import predict as predict_videos

    with progress_reporter() as progress:
        result = predict_videos(
            checkpoint, videos, out, plots=not no_plots, progress=progress, **options
        )
    if as_json:
        print_json(result.to_dict())
    else:
        print_table([_row(prediction) for prediction in result.predictions])
    for prediction in result.predictions:
        for note in prediction.notes:
            click.echo(f"{prediction.name}: {note}", err=True)
    for failure in result.failures:
        click.echo(f"failed: {failure.id}: {failure.reason}", err=True)
    click.echo(f"Scores, alarms and plots: {result.out}", err=True)
    if result.failures:
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
