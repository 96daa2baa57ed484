"""`vad extract`: raw videos to a feature pack."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vad_toolkit.errors import InputError

from .common import (
    ANY_PATH,
    EXISTING_FILE,
    EXISTING_FOLDER,
    decoder_options,
    json_option,
    parse_settings,
    print_json,
    print_pairs,
    progress_reporter,
    settings_option,
)
from .extract_plan import print_plan

if TYPE_CHECKING:
    from vad_toolkit.extraction.extract import ExtractSummary
    from vad_toolkit.extraction.sources import VideoSource
    from vad_toolkit.recipes.recipe import Recipe

DEFAULT_RECIPE = "i3d-rgb-tencrop"
PRECISIONS = ("float32", "tf32", "bfloat16")


@click.command()
@click.argument("videos", nargs=-1, type=ANY_PATH)
@click.option(
    "--manifest",
    "manifests",
    multiple=True,
    type=EXISTING_FILE,
    help="Extract the videos of a manifest (with --root); may be given again, for train and test.",
)
@click.option("--root", type=EXISTING_FOLDER, help="The folder that a manifest's paths start from.")
@click.option(
    "--recipe",
    help="A name, or a .toml or .json file. Names: i3d-rgb-tencrop (default), i3d-rgb-fivecrop, "
    "i3d-rgb-center, i3d-rgb-flow-tencrop, i3d-rgb-flow-center, and those of published features: "
    "rtfm, gowtham, deepmil, xd-violence, video-features; torchvision's networks: s3d, mvit_v2_s, "
    "swin3d_t and others.",
)
@click.option("--like", type=EXISTING_FILE, help="Take the recipe of this pack.")
@settings_option(
    "Change a field of the recipe: --set crops=center, --set flow.algorithm=raft-large. May be "
    "given again."
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Short for --set precision=...; tf32 is for GPUs.",
)
@click.option("--out", required=True, type=ANY_PATH, help="The pack to write (.h5).")
@click.option("--dataset", default=None, help="Name of the dataset, kept in the pack.")
@click.option("--license", "licence", default="not stated", help="Licence, kept in the pack.")
@decoder_options
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda or cuda:N; several, as in cuda:0,cuda:1, have a process each; all: every "
    "CUDA device.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Decoder processes.  [default: 1 on a CPU, one a core on a GPU, up to 16]",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    help="Clips a forward pass; halved where a GPU's memory is short. Networks that take whole "
    "snippets have one at least.  [default: on a CPU 2, 5 or a snippet; on a GPU 128 of whole "
    "snippets, else found by trying]",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Extract only the I-th of N shares of the videos, into NAME.I-of-N.h5 beside --out.",
)
@click.option(
    "--engine",
    type=click.Choice(("local", "ray")),
    default="local",
    show_default=True,
    help="ray: on the machines of a Ray cluster, a task a video.",
)
@click.option("--address", help="Of the Ray cluster, HOST:PORT.  [default: RAY_ADDRESS, or here]")
@click.option("--dry-run", is_flag=True, help="Show what it would cost; nothing is written.")
@json_option
def extract(
    videos: tuple[Path, ...],
    manifests: tuple[Path, ...],
    root: Path | None,
    recipe: str | None,
    like: Path | None,
    settings: tuple[str, ...],
    precision: str | None,
    out: Path,
    dataset: str | None,
    licence: str,
    decoder: str,
    allow_damaged: int,
    timeout: float,
    device: str,
    jobs: int | None,
    batch: int | None,
    shard: str | None,
    engine: str,
    address: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make features of VIDEOS (files or folders), or of a manifest's videos, into a pack.

    A folder of numbered images (000.jpg, 001.jpg, ...) is one video, wherever it lies.
    Finished videos are safe at once: after an interruption the same command goes on where it was.
    A video that cannot be used is a line in failures.jsonl beside the pack, and the exit code is 1.

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
    from vad_toolkit.extraction.extract import extract_pack, local_engine
    from vad_toolkit.extraction.extractor import Extractor
    from vad_toolkit.extraction.plan import Shard

    if address is not None and engine != "ray":
        raise click.UsageError("--address is for --engine ray")
    made_by = _recipe(recipe, like, parse_settings(settings), precision)
    sources, name = _sources(videos, manifests, root)
    part = None if shard is None else Shard.parse(shard)
    make = partial(
        Extractor,
        made_by,
        decoder=decoder,
        timeout_seconds=timeout,
        jobs=jobs,
        batch=batch,
        allow_damaged=allow_damaged,
    )
    if dry_run:
        print_plan(sources, made_by, out, make, device, part, engine, as_json)
        return
    own, pack = (sources, out) if part is None else (part.take(sources), part.pack(out))
    if not own:
        click.echo(f"note: share {part} has no videos: there are only {len(sources)}", err=True)
        return
    if engine == "ray":
        from vad_toolkit.extraction.ray_engine import ray_engine

        chosen = ray_engine(make, device, address)
    else:
        chosen = local_engine(make, device)
    with progress_reporter() as progress:
        summary = extract_pack(
            own,
            made_by,
            pack,
            dataset=dataset or name,
            licence=licence,
            engine=chosen,
            progress=progress,
        )
    rows = _summary(summary)
    if part is not None:
        missing = part.missing(out, (source.id for source in sources))
        rows |= {"videos of other shares to come": len(missing)}
        rows |= {} if missing else {"to merge": part.merge_command(out)}
    _print_summary(summary, rows, as_json)
    if summary.failures:
        raise SystemExit(1)


def _recipe(
    name: str | None, like: Path | None, settings: dict[str, Any], precision: str | None
) -> Recipe:
    """The recipe by name or file, or that of a pack, with the fields that were given."""
    from vad_toolkit.packs.pack import FeaturePack
    from vad_toolkit.recipes.recipe import Recipe, change_recipe, load_recipe

    if precision is not None:
        settings = {**settings, "precision": precision}
    if like is None:
        return load_recipe(name or DEFAULT_RECIPE, settings)
    if name is not None:
        raise click.UsageError("give either --recipe or --like")
    with FeaturePack.open(like) as pack:
        if not isinstance(pack.recipe, Recipe):
            raise InputError(
                f"{like} holds imported features ({pack.recipe.layout}), which no recipe here "
                "makes: give --recipe, a preset of published features perhaps"
            )
        return change_recipe(pack.recipe, settings)


def _sources(
    videos: tuple[Path, ...], manifests: tuple[Path, ...], root: Path | None
) -> tuple[list[VideoSource], str]:
    """The videos to extract, and a name for the dataset."""
    from vad_toolkit.datasets.manifest import read_manifest
    from vad_toolkit.datasets.video_files import video_paths
    from vad_toolkit.extraction.sources import VideoSource, list_sources

    if bool(videos) == bool(manifests):
        raise click.UsageError("give either videos or folders, or --manifest FILE --root DIR")
    if videos:
        return list_sources(videos), videos[0].resolve().name
    if root is None:
        raise click.UsageError("--manifest needs --root, the folder that its paths start from")
    loaded = [read_manifest(path) for path in manifests]
    sources = [
        VideoSource(entry.id, path, entry.frames, entry.fps)
        for manifest in loaded
        for entry, path in zip(manifest, video_paths(manifest, root), strict=True)
    ]
    return sources, loaded[0].dataset


def _summary(summary: ExtractSummary) -> dict[str, str | int | float]:
    return {
        "pack": str(summary.pack),
        "videos extracted": len(summary.extracted),
        "videos reused": len(summary.reused),
        "videos failed": len(summary.failures),
        "frames": summary.frames,
        "snippets": summary.snippets,
        "seconds": round(summary.seconds, 1),
    }


def _print_summary(
    summary: ExtractSummary, rows: dict[str, str | int | float], as_json: bool
) -> None:
    for note in summary.notes:
        click.echo(f"note: {note}", err=True)
    for failure in summary.failures:
        click.echo(f"failed: {failure.id}: {failure.reason}", err=True)
    if as_json:
        print_json({name.replace(" ", "_"): value for name, value in rows.items()})
    else:
        print_pairs(rows)
