"""Merge packs of one recipe into one pack; nothing but what their digests vouch for is copied."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.crops import order_name
from vad_toolkit.core.ids import check_ids
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.errors import InputError, PackError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import StreamedVideo, VideoMeta
from vad_toolkit.packs.write import write_pack


@dataclass(frozen=True)
class Merged:
    """A merged pack: how many videos it has, and the ids that stood in several packs, alike."""

    path: Path
    videos: int
    taken_once: tuple[str, ...]


def merge_packs(
    packs: Sequence[Path],
    out: Path,
    *,
    dataset: str | None = None,
    license: str | None = None,
    progress: ProgressCallback = silent,
) -> Merged:
    """Write the videos of all packs into the new pack `out`, in the order of their ids.

    One block of snippets is in memory at a time. The order of the packs changes nothing. A video
    that stands in several packs with the same features is taken once.

    Args:
        packs: at least one; of one recipe. They are only read.
        out: does not exist yet.
        dataset, license: of the new pack; needed where those of the packs differ.
        progress: called after each video.

    Raises:
        InputError: no packs, `out` is there, recipes, datasets or licences differ.
        PackError: a video has other features in another pack, an id lies inside another, widths
            differ. PackCorrupt: a video is damaged. In all cases `out` is not written.
    """
    if not packs:
        raise InputError("there are no packs to merge: give at least one")
    refuse_existing(out)
    with ExitStack() as stack:
        opened = [stack.enter_context(FeaturePack.open(path)) for path in packs]
        check_alike(opened)
        dataset = agreed(opened, "dataset", dataset)
        license = agreed(opened, "license", license)
        chosen, twice = _choose(opened)
        check_ids(chosen)

        def videos() -> Iterator[tuple[str, StreamedVideo]]:
            for done, id in enumerate(sorted(chosen), start=1):
                yield id, chosen[id].streamed(id)
                progress(ProgressEvent("merge", done, len(chosen), "videos", id))

        write_pack(out, opened[0].recipe, videos(), dataset=dataset, license=license)
    return Merged(out, len(chosen), twice)


def refuse_existing(out: Path) -> None:
    """Raise InputError where something is at `out` already: packs are never overwritten."""
    if out.exists() or out.is_symlink():
        raise InputError(f"{out} is there already, and is not overwritten: give another --out")


def check_alike(packs: Sequence[FeaturePack]) -> None:
    """Whether the packs belong together: one recipe and, for each stream, one width.

    Raises:
        InputError: the recipes differ; names the fields. PackError: the widths differ.
    """
    first = packs[0]
    for pack in packs[1:]:
        if pack.recipe_sha256 != first.recipe_sha256:
            differing = _differences(_recipe_fields(first), _recipe_fields(pack))
            raise InputError(
                f"{pack.path} has another recipe than {first.path}: {differing}; "
                "only packs of one recipe belong together"
            )
        for stream in first.recipe.streams:
            widths = [one.shape(one.ids[0], stream)[2] for one in (first, pack)]
            if widths[0] != widths[1]:
                raise PackError(
                    f"{pack.path} has {widths[1]} numbers a crop in {stream}, "
                    f"{first.path} {widths[0]}: they cannot be in one pack"
                )


def _recipe_fields(pack: FeaturePack) -> Mapping[str, object]:
    return pack.recipe.model_dump(mode="json")


def _differences(one: Mapping[str, object], other: Mapping[str, object]) -> str:
    """The fields that differ, with both values: "crops 'ten', not 'center'"."""
    lines = []
    for name in dict.fromkeys([*one, *other]):
        if name not in one or name not in other:  # our own features and imported ones
            lines.append(f"{name} only in one")
        elif one[name] != other[name]:
            lines.append(f"{name} {_shown(other[name])}, not {_shown(one[name])}")
    return "; ".join(lines)


def _shown(value: object) -> str:
    """A field's value; ten crops by the name of their order."""
    if isinstance(value, list):
        name = order_name(value)
        return f"{name} ({len(value)} crops)" if name else ", ".join(map(str, value))
    return repr(value)


def agreed(packs: Sequence[FeaturePack], name: str, given: str | None) -> str:
    """`given`, or else the one `name` ("dataset", "license") that all packs state.

    Raises:
        InputError: they state several.
    """
    if given is not None:
        return given
    values = {str(getattr(pack, name)): pack.path for pack in reversed(packs)}
    if len(values) > 1:
        told = ", ".join(f"{value!r} ({path})" for value, path in sorted(values.items()))
        raise InputError(f"the packs state {len(values)} {name}s: {told}; choose with --{name}")
    return next(iter(values))


def _choose(packs: Sequence[FeaturePack]) -> tuple[dict[str, FeaturePack], tuple[str, ...]]:
    """The pack that each video is taken from, and the ids that are in several packs."""
    chosen: dict[str, FeaturePack] = {}
    twice = set()
    for pack in packs:
        for id in pack.ids:
            other = chosen.setdefault(id, pack)
            if other is pack:
                continue
            _check_same(id, other, pack)
            twice.add(id)
            chosen[id] = min(other, pack, key=lambda one: _order(one.meta(id)))
    return chosen, tuple(sorted(twice))


def _check_same(id: str, one: FeaturePack, other: FeaturePack) -> None:
    for stream in one.recipe.streams:
        if one.digest(id, stream) != other.digest(id, stream):
            raise PackError(
                f"video {id!r} is in {one.path} and in {other.path}, with other {stream} features: "
                "remove it from one of them"
            )
    frames = one.meta(id).frames, other.meta(id).frames
    if frames[0] != frames[1]:
        raise PackError(
            f"video {id!r} has {frames[0]} frames in {one.path} and {frames[1]} in {other.path}: "
            "remove it from one of them"
        )


def _order(meta: VideoMeta) -> tuple[object, ...]:
    """Features may be alike where metadata are not (another decoder): one of them by rule."""
    return dataclasses.astuple(meta)
