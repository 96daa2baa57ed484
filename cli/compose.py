"""`vad compose`: untrimmed, weakly-labeled videos from a pack of trimmed clips."""

from __future__ import annotations

from typing import Any

import click

from .common import ANY_PATH, EXISTING_FILE, json_option, print_json, print_table, progress_reporter

VIDEOS_HELP = (
    "Number of {} training videos; test in proportion.  [default: one per abnormal training clip]"
)


@click.command()
@click.option("--pack", required=True, type=EXISTING_FILE, help="Features of the clips.")
@click.option(
    "--manifest",
    "manifests",
    metavar="NAME-OR-FILE",
    required=True,
    multiple=True,
    help="The training clips; given again, the test clips. A dataset's name stands for both.",
)
@click.option("--out", required=True, type=ANY_PATH, help="The folder to write, new or empty.")
@click.option(
    "--mode",
    type=click.Choice(["mixed", "source"]),
    default="mixed",
    show_default=True,
    help="Take the clips of a video from a whole side of the split, or from one source video.",
)
@click.option(
    "--seed", default=0, show_default=True, help="The same seed composes the same videos."
)
@click.option("--normal-videos", type=int, help=VIDEOS_HELP.format("normal"))
@click.option("--abnormal-videos", type=int, help=VIDEOS_HELP.format("abnormal"))
@click.option("--clips", metavar="MIN-MAX", help="Clips per video.  [default: 5-9]")
@click.option(
    "--validation-fraction",
    type=float,
    help="Share of the training clips that is kept for validation videos.  [default: 0.2]",
)
@json_option
def compose(manifests: tuple[str, ...], clips: str | None, as_json: bool, **options: Any) -> None:
    """Compose long videos from trimmed clips, on features, with exact ground truth.

    A normal video is a run of normal clips; an abnormal video has one to three abnormal clips among
    normal ones. A normal clip is used in normal videos or in abnormal ones, never in both.

    \b
    Example:
      vad compose --pack cctv.h5 --manifest manifests/cctv/train.jsonl \\
          --manifest manifests/cctv/test.jsonl --out composed
      vad train --pack composed/pack.h5 --manifest composed/train.jsonl --out run
    """
    from vad_toolkit.compose.compose import compose_videos

    if len(manifests) > 2:
        raise click.UsageError("--manifest: give one (train) or two (train, then test)")
    with progress_reporter() as progress:
        result = compose_videos(
            manifest=manifests[0],
            test_manifest=manifests[1] if manifests[1:] else None,
            clips_per_video=None if clips is None else _parse_range(clips),
            progress=progress,
            **options,
        )
    for note in result.notes:
        click.echo(note, err=True)
    if as_json:
        print_json({"pack": str(result.pack), "sides": result.videos, "notes": result.notes})
    else:
        paths = {"train": result.train, "test": result.test}
        print_table([{"manifest": paths[side], **row} for side, row in result.videos.items()])


def _parse_range(text: str) -> tuple[int, int]:
    from vad_toolkit.errors import InputError

    low, dash, high = text.partition("-")
    try:
        return int(low), int(high if dash else low)
    except ValueError:
        raise InputError(f"--clips must be MIN-MAX, as in 5-9, got {text!r}") from None
