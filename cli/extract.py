"""`vad extract`: extract features of videos into a pack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    ANY_PATH,
    EXISTING_FILE,
    EXISTING_FOLDER,
    decoder_options,
    json_option,
    parse_settings,
    print_json,
    print_pairs,
    print_table,
    progress_reporter,
    settings_option,
)

if TYPE_CHECKING:
    from vad_toolkit.extraction.cost import CostEstimate
    from vad_toolkit.extraction.extract import ExtractSummary

SAME_IN_JSON = (
    "videos", "frames", "snippets", "clips", "flop", "pack_bytes", "decoded_bytes", "device",
    "devices",
)  # fmt: skip
COUNTED_BY = {"manifest": "by manifest", "container": "by container", "bytes": "guessed from bytes"}


@click.command()
@click.argument("videos", nargs=-1, type=ANY_PATH)
@click.option(
    "--manifest",
    multiple=True,
    metavar="FILE",
    help="Extract the videos of a manifest (with --root): a file, or the name of a dataset. May be "
    "repeated, for train and test.",
)
@click.option("--root", type=EXISTING_FOLDER, help="The folder that a manifest's paths start from.")
@click.option(
    "--recipe",
    help="A preset, or a .toml or .json file. Presets: i3d-rgb-tencrop (default), "
    "i3d-rgb-fivecrop, i3d-rgb-center, i3d-rgb-flow-tencrop, i3d-rgb-flow-center; those of "
    "published features: rtfm, gowtham, deepmil, xd-violence, video-features; torchvision's "
    "networks: s3d, mvit_v2_s, swin3d_t and others.",
)
@click.option("--like", type=EXISTING_FILE, help="Use the recipe of this pack.")
@settings_option(
    "Change a field of the recipe: --set crops=center, --set flow.algorithm=raft-large. May be "
    "repeated."
)
@click.option(
    "--precision",
    type=click.Choice(("float32", "tf32", "bfloat16")),
    help="Short for --set precision=...; tf32 is for GPUs.",
)
@click.option("--out", required=True, type=ANY_PATH, help="The pack to write (.h5).")
@click.option("--dataset", default=None, help="Name of the dataset, stored in the pack.")
@click.option("--license", default="not stated", help="License, stored in the pack.")
@decoder_options
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda or cuda:N; several, as in cuda:0,cuda:1, with one process per device; "
    "all: every CUDA device.",
)
@click.option(
    "--jobs",
    "decode_jobs",
    type=click.IntRange(min=1),
    help="Decoder processes.  [default: 1 on a CPU, one per core on a GPU, up to 16]",
)
@click.option(
    "--batch",
    "batch_size",
    type=click.IntRange(min=1),
    help="Clips per forward pass; halved if a GPU runs out of memory. A network that takes whole "
    "snippets gets at least one.  [default: on a CPU 2, 5 or one snippet; on a GPU 128 for whole "
    "snippets, else measured]",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Extract only share I of N of the videos, into NAME.I-of-N.h5 next to --out.",
)
@click.option(
    "--engine",
    type=click.Choice(("local", "ray")),
    default="local",
    show_default=True,
    help="ray: on the machines of a running Ray cluster, one task per video.",
)
@click.option("--address", help="Address of the Ray cluster, HOST:PORT.  [default: RAY_ADDRESS]")
@click.option("--dry-run", is_flag=True, help="Print the expected cost; nothing is written.")
@json_option
def extract(
    videos: tuple[Path, ...],
    recipe: str | None,
    settings: tuple[str, ...],
    precision: str | None,
    out: Path,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Extract features of VIDEOS (files or folders), or of a manifest's videos, into a pack.

    A folder of numbered images (000.jpg, 001.jpg, ...) is one video. Finished videos are kept:
    after an interruption the same command resumes. A video that cannot be used is a line in
    failures.jsonl next to the pack, and the exit code is 1.

    \b
    Examples:
      vad extract videos/ --recipe i3d-rgb-center --out features.h5
      vad extract testing/frames/01_0014 --out features.h5
      vad extract --manifest train.jsonl --manifest test.jsonl --root videos/ --out features.h5
      vad extract new-videos/ --like features.h5 --out new-features.h5
      vad extract videos/ --out features.h5 --dry-run
      vad extract videos/ --out features.h5 --shard 2/4
      vad extract videos/ --out features.h5 --device all
    """
    from vad_toolkit import api

    overrides = parse_settings(settings)
    if precision is not None:
        overrides["precision"] = precision
    options["overrides"] = overrides
    if dry_run:
        for name in ("dataset", "license", "address"):  # they do not change the cost
            del options[name]
        cost = api.estimate_extraction(videos, recipe, out, **options)
        _print_cost(cost, as_json, with_shares=options["shard"] is not None)
        return
    with progress_reporter() as progress:
        summary = api.extract(videos, recipe, out, progress=progress, **options)
    _print_summary(summary, as_json)
    if summary.failures:
        raise SystemExit(1)


