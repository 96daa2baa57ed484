"""`vad pack`: inspect feature packs and verify them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import EXISTING_FILE, json_option, print_json, print_pairs, print_table
from .pack_interchange import INTERCHANGE
from .pack_share import card, merge, split


@click.group()
def pack() -> None:
    """Inspect, verify, combine, convert and share feature packs (.h5)."""


for command in (*INTERCHANGE, merge, split, card):
    pack.add_command(command)


@pack.command()
@click.argument("file", metavar="PACK", type=EXISTING_FILE)
@click.option("--videos", "with_videos", is_flag=True, help="List the videos too.")
@json_option
def info(file: Path, with_videos: bool, as_json: bool) -> None:
    """Show the contents of PACK and how its features were made, without reading them.

    \b
    Examples:
      vad pack info features.h5
      vad pack info features.h5 --videos --json
    """
    from vad_toolkit.packs.pack import open_pack

    with open_pack(file) as opened:
        facts = opened.summary()
        videos = [_video(row) for row in opened.table()] if with_videos else []
    if as_json:
        print_json({**facts, "video_list": videos} if with_videos else facts)
        return
    parts = {"recipe": facts.pop("recipe"), "made with": facts.pop("creator")}
    print_pairs({name: _text(value) for name, value in facts.items()})
    for title, values in parts.items():
        click.echo(f"\n{title}")
        print_pairs({f"  {name}": _text(value) for name, value in values.items()})
    if with_videos:
        click.echo()
        print_table([row | {"features": _text(row["features"])} for row in videos])


@pack.command()
@click.argument("file", metavar="PACK", type=EXISTING_FILE)
@json_option
def verify(file: Path, as_json: bool) -> None:
    """Read all features of PACK and compare them with their digests.

    Prints one line per damaged video. The exit code is 1 if there is one.

    \b
    Example:
      vad pack verify features.h5
    """
    from vad_toolkit.packs.pack import open_pack

    with open_pack(file) as opened:
        problems = opened.verify()
        facts = opened.summary()
    if as_json:
        names = ("pack", "videos", "snippets", "content_sha256")
        print_json({name: facts[name] for name in names} | {"problems": problems})
    elif problems:
        click.echo("\n".join(problems))
    else:
        click.echo(f"{facts['videos']} videos, {facts['snippets']} snippets: all digests match")
    if problems:
        click.echo(f"{len(problems)} of {facts['videos']} videos in {file} are damaged", err=True)
        raise SystemExit(1)


def _video(row: dict[str, Any]) -> dict[str, Any]:
    """Return the columns to print of a row of `FeaturePack.table`; None if not known."""
    names = ("id", "snippets", "frames", "frames_reported", "frames_duplicated")
    streams = [name.removesuffix("_dim") for name in row if name.endswith("_dim")]
    return {name: row[name] for name in names} | {
        "fps": row["fps"] or None,
        "size": f"{row['width']}x{row['height']}" if row["width"] and row["height"] else None,
        "decoder": row["decoder"],
        "clips": len(row["clips"]) or None,
        "features": {
            stream: [row["snippets"], row["crops"], row[f"{stream}_dim"]] for stream in streams
        },
    }


def _text(value: Any) -> str:
    """Return a value on one line: "rgb: i3d-rgb-k400", "10 x 1024", "a, b"."""
    if isinstance(value, dict) and value:
        return ", ".join(f"{name}: {_text(item)}" for name, item in value.items())
    if isinstance(value, list):
        separator = " x " if all(isinstance(item, int) for item in value) else ", "
        return separator.join(map(str, value))
    return str(value) if value or value == 0 else "-"
