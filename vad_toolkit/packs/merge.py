"""Merging packs of one recipe into one pack, with all digests compared on the way."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.crops import order_name
from vad_toolkit.core.files import AnyPath, check_new_file
from vad_toolkit.core.ids import check_ids
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.errors import InputError, PackError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import StreamedVideo
from vad_toolkit.packs.write import write_pack


@dataclass(frozen=True)
class Merged(os.PathLike[str]):
    """A merged pack, which stands for its path wherever a path is accepted."""

    path: Path
    videos: int  # the number of its videos
    taken_once: tuple[str, ...]  # ids that were in several packs, with equal features

    def __fspath__(self) -> str:
        return str(self.path)


def merge_packs(
    packs: Sequence[AnyPath],
    out: AnyPath,
    *,
    dataset: str | None = None,
    license: str | None = None,
    progress: ProgressCallback = silent,
) -> Merged:
    """Write the videos of several packs of one recipe into a new pack, sorted by id.

    One block of snippets is in memory at a time. The order of the packs does not matter. A video
    that is in several packs with the same features is taken once.

    Args:
        packs: At least one pack.
        out: The new pack (.h5), which must not exist.
        dataset: The name to store. If None, that of the packs, which must agree.
        license: The license of the new pack. If None, that of the packs, which must agree.
        progress: Called after each video.

    Raises:
        InputError: If there are no packs, `out` exists, or recipes, datasets or licenses differ.
        PackError: If a video has different features in two packs, an id lies inside another, or
            dimensions differ.
        PackCorrupt: If a video is damaged. After any error there is no `out`.

    Example:
        >>> import vad_toolkit as vad
        >>> vad.merge_packs(["features.h5"], "merged.h5", license="CC-BY-4.0").videos
        8
    """
    if not packs:
        raise InputError("no packs to merge; give at least one")
    out = Path(out)
    check_new_file(out, "packs")
    with ExitStack() as stack:
        opened = [stack.enter_context(FeaturePack.open(pack)) for pack in packs]
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


def check_alike(packs: Sequence[FeaturePack]) -> None:
    """Check that packs have one recipe (or raise InputError) and equal dimensions (PackError)."""
    first = packs[0]
    fields = first.recipe.model_dump(mode="json")
    for pack in packs[1:]:
        if pack.recipe_sha256 != first.recipe_sha256:
            differing = _differences(fields, pack.recipe.model_dump(mode="json"))
            raise InputError(
                f"{pack.path} has another recipe than {first.path}: {differing}; choose packs of "
                "one recipe"
            )
        for stream in first.recipe.streams:
            widths = [one.shape(one.ids[0], stream)[2] for one in (first, pack)]
            if widths[0] != widths[1]:
                raise PackError(
                    f"{pack.path} has {stream} features of dimension {widths[1]}, {first.path} of "
                    f"{widths[0]}; they cannot be in one pack"
                )


def _differences(one: Mapping[str, object], other: Mapping[str, object]) -> str:
    """Return the fields that differ, with both values: "crops 'ten', not 'center'"."""

    def described(value: object) -> str:
        if isinstance(value, list):
            name = order_name(value)
            return f"{name} ({len(value)} crops)" if name else ", ".join(map(str, value))
        return repr(value)

    lines = []
    for name in dict.fromkeys([*one, *other]):
        if name not in one or name not in other:  # extracted features and imported ones
            lines.append(f"{name} only in one")
        elif one[name] != other[name]:
            lines.append(f"{name} {described(other[name])}, not {described(one[name])}")
    return "; ".join(lines)


def agreed(packs: Sequence[FeaturePack], name: str, given: str | None) -> str:
    """Return `given`, or if None, the "dataset" or "license" of all packs, which must agree."""
    if given is not None:
        return given
    values = {str(getattr(pack, name)): pack.path for pack in reversed(packs)}
    if len(values) > 1:
        found = ", ".join(f"{value!r} ({path})" for value, path in sorted(values.items()))
        raise InputError(f"the packs have {len(values)} {name}s: {found}; choose with --{name}")
    return next(iter(values))


def _choose(packs: Sequence[FeaturePack]) -> tuple[dict[str, FeaturePack], tuple[str, ...]]:
    """Return the pack to take each video from, and the ids that are in several packs."""
    chosen: dict[str, FeaturePack] = {}
    twice = set()
    for pack in packs:
        for id in pack.ids:
            other = chosen.setdefault(id, pack)
            if other is pack:
                continue
            where = f"in {other.path} and {pack.path}; remove it from one of them"
            for stream in pack.recipe.streams:
                if pack.digest(id, stream) != other.digest(id, stream):
                    raise PackError(f"video {id!r} has different {stream} features {where}")
            frames = other.meta(id).frames, pack.meta(id).frames
            if frames[0] != frames[1]:
                raise PackError(f"video {id!r} has {frames[0]} and {frames[1]} frames {where}")
            twice.add(id)
            # Metadata may differ (another decoder): the choice must not depend on the order.
            chosen[id] = min(other, pack, key=lambda one: dataclasses.astuple(one.meta(id)))
    return chosen, tuple(sorted(twice))
