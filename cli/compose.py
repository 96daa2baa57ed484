"""`vad compose`: untrimmed, weakly-labelled videos out of a pack of trimmed clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import ANY_PATH, EXISTING_FILE, json_option, print_json, print_table, progress_reporter

if TYPE_CHECKING:
    from vad_toolkit.compose.compose import Mode


@click.command()
@click.option("--pack", required=True, type=EXISTING_FILE, help="Features of the clips.")
@click.option(
    "--manifest",
    "manifests",
    required=True,
    multiple=True,
    type=EXISTING_FILE,
    help="The clips' train manifest; given again, their test manifest.",
)
@click.option("--out", required=True, type=ANY_PATH, help="The folder to write; new or empty.")
@click.option(
    "--mode",
    type=click.Choice(["mixed", "source"]),
    default="mixed",
    show_default=True,
    help="Clips from everywhere on one side of the split, or only from one source video.",
)
@click.option(
    "--seed", default=0, show_default=True, help="The same seed composes the same videos."
)
@click.option(
    "--normal-videos",
    type=int,
    help="How many for training; test in proportion. Default: as many as abnormal clips.",
)
@click.option(
    "--abnormal-videos",
    type=int,
    help="How many for training; test in proportion. Default: as many as abnormal clips.",
)
@click.option("--clips", metavar="MIN-MAX", help="Clips a video.  [default: 5-9]")
@click.option(
    "--validation-fraction",
    type=float,
    help="Of the training clips, kept apart for validation videos.  [default: 0.2]",
)
@json_option
def compose(
    pack: Path,
    manifests: tuple[Path, ...],
    out: Path,
    mode: Mode,
    seed: int,
    normal_videos: int | None,
    abnormal_videos: int | None,
    clips: str | None,
    validation_fraction: float | None,
    as_json: bool,
) -> None:
    """Compose long videos out of trimmed clips, on features, with exact ground truth.

    A normal video is a run of normal clips, an abnormal one has one to three abnormal clips among
    normal ones. A normal clip is used in normal videos or in abnormal ones, never in both.

    \b
    Example:
      vad compose --pack cctv.h5 --manifest manifests/cctv/train.jsonl \\
          --manifest manifests/cctv/test.jsonl --out composed
      vad train --pack composed/pack.h5 --manifest composed/train.jsonl --out run
    """
    from vad_toolkit.compose.compose import compose as compose_videos

    if len(manifests) > 2:
        raise click.UsageError("--manifest: give one (train) or two (train, then test)")
    with progress_reporter() as progress:
        result = compose_videos(
            pack,
            manifests[0],
            manifests[1] if len(manifests) == 2 else None,
            out,
            mode=mode,
            seed=seed,
            clips_per_video=None if clips is None else _parse_range(clips),
            normal_videos=normal_videos,
            abnormal_videos=abnormal_videos,
            validation_fraction=validation_fraction,
            progress=progress,
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
        raise InputError(f"--clips {text!r}: has to be MIN-MAX, as in 5-9") from None
