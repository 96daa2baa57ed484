"""Public functions that join packages: the videos of a folder or a manifest to features."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from vad_toolkit.core.files import AnyPath
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.errors import InputError

if TYPE_CHECKING:
    from vad_toolkit.datasets.manifest import Manifest
    from vad_toolkit.extraction.cost import CostEstimate
    from vad_toolkit.extraction.extract import ExtractSummary
    from vad_toolkit.extraction.extractor import ExtractionOptions
    from vad_toolkit.extraction.sources import VideoSource
    from vad_toolkit.recipes.recipe import Recipe

DEFAULT_RECIPE = "i3d-rgb-tencrop"


def extract(
    videos: AnyPath | Sequence[AnyPath] | None = None,
    recipe: str | Recipe | None = None,
    out: AnyPath = "features.h5",
    *,
    manifest: AnyPath | Manifest | Sequence[AnyPath | Manifest] | None = None,
    root: AnyPath | None = None,
    like: AnyPath | None = None,
    overrides: Mapping[str, Any] | None = None,
    dataset: str | None = None,
    license: str = "not stated",
    decoder: str = "auto",
    allow_damaged: int = 0,
    timeout_seconds: float = 60.0,
    device: str = "auto",
    decode_jobs: int | None = None,
    batch_size: int | None = None,
    shard: str | None = None,
    engine: str = "local",
    address: str | None = None,
    progress: ProgressCallback = silent,
) -> ExtractSummary:
    """Extract features of videos into a pack.

    A finished video is on disk at once: the same call resumes after an interruption, and keeps
    what an existing pack of the same recipe holds. A video that cannot be used is listed in
    `failures.jsonl` next to the pack, and the others continue.

    Args:
        videos: Files, folders of videos, or folders of numbered images (each is one video). The id
            of a video in a folder is its path relative to it, without suffix. Give this, or
            `manifest` and `root`.
        recipe: A preset (`list_recipes()`), a .toml or .json file, or a `Recipe`. If None,
            "i3d-rgb-tencrop".
        out: The pack to write (.h5).
        manifest: One or several manifests: files, or names of datasets (all their sides).
        root: The folder that the paths of the manifests start from.
        like: Take the recipe of this pack instead.
        overrides: Recipe fields to replace, with dotted keys: {"crops": "center"}.
        dataset: A name that is stored in the pack. If None, that of the folder or manifest.
        license: A text that is stored in the pack.
        decoder: "auto", or the name of a decoder: "pyav", "decord".
        allow_damaged: Lost frames per file that are replaced by copies and counted.
        timeout_seconds: Seconds without a frame after which a video is given up.
        device: "auto", "cpu", "cuda", "cuda:N", several separated by commas, or "all".
        decode_jobs: Decoder processes. If None, 1 on a CPU, and one per core, up to 16, on a GPU.
        batch_size: Clips per forward pass. If None, chosen by the device.
        shard: "I/N" extracts only the I-th of N shares, into NAME.I-of-N.h5 next to `out`.
        engine: "local", or "ray" for the machines of a running Ray cluster.
        address: HOST:PORT of the Ray cluster. If None, RAY_ADDRESS.
        progress: Called with a `ProgressEvent` as frames are processed.

    Returns:
        The summary: ids extracted, reused and failed. It stands for the pack wherever one is
        accepted, as in `train(extract(...), ...)`.

    Raises:
        InputError: If arguments contradict each other, there are no videos, or `out` holds
            features of another recipe.
        WeightsError: If the weights of the recipe are not in the cache (`get_weights`).

    Example:
        >>> import vad_toolkit as vad
        >>> pack = vad.extract("videos", like="features.h5", out="more.h5")
        >>> len(pack.extracted), len(pack.failures)
        (8, 0)
    """
    from vad_toolkit.extraction.extract import extract_pack

    sources, name = _sources(videos, manifest, root)
    return extract_pack(
        sources,
        _recipe(recipe, like, overrides),
        out,
        dataset=dataset or name,
        license=license,
        device=device,
        decode_jobs=decode_jobs,
        batch_size=batch_size,
        decoder=decoder,
        allow_damaged=allow_damaged,
        timeout_seconds=timeout_seconds,
        shard=shard,
        engine=engine,
        address=address,
        progress=progress,
    )


def estimate_extraction(
    videos: AnyPath | Sequence[AnyPath] | None = None,
    recipe: str | Recipe | None = None,
    out: AnyPath = "features.h5",
    *,
    manifest: AnyPath | Manifest | Sequence[AnyPath | Manifest] | None = None,
    root: AnyPath | None = None,
    like: AnyPath | None = None,
    overrides: Mapping[str, Any] | None = None,
    **options: Unpack[ExtractionOptions],
) -> CostEstimate:
    """Estimate what `extract` would cost, without writing anything.

    Args:
        videos, recipe, out, manifest, root, like, overrides: As for `extract`.
        options: decoder, allow_damaged, timeout_seconds, device, decode_jobs, batch_size, shard and
            engine as for `extract`.

    Returns:
        Videos, frames, snippets, arithmetic, pack size and time; the time is from a trial of a few
        seconds on the first videos.

    Example:
        >>> import vad_toolkit as vad
        >>> vad.estimate_extraction("videos", like="features.h5", out="more.h5").videos
        8
    """
    from vad_toolkit.extraction.cost import estimate_cost

    sources, _ = _sources(videos, manifest, root)
    return estimate_cost(sources, _recipe(recipe, like, overrides), out, **options)


def read_manifest(manifest: AnyPath | Manifest, side: str = "test") -> Manifest:
    """Read a manifest: the videos of a split, their labels and further facts.

    Args:
        manifest: A manifest file (.jsonl), the name of a dataset (`list_datasets`), or a manifest,
            which is returned as it is.
        side: Of a dataset: "train", "validation", "test" or "all".

    Returns:
        A sequence of entries with `id`, `path`, `label`, `events` and more.

    Raises:
        InputError: If there is no such dataset, file or side.
        ManifestError: If the file is not a valid manifest; names the line.

    Example:
        >>> import vad_toolkit as vad
        >>> len(vad.read_manifest("ucf-crime", "train"))
        1610
    """
    from vad_toolkit.datasets.registry import find_manifest

    return find_manifest(manifest, side)


def _recipe(
    recipe: str | Recipe | None, like: AnyPath | None, overrides: Mapping[str, Any] | None
) -> Recipe:
    from vad_toolkit.extraction.sources import recipe_of_pack
    from vad_toolkit.recipes.recipe import load_recipe

    if like is not None:
        if recipe is not None:
            raise InputError("give either a recipe or a pack whose recipe to take (like), not both")
        return recipe_of_pack(like, overrides)
    return load_recipe(recipe or DEFAULT_RECIPE, overrides)


def _sources(
    videos: AnyPath | Sequence[AnyPath] | None,
    manifest: AnyPath | Manifest | Sequence[AnyPath | Manifest] | None,
    root: AnyPath | None,
) -> tuple[list[VideoSource], str]:
    """Return the videos to extract, and a name for the dataset."""
    from vad_toolkit.datasets.manifest import Manifest
    from vad_toolkit.datasets.registry import find_manifest
    from vad_toolkit.datasets.video_files import video_paths
    from vad_toolkit.extraction.sources import VideoSource, list_sources

    inputs = [videos] if isinstance(videos, str | os.PathLike) else list(videos or ())
    manifests: list[AnyPath | Manifest] = []
    if isinstance(manifest, str | os.PathLike | Manifest):
        manifests = [manifest]
    elif manifest is not None:
        manifests = list(manifest)
    if bool(inputs) == bool(manifests):
        raise InputError("give either videos or folders, or a manifest and its root folder")
    if inputs:
        return list_sources(inputs), Path(inputs[0]).resolve().name
    if root is None:
        raise InputError("a manifest needs root, the folder that its paths start from")
    loaded = [find_manifest(one, "all") for one in manifests]
    sources = [
        VideoSource(entry.id, path, entry.frames, entry.fps)
        for one in loaded
        for entry, path in zip(one, video_paths(one, Path(root)), strict=True)
    ]
    return sources, loaded[0].dataset
