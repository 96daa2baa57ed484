"""`vad pack`: look at feature packs and check them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import EXISTING_FILE, json_option, print_json, print_pairs, print_table
from .pack_interchange import INTERCHANGE
from .pack_share import card, merge, split

if TYPE_CHECKING:
    from vad_toolkit.packs.pack import FeaturePack


@click.group()
def pack() -> None:
    """Look at feature packs (.h5), check them, put them together and share them."""


for command in (*INTERCHANGE, merge, split, card):
    pack.add_command(command)


@pack.command()
@click.argument("file", metavar="PACK", type=EXISTING_FILE)
@click.option("--videos", "with_videos", is_flag=True, help="List the videos too.")
@json_option
def info(file: Path, with_videos: bool, as_json: bool) -> None:
    """Show what PACK holds and how its features were made. The features are not read.

    \b
    Examples:
      vad pack info features.h5
      vad pack info features.h5 --videos --json
    """
    from vad_toolkit.packs.pack import FeaturePack

    with FeaturePack.open(file) as opened:
        facts = _facts(opened)
        videos = [_video_facts(opened, id) for id in opened.ids] if with_videos else []
    if as_json:
        print_json({**facts, "video_list": videos} if with_videos else facts)
        return
    print_pairs(
        {name: _text(value) for name, value in facts.items() if name not in ("recipe", "creator")}
    )
    click.echo("\nrecipe")
    print_pairs({f"  {name}": _text(value) for name, value in facts["recipe"].items()})
    click.echo("\nmade with")
    print_pairs({f"  {name}": value for name, value in facts["creator"].items()})
    if with_videos:
        click.echo()
        print_table([row | {"features": _text(row["features"])} for row in videos])


@pack.command()
@click.argument("file", metavar="PACK", type=EXISTING_FILE)
@json_option
def verify(file: Path, as_json: bool) -> None:
    """Read all features of PACK and compare them with their digests.

    One line for each damaged video; the exit code is 1 where there is one.

    \b
    Example:
      vad pack verify features.h5
    """
    from vad_toolkit.packs.pack import FeaturePack

    with FeaturePack.open(file) as opened:
        problems = opened.verify()
        videos = len(opened)
        snippets = _snippets(opened)
        content = opened.content_sha256
    if as_json:
        print_json(
            {
                "pack": str(file),
                "videos": videos,
                "snippets": snippets,
                "content_sha256": content,
                "problems": problems,
            }
        )
    elif problems:
        click.echo("\n".join(problems))
    else:
        click.echo(f"{videos} videos, {snippets} snippets: all digests match")
    if problems:
        click.echo(f"{len(problems)} of {videos} videos in {file} are damaged", err=True)
        raise SystemExit(1)


def _facts(opened: FeaturePack) -> dict[str, Any]:
    from vad_toolkit.core.crops import order_name

    metas = [opened.meta(id) for id in opened.ids]
    return {
        "pack": str(opened.path),
        "bytes": opened.path.stat().st_size,
        "dataset": opened.dataset,
        "license": opened.license,
        "created": opened.created,
        "videos": len(opened),
        "snippets": _snippets(opened),
        "frames": sum(meta.frames for meta in metas),
        "frames_duplicated": sum(meta.frames_duplicated for meta in metas),
        "features": {
            stream: list(opened.shape(opened.ids[0], stream)[1:])
            for stream in opened.recipe.streams
        },
        "crop_order": order_name(opened.recipe.crop_order),
        "decoders": Counter(f"{meta.decoder} {meta.decoder_version}" for meta in metas),
        "weights": {
            stream: _weights_name(sha256) for stream, sha256 in opened.recipe.weights.items()
        },
        "recipe_sha256": opened.recipe_sha256,
        "content_sha256": opened.content_sha256,
        "recipe": opened.recipe.model_dump(mode="json"),
        "creator": dict(opened.creator),
    }


def _video_facts(opened: FeaturePack, id: str) -> dict[str, Any]:
    meta = opened.meta(id)
    return {
        "id": id,
        "snippets": opened.shape(id, opened.recipe.streams[0])[0],
        "frames": meta.frames,
        "frames_reported": meta.frames_reported,
        "frames_duplicated": meta.frames_duplicated,
        "fps": meta.fps or None,  # 0 says that it is not known
        "size": f"{meta.width}x{meta.height}" if meta.width and meta.height else None,
        "decoder": meta.decoder,
        "clips": len(meta.clips) or None,
        "features": {stream: list(opened.shape(id, stream)) for stream in opened.recipe.streams},
    }


def _snippets(opened: FeaturePack) -> int:
    return sum(opened.shape(id, opened.recipe.streams[0])[0] for id in opened.ids)


def _weights_name(sha256: str) -> str:
    from vad_toolkit.weights.catalogue import CATALOGUE, RandomSource, name_of

    name = name_of(sha256)
    if name is None:
        return f"sha256 {sha256}, not in the catalogue"
    if isinstance(CATALOGUE[name].source, RandomSource):
        return f"{name}: RANDOM WEIGHTS, these are no features"
    return name


def _text(value: Any) -> str:
    """A value on one line: 'rgb: i3d-rgb-k400', 'a, b'."""
    if isinstance(value, dict) and value:
        return ", ".join(f"{name}: {_text(item)}" for name, item in value.items())
    if isinstance(value, list):
        return (
            " x ".join(map(str, value))
            if all(isinstance(v, int) for v in value)
            else ", ".join(value)
        )
    return str(value) if value or value == 0 else "-"