def _print_summary(summary: ExtractSummary, as_json: bool) -> None:
    for note in summary.notes:
        click.echo(f"Note: {note}", err=True)
    for failure in summary.failures:
        click.echo(f"failed: {failure.id}: {failure.reason}", err=True)
    rows: dict[str, str | int | float] = {
        "pack": str(summary.pack),
        "videos extracted": len(summary.extracted),
        "videos reused": len(summary.reused),
        "videos failed": len(summary.failures),
        "frames": summary.frames,
        "snippets": summary.snippets,
        "seconds": round(summary.seconds, 1),
    }
    if summary.remaining is not None:
        rows["videos of other shares to come"] = summary.remaining
    if summary.merge_command is not None:
        rows["to merge"] = summary.merge_command
    if as_json:
        print_json({name.replace(" ", "_"): value for name, value in rows.items()})
    else:
        print_pairs(rows)


def _print_cost(cost: CostEstimate, as_json: bool, with_shares: bool) -> None:
    rate, seconds = cost.frames_per_second, cost.seconds
    shares = [
        {"share": number, "videos": videos, "frames": frames}
        for number, (videos, frames) in enumerate(cost.shares, start=1)
    ]
    if as_json:
        print_json(
            {name: getattr(cost, name) for name in SAME_IN_JSON}
            | {f"videos_counted_by_{by}": cost.counted_by.get(by, 0) for by in COUNTED_BY}
            | {
                "pack": str(cost.pack),
                "videos_done_already": cost.videos_done,
                "hours_of_video": round(cost.hours, 2),
                "measured_frames_a_second": None if rate is None else round(rate, 2),
                "estimated_seconds": None if seconds is None else round(seconds),
            }
            | ({"shares": shares} if with_shares else {})
        )
        return
    counted = ", ".join(
        f"{cost.counted_by[by]} {text}" for by, text in COUNTED_BY.items() if by in cost.counted_by
    )
    print_pairs(
        {
            "pack": cost.pack,
            "videos": f"{cost.videos} to do, {cost.videos_done} done already",
            "frames": f"{cost.frames:,}" + (f" (videos: {counted})" if counted else ""),
            "hours of video": f"{cost.hours:.2f}",
            "snippets": f"{cost.snippets:,}",
            "clips": f"{cost.clips:,}",
            "network": f"{cost.flop / 1e9:,.0f} GFLOP",
            "pack size": _size(cost.pack_bytes),
            "frames decoded": f"{_size(cost.decoded_bytes)} in all, a small part at a time",
            "rate": "not measured"
            if rate is None
            else f"{rate:.2f} frames per second ({cost.device}, measured now from file to "
            "features)",
            "time": "-" if seconds is None else f"{_duration(seconds)} (devices: {cost.devices})",
        }
    )
    if with_shares:
        click.echo()
        print_table(shares)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes // 60} h {minutes % 60:02} min"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
