"""A pack into feature files, with the lists and the label arrays that published code reads.

RTFM and MGFN take the first lines of a training list for the abnormal videos (63 on ShanghaiTech,
810 on UCF-Crime), UR-DMU and, on XD-Violence, MGFN as many times the crops (8,100; 9,525); all of
them expect a test list in the order of one global array of labels, 16 for each snippet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vad_toolkit.core.crops import crop_index
from vad_toolkit.core.crops import crop_order as crops_of
from vad_toolkit.core.files import atomic_folder, write_text
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.manifest import Manifest
from vad_toolkit.datasets.truth.global_labels import (
    GlobalLabels,
    global_labels,
    write_global_labels,
)
from vad_toolkit.errors import ManifestError
from vad_toolkit.interchange.layouts.layout import Layout
from vad_toolkit.interchange.layouts.registry import find_layout
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import SnippetBlocks
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.recipes.recipe import AnyRecipe

TRAIN = "train"
FEATURES_FOLDER = "features"  # where one folder has all streams
REPEAT = 16  # how often published code repeats a snippet's score


@dataclass
class ExportReport:
    """What was written.

    Attributes:
        lists: by file name, how many lines it has, and how many of them, the first, are abnormal.
        arrays: by file name, how many labels it has, and how many are abnormal.
        unlisted: videos of the pack that are in no list.
        absent: by side, how many videos of the manifest the pack does not have.
        problems: why an array is missing, one line a video or a side.
        notes: what a user should know.
    """

    out: Path
    layout: str
    crops: tuple[str, ...]
    streams: tuple[str, ...]
    rule: str
    videos: int = 0
    files: int = 0
    lists: dict[str, tuple[int, int]] = field(default_factory=dict)
    arrays: dict[str, tuple[int, int]] = field(default_factory=dict)
    unlisted: int = 0
    absent: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def export_pack(
    pack: FeaturePack,
    layout: str,
    out: Path,
    manifests: Mapping[str, Manifest] | None = None,
    *,
    crop_order: str | None = None,
    rule: str | None = None,
    path_prefix: str | None = None,
    progress: ProgressCallback = silent,
) -> ExportReport:
    """Write a pack's features as files, float32 (float64 or text where the layout has it).

        <out>/rgb/..., <out>/flow/...    the files; in layout video-features <out>/features/...
        <out>/<side>-<stream>.list       a line a file, where manifests are given
        <out>/gt-<side>.npy              labels by the rule; not of the training side

    Args:
        out: a folder, which must be new or empty; it is there whole, or not at all.
        manifests: sides that lists are written for, by name. A training list has the abnormal
            videos first, the others are in the manifest's order.
        crop_order: the order in which the files get the crops; default: the layout's.
        rule: of the label arrays; default: the recipe's.
        path_prefix: stands in the lists in place of `out`'s absolute path.

    Raises:
        InputError: `out` is in use, or the features do not fit the layout.
        ManifestError: the pack has no video of a side.
        PackCorrupt: a video's features are not what their digest says.
    """
    kind = find_layout(layout)
    for id in pack.ids:
        for stream in pack.recipe.streams:
            kind.check(pack.shape(id, stream))
    crops = crops_of(crop_order or kind.crop_order, pack.recipe.crop_count)
    order = crop_index(pack.recipe.crop_order, crops)
    names = _names(pack.ids)
    report = ExportReport(
        out, layout, crops, tuple(pack.recipe.streams), rule or usual_rule(pack.recipe)
    )
    listed = {side: _listed(side, part, pack) for side, part in (manifests or {}).items()}
    arrays = {side: _labels(side, part, pack, report) for side, part in listed.items()}
    prefix = path_prefix if path_prefix is not None else str(out.resolve())

    def path_of(id: str, stream: str) -> list[str]:
        return _paths(kind, names[id], stream, len(crops))

    with atomic_folder(out) as folder:
        for index, id in enumerate(pack.ids):
            progress(ProgressEvent("export", index, len(pack), "videos", id))
            for name, blocks in pack.streamed(id).streams.items():
                paths = [folder / path for path in path_of(id, name)]
                if crops != tuple(pack.recipe.crop_order):
                    reordered = (block[:, order] for block in blocks.blocks)
                    blocks = SnippetBlocks(blocks.shape, reordered)
                kind.write(paths, blocks)
                report.files += len(paths)
        for side, part in listed.items():
            _write_lists(folder, side, part, path_of, prefix, report)
            labels = arrays[side]
            if labels is not None:
                write_global_labels(labels, folder / _array_file(side))
                report.arrays[_array_file(side)] = (len(labels.labels), labels.abnormal)
        progress(ProgressEvent("export", len(pack), len(pack), "videos"))
    report.videos = len(pack)
    report.absent = {
        side: len(part) - len(listed[side]) for side, part in (manifests or {}).items()
    }
    in_lists = {entry.id for part in listed.values() for entry in part}
    report.unlisted = len(set(pack.ids) - in_lists) if listed else 0
    return report


def usual_rule(recipe: AnyRecipe) -> str:
    """The ground-truth rule that goes with a recipe's snippets of 16 frames."""
    if isinstance(recipe, ImportedRecipe):
        return recipe.rule
    return "rtfm" if recipe.tail == "loop" else "vadclip"


