"""`vad extract`: raw videos to a feature pack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import (
    ANY_PATH,
    EXISTING_FILE,
    EXISTING_FOLDER,
    decoder_options,
    device_option,
    json_option,
    parse_settings,
    print_json,
    print_pairs,
    progress_reporter,
    settings_option,
)

if TYPE_CHECKING:
    from vad_toolkit.features.extract import ExtractSummary, VideoSource


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
    default="i3d-rgb-tencrop",
    show_default=True,
    help="i3d-rgb-tencrop, i3d-rgb-fivecrop, i3d-rgb-center, or a .toml or .json file.",
)
@settings_option("Change a field of the recipe: --set crops=center. May be given again.")
@click.option("--out", required=True, type=ANY_PATH, help="The pack to write (.h5).")
@click.option("--dataset", default=None, help="Name of the dataset, kept in the pack.")
@click.option("--license", "licence", default="not stated", help="Licence, kept in the pack.")
@decoder_options
@device_option
@json_option
def extract(
    videos: tuple[Path, ...],
    manifests: tuple[Path, ...],
    root: Path | None,
    recipe: str,
    settings: tuple[str, ...],
    out: Path,
    dataset: str | None,
    licence: str,
    decoder: str,
    allow_damaged: int,
    timeout: float,
    device: str,
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
    """
    from vad_toolkit.features.extract import extract_pack
    from vad_toolkit.features.recipe import load_recipe

    sources, name = _sources(videos, manifests, root)
    with progress_reporter() as progress:
        summary = extract_pack(
            sources,
            load_recipe(recipe, parse_settings(settings)),
            out,
            dataset=dataset or name,
            licence=licence,
            device=device,
            decoder=decoder,
            allow_damaged=allow_damaged,
            timeout_seconds=timeout,
            progress=progress,
        )
    _print_summary(summary, as_json)
    if summary.failures:
        raise SystemExit(1)


def _sources(
    videos: tuple[Path, ...], manifests: tuple[Path, ...], root: Path | None
) -> tuple[list[VideoSource], str]:
    """The videos to extract, and a name for the dataset."""
    from vad_toolkit.datasets.fit import video_paths
    from vad_toolkit.datasets.manifest import read_manifest
    from vad_toolkit.features.extract import VideoSource, list_sources

    if bool(videos) == bool(manifests):
        raise click.UsageError("give either videos or folders, or --manifest FILE --root DIR")
    if videos:
        return list_sources(videos), videos[0].resolve().name
    if root is None:
        raise click.UsageError("--manifest needs --root, the folder that its paths start from")
    loaded = [read_manifest(path) for path in manifests]
    sources = [
        VideoSource(entry.id, path)
        for file, manifest in zip(manifests, loaded, strict=True)
        for entry, path in zip(manifest, video_paths(manifest, root, file), strict=True)
    ]
    return sources, loaded[0].dataset


def _print_summary(summary: ExtractSummary, as_json: bool) -> None:
    rows = {
        "pack": str(summary.pack),
        "videos extracted": len(summary.extracted),
        "videos reused": len(summary.reused),
        "videos failed": len(summary.failures),
        "frames": summary.frames,
        "snippets": summary.snippets,
        "seconds": round(summary.seconds, 1),
    }
    for note in summary.notes:
        click.echo(f"note: {note}", err=True)
    for failure in summary.failures:
        click.echo(f"failed: {failure.id}: {failure.reason}", err=True)
    if as_json:
        print_json({name.replace(" ", "_"): value for name, value in rows.items()})
    else:
        print_pairs(rows)
