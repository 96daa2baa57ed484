"""`vad probe`: a survey of videos before a long run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    ANY_PATH,
    json_option,
    print_json,
    print_pairs,
    print_table,
    progress_reporter,
    timeout_option,
)

if TYPE_CHECKING:
    from vad_toolkit.video.survey import VideoReport


@click.command("probe")
@click.argument("videos", metavar="VIDEO-or-DIR ...", nargs=-1, required=True, type=ANY_PATH)
@click.option("--decode", is_flag=True, help="Read every frame: slow, but exact.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of videos opened at the same time.  [default: one per core]",
)
@timeout_option
@json_option
def probe(videos: tuple[Path, ...], decode: bool, as_json: bool, **options: Any) -> None:
    """List videos and their problems, before a long run.

    A video is a file, or a folder of frames (000.jpg, 001.jpg, ...). Without --decode, only
    containers and first pictures are read, so damage to other pictures is not seen. The exit code
    is 1 if a video cannot be used.

    \b
    Examples:
      vad probe videos/
      vad probe videos/ --decode --json > videos.json
    """
    from vad_toolkit.video import survey

    with progress_reporter() as progress:
        found = survey.probe(videos, decode=decode, progress=progress, **options)
    if as_json:
        print_json(found.to_dict())
    else:
        print_table([_row(report, decode) for report in found.videos])
        click.echo()
        print_pairs({name.replace("_", " "): value for name, value in found.summary.items()})
    if found.unusable:
        raise SystemExit(1)


def _row(report: VideoReport, decode: bool) -> dict[str, Any]:
    problem = (f"CANNOT BE USED: {report.problem}",) if report.problem else ()
    return {
        "video": str(report.path),
        "size": f"{report.width}x{report.height}" if report.width else None,
        "fps": f"{report.fps:.4g}" if report.fps else None,
        "frames": report.frames or None,
        **({"decoded": report.frames_decoded} if decode else {}),
        "codec": report.codec or None,
        "container": report.container or None,
        "decoder": report.decoder or None,
        "rotation": report.rotation,
        "notes": "; ".join((*problem, *report.notes)),
    }