def _names(ids: Sequence[str]) -> dict[str, str]:
    """File names of videos: the last part of the id, or all of it where that is not unique."""
    tails = {id: id.rpartition("/")[2] for id in ids}
    unique = len(set(tails.values())) == len(tails)
    return tails if unique else {id: id for id in ids}


def _paths(layout: Layout, video: str, stream: str, crops: int) -> list[str]:
    """A video's files of one stream, relative to the folder that is written."""
    folder = FEATURES_FOLDER if layout.names_stream else stream
    return [f"{folder}/{name}" for name in layout.file_names(video, stream, crops)]


def _listed(side: str, manifest: Manifest, pack: FeaturePack) -> Manifest:
    """The side's videos that the pack has, in the order of its list."""
    there = [entry for entry in manifest if entry.id in pack]
    if not there:
        raise ManifestError(
            f"{pack.path} has none of the {len(manifest)} videos of the {side} side of "
            f"{manifest.dataset}; check --manifest and --side"
        )
    if side == TRAIN:
        there.sort(key=lambda entry: -entry.label)  # stable: else the manifest's order
    return Manifest(tuple(there), manifest.dataset, manifest.rules)


def _labels(
    side: str, manifest: Manifest, pack: FeaturePack, report: ExportReport
) -> GlobalLabels | None:
    """The side's array, where it is known and fits the features; else the report says why not."""
    if side == TRAIN:
        return None
    unknown = [entry.id for entry in manifest.abnormal if entry.events is None]
    if unknown:
        report.notes.append(
            f"no {_array_file(side)}: the events of {len(unknown)} videos are not known (first: "
            f"{unknown[0]})"
        )
        return None
    try:
        array = global_labels(manifest, report.rule)
    except ManifestError as error:
        report.problems.append(f"no {_array_file(side)}: {error}")
        return None
    if isinstance(pack.recipe, ImportedRecipe) and pack.recipe.spans == "segments":
        return array
    snippets = {id: pack.shape(id, pack.recipe.streams[0])[0] for id in array.ids}
    wrong = [
        f"{id}: {array.counts[id]} labels by rule {report.rule}, its {snippets[id]} snippets need "
        f"{snippets[id] * REPEAT}"
        for id in array.ids
        if array.counts[id] != snippets[id] * REPEAT
    ]
    if wrong:
        report.problems += [f"no {_array_file(side)}: {len(wrong)} videos do not fit it", *wrong]
        return None
    return array


def _array_file(side: str) -> str:
    return f"gt-{side}.npy"


def _write_lists(
    folder: Path,
    side: str,
    manifest: Manifest,
    path_of: Callable[[str, str], Sequence[str]],
    prefix: str,
    report: ExportReport,
) -> None:
    """A list a stream; `path_of` gives the files of a video's id and a stream."""
    for stream in report.streams:
        lines, abnormal = [], 0
        for entry in manifest:
            files = [f"{prefix}/{path}" for path in path_of(entry.id, stream)]
            lines += files
            abnormal += len(files) * entry.label
        name = f"{side}-{stream}.list"
        write_text(folder / name, "".join(f"{line}\n" for line in lines))
        report.lists[name] = (len(lines), abnormal)
        spaced = sum(len(line.split()) > 1 for line in lines)
        if spaced:
            report.notes.append(
                f"{name}: {spaced} lines hold a space, where UR-DMU's code cuts them"
            )
