"""Pack metadata: everything but the features, read and checked when a pack is opened."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np

from vad_toolkit import __version__
from vad_toolkit.core.ids import check_id, check_text, shown
from vad_toolkit.errors import InputError, PackCorrupt, PackError
from vad_toolkit.packs import hdf5
from vad_toolkit.packs.video import PackFit, VideoMeta
from vad_toolkit.recipes.recipe import AnyRecipe, parse_recipe

FORMAT = "vad-feature-pack"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class StoredFeatures:
    """The shape (N, C, D) of stored features, and the sha256 that the pack states for them."""

    shape: tuple[int, int, int]
    sha256: str


@dataclass(frozen=True)
class StoredVideo:
    """The metadata of a video in a pack, and its stored features by modality."""

    meta: VideoMeta
    streams: Mapping[str, StoredFeatures]


def check_format(path: Path, file: h5py.File) -> None:
    """Raise PackError if an open HDF5 file is not a pack, or only a later version can read it.

    Attributes that this version does not know are ignored: a change that old versions must not
    ignore gets a new `format_version`.
    """
    kind = hdf5.read_attribute(file, "format")
    version = hdf5.read_attribute(file, "format_version")
    if kind != FORMAT:
        raise PackError(f"{path}: format must be {FORMAT!r}, got {kind!r}")
    if version != FORMAT_VERSION:
        raise PackError(
            f"{path}: format_version must be {FORMAT_VERSION} for vad-toolkit {__version__}, got "
            f"{version!r}; install a newer version"
        )


def read_text(path: Path, file: h5py.File, name: str) -> str:
    """Return an attribute of the pack. Raises PackCorrupt if it is not one line of text."""
    value = hdf5.read_attribute(file, name)
    try:
        return check_text(name, value)
    except PackError as error:
        raise PackCorrupt(f"{path}: {error}") from error


def read_creator(path: Path, file: h5py.File) -> Mapping[str, str]:
    """Return the versions of the software that wrote the pack. Raises PackCorrupt."""
    creator = _parse(hdf5.read_attribute(file, "creator"))
    with suppress(PackError):
        if isinstance(creator, dict):
            for text in (*creator, *creator.values()):
                check_text("creator", text)
            return MappingProxyType(creator)
    raise PackCorrupt(f"{path}: creator must be a JSON object of texts")


def read_recipe(path: Path, file: h5py.File, written_by: str | None) -> AnyRecipe:
    """Return the recipe. Raises PackError if it is not one of this version, or PackCorrupt."""
    stated = read_text(path, file, "recipe_sha256")
    try:
        recipe = parse_recipe(read_text(path, file, "recipe"), written_by)
    except (InputError, RecursionError) as error:
        raise PackError(f"{path}: {hdf5.one_line(error)}") from error
    if recipe.sha256 != stated:
        raise PackCorrupt(f"{path}: recipe_sha256 is {stated}, but the recipe's is {recipe.sha256}")
    return recipe


def read_videos(path: Path, file: h5py.File, recipe: AnyRecipe) -> Mapping[str, StoredVideo]:
    """Return the videos by id, sorted. Raises PackCorrupt if one does not fit; names it."""
    videos = file.get("videos")
    if not isinstance(videos, h5py.Group) or not len(videos):
        raise PackCorrupt(f"{path}: it has no videos")
    fit = PackFit(recipe)
    found: dict[str, StoredVideo] = {}
    try:
        for id, group, members in _video_groups(path, "", videos):
            try:
                found[check_id(id)] = _read_video(group, members, fit)
            except PackCorrupt:
                raise
            except PackError as error:
                raise PackCorrupt(f"{path}: video {shown(id)}: {error}") from error
    except hdf5.HDF5_ERRORS as error:
        raise PackCorrupt(f"{path} is damaged: {hdf5.one_line(error)}") from error
    return MappingProxyType(dict(sorted(found.items())))


def _video_groups(
    path: Path, prefix: str, folder: h5py.Group
) -> Iterator[tuple[str, h5py.Group, dict[str, Any]]]:
    """Yield each video's id, group and members; groups nest because ids contain slashes."""
    for name, child in folder.items():
        id = f"{prefix}{name}"
        if not isinstance(child, h5py.Group):
            raise PackCorrupt(f"{path}: {shown(id)} is outside of a video")
        members = dict(child.items())
        if any(isinstance(member, h5py.Dataset) for member in members.values()):
            yield id, child, members
        elif members:
            yield from _video_groups(path, f"{id}/", child)
        else:
            raise PackCorrupt(f"{path}: {shown(id)} is empty")


def _read_video(group: h5py.Group, members: Mapping[str, Any], fit: PackFit) -> StoredVideo:
    values: dict[str, Any] = {}
    for field in dataclasses.fields(VideoMeta):
        if field.default is dataclasses.MISSING or field.name in group.attrs:
            values[field.name] = hdf5.read_attribute(group, field.name)
    if "clips" in values:
        clips = _parse(values["clips"])
        if not isinstance(clips, list) or not all(isinstance(clip, str) for clip in clips):
            raise PackError("clips must be a JSON list of video ids")
        values["clips"] = tuple(clips)
    meta = VideoMeta(**values)
    streams = {}
    for stream, member in members.items():
        is_array = isinstance(member, h5py.Dataset) and member.ndim == 3
        if not is_array or member.dtype != np.dtype("<f2"):
            raise PackError(f"{stream!r} must be float16 (snippets, crops, dimensions)")
        sha256 = str(hdf5.read_attribute(member, "sha256"))
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise PackError(f"sha256 of {stream!r} must be 64 hex digits")
        streams[stream] = StoredFeatures(member.shape, sha256)
    fit.check(meta, {stream: stored.shape for stream, stored in streams.items()})
    return StoredVideo(meta, {stream: streams[stream] for stream in fit.recipe.streams})


def _parse(text: object) -> object:
    """Return the value of a JSON text, or None if it is not JSON."""
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError):  # the second for thousands of brackets
        return None
