"""`vad probe`: what is wrong in a folder of videos."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import ANY_PATH, json_option, print_json, print_pairs, print_table, progress_reporter

if TYPE_CHECKING:
    from vad_toolkit.video.survey import VideoReport


@click.command("probe")
@click.argument("videos", metavar="VIDEO-or-DIR ...", nargs=-1, required=True, type=ANY_PATH)
@click.option("--decode", is_flag=True, help="Read every frame: slow, and exact.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="How many videos are opened side by side.  [default: one a core]",
)
@click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds without an answer after which a video is given up.",
)
@json_option
def probe(
    videos: tuple[Path, ...], decode: bool, jobs: int | None, timeout: float, as_json: bool
) -> None:
    """List videos, and what is wrong with them, before a long run.

    A video is a file, or a folder of frames (000.jpg, 001.jpg, ...). Without --decode, containers
    and first pictures alone are read: damage to other pictures stays unseen. The exit code is 1
    when some video cannot be used.

    \b
    Examples:
      vad probe videos/
      vad probe videos/ --decode --json > videos.json
    """
    from vad_toolkit.video.survey import gather, survey

    with progress_reporter() as progress:
        reports = survey(
            gather(videos), decode=decode, jobs=jobs, timeout_seconds=timeout, progress=progress
        )
    bad = [report for report in reports if report.problem]
    totals = {
        "videos": len(reports),
        "frames": sum(_frames(report) for report in reports),
        "hours": round(sum(report.seconds or 0.0 for report in reports) / 3600, 2),
        "cannot be used": len(bad),
    }
    if as_json:
        summary = {name.replace(" ", "_"): value for name, value in totals.items()}
        print_json({"videos": [_json(report) for report in reports], "summary": summary})
    else:
        print_table([_row(report, decode) for report in reports])
        click.echo()
        print_pairs(totals)
    if bad:
        raise SystemExit(1)


def _frames(report: VideoReport) -> int:
    return report.frames if report.frames_decoded is None else report.frames_decoded


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


def _json(report: VideoReport) -> dict[str, Any]:
    return {**asdict(report), "path": str(report.path)}
