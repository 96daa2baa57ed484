"""Export of a pack as feature files, with the lists and label arrays that published code reads.

RTFM and MGFN take the first lines of a training list as the abnormal videos (63 for ShanghaiTech,
810 for UCF-Crime). UR-DMU, and MGFN for XD-Violence, take as many times the number of crops (8,100;
9,525). All of them expect a test list in the order of one global label array with 16 labels per
snippet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vad_toolkit.core.crops import crop_index
from vad_toolkit.core.crops import crop_order as crops_of
from vad_toolkit.core.files import AnyPath, atomic_folder, write_text
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.manifest import Manifest
from vad_toolkit.datasets.registry import ALL_SIDES, DATASETS, find_manifest, load_dataset
from vad_toolkit.datasets.truth.global_labels import (
    GlobalLabels,
    global_labels,
    write_global_labels,
)
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.interchange.layouts.registry import find_layout
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import SnippetBlocks
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.recipes.recipe import AnyRecipe

TRAIN = "train"
SIDES = (TRAIN, "validation", "test")
REPEAT = 16  # labels per snippet in published code


@dataclass
class ExportReport:
    """Result of an export.

    Attributes:
        crops: The order of crops in the files.
        rule: The ground-truth rule of the label arrays.
        files: Number of feature files.
        lists: By file name, the number of lines, and how many of them, the first, are abnormal.
        arrays: By file name, the number of labels, and how many of them are abnormal.
        unlisted: Number of videos of the pack that are in no list.
        absent: By side, the number of videos of the manifest that the pack does not have.
        problems: Reasons why an array is missing, one line per video or side.
        notes: Lines that the user should read.
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

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values, under the names that `vad pack export` prints."""
        return {
            "out": str(self.out),
            "layout": self.layout,
            "crops": list(self.crops),
            "streams": list(self.streams),
            "videos": self.videos,
            "feature_files": self.files,
            "rule": self.rule,
            "videos_in_no_list": self.unlisted,
            "videos_not_in_the_pack": self.absent,
            "lists": [
                {"file": name, "lines": lines, "abnormal": abnormal}
                for name, (lines, abnormal) in {**self.lists, **self.arrays}.items()
            ],
            "problems": self.problems,
            "notes": self.notes,
        }


def export_features(
    pack: AnyPath | FeaturePack,
    out: AnyPath,
    *,
    layout: str,
    manifest: AnyPath | Manifest | Mapping[str, Manifest] | None = None,
    side: str | None = None,
    crop_order: str | None = None,
    rule: str | None = None,
    path_prefix: str | None = None,
    progress: ProgressCallback = silent,
) -> ExportReport:
    """Write the features of a pack as files, float32 (in some layouts float64 or text).

        <out>/rgb/..., <out>/flow/...    the files; in layout video-features <out>/features/...
        <out>/<side>-<stream>.list       one line per file, if a manifest is given
        <out>/gt-<side>.npy              labels by the rule, except for the training side

    Args:
        pack: The pack, or its path.
        out: The folder to write, new or empty. It appears completely or not at all.
        layout: A name in `LAYOUTS`.
        manifest: The videos to write lists for: a dataset's name, a manifest file, a manifest, or
            manifests by side. A training list has the abnormal videos first; otherwise lists are in
            the manifest's order.
        side: The side of the manifest: "train", "validation" or "test". If None, all sides of a
            named dataset that the pack has videos of; for a file, the side that it is named after.
        crop_order: The order of crops in the files, by name. If None, the layout's usual one.
        rule: The ground-truth rule of the label arrays. If None, the recipe's.
        path_prefix: The start of the paths in the lists. If None, the absolute path of `out`.
        progress: Called for each video.

    Raises:
        InputError: If `out` is in use, the features do not fit the layout, or the side of a
            manifest is not known.
        ManifestError: If the pack has no video of a side.
        PackCorrupt: If the features of a video do not match their digest.

    Example:
        >>> import vad_toolkit as vad
        >>> report = vad.export_features(
        ...     "features.h5", "files", layout="rtfm", manifest="manifests/train.jsonl"
        ... )
        >>> report.lists
        {'train-rgb.list': (6, 3)}
    """
    kind, target = find_layout(layout), Path(out)
    path = pack.path if isinstance(pack, FeaturePack) else Path(pack)
    with FeaturePack.open(path) as source:
        manifests = _sides(manifest, side, source.ids)
        streams = tuple(source.recipe.streams)
        for id in source.ids:
            for stream in streams:
                kind.check(source.shape(id, stream))
        crops = crops_of(crop_order or kind.crop_order, source.recipe.crop_count)
        order = crop_index(source.recipe.crop_order, crops)
        names = {id: id.rpartition("/")[2] for id in source.ids}
        if len(set(names.values())) < len(names):  # last parts are not unique
            names = {id: id for id in source.ids}
        report = ExportReport(
            target, kind.name, crops, streams, rule or usual_rule(source.recipe), len(source)
        )
        listed = {side: _listed(side, part, source) for side, part in manifests.items()}
        arrays = {side: _labels(side, part, source, report) for side, part in listed.items()}
        prefix = path_prefix if path_prefix is not None else str(target.resolve())

        def paths_of(id: str, stream: str) -> list[str]:
            folder = "features" if kind.names_stream else stream  # one folder has all modalities
            return [f"{folder}/{file}" for file in kind.file_names(names[id], stream, len(crops))]

        with atomic_folder(target) as folder:
            for index, id in enumerate(source.ids):
                progress(ProgressEvent("export", index, len(source), "videos", id))
                for name, blocks in source.streamed(id).streams.items():
                    paths = [folder / path for path in paths_of(id, name)]
                    if crops != tuple(source.recipe.crop_order):
                        reordered = (block[:, order] for block in blocks.blocks)
                        blocks = SnippetBlocks(blocks.shape, reordered)
                    kind.write(paths, blocks)
                    report.files += len(paths)
            for side, part in listed.items():
                for stream in streams:
                    lines = {
                        f"{prefix}/{path}": entry.label
                        for entry in part
                        for path in paths_of(entry.id, stream)
                    }
                    _write_list(folder / f"{side}-{stream}.list", lines, report)
                if (labels := arrays[side]) is not None:
                    write_global_labels(labels, folder / _array_file(side))
                    report.arrays[_array_file(side)] = (len(labels.labels), labels.abnormal)
            progress(ProgressEvent("export", len(source), len(source), "videos"))
        report.absent = {side: len(part) - len(listed[side]) for side, part in manifests.items()}
        in_lists = {entry.id for part in listed.values() for entry in part}
        report.unlisted = len(set(source.ids) - in_lists) if listed else 0
    return report


def _sides(
    manifest: AnyPath | Manifest | Mapping[str, Manifest] | None,
    side: str | None,
    ids: Sequence[str],
) -> Mapping[str, Manifest]:
    """Return the manifests to write lists for, by side."""
    if manifest is None or isinstance(manifest, Mapping):
        return manifest or {}
    side = None if side == ALL_SIDES else side
    if side is None and isinstance(manifest, str) and manifest in DATASETS:
        sides = load_dataset(manifest).sides
        there = {name: part for name, part in sides.items() if part.by_id.keys() & set(ids)}
        return there or sides
    found = find_manifest(manifest, side or "test")
    if side is None and found.path is not None:
        side = found.path.stem
    if side not in SIDES:
        raise InputError(
            f"the side of {found.path or found.dataset} is not known; give --side: "
            f"{', '.join(SIDES)}"
        )
    return {side: found}


def usual_rule(recipe: AnyRecipe) -> str:
    """Return the ground-truth rule that fits a recipe's snippets of 16 frames."""
    if isinstance(recipe, ImportedRecipe):
        return recipe.rule
    return "rtfm" if recipe.tail == "loop" else "vadclip"


def _listed(side: str, manifest: Manifest, pack: FeaturePack) -> Manifest:
    """Return the videos of a side that the pack has, in the order of its list."""
    there = [entry for entry in manifest if entry.id in pack]
    if not there:
        raise ManifestError(
            f"{pack.path} has none of the {len(manifest)} videos of the {side} side of "
            f"{manifest.dataset}; check --manifest and --side"
        )
    if side == TRAIN:
        there.sort(key=lambda entry: -entry.label)  # stable: else in the manifest's order
    return Manifest(tuple(there), manifest.dataset, manifest.rules)


def _labels(
    side: str, manifest: Manifest, pack: FeaturePack, report: ExportReport
) -> GlobalLabels | None:
    """Return the label array of a side if it is known and fits the features, else report why."""
    if side == TRAIN:
        return None
    no_array = f"no {_array_file(side)}"
    if unknown := [entry.id for entry in manifest.abnormal if entry.events is None]:
        events = f"the events of {len(unknown)} videos are not known (first: {unknown[0]})"
        report.notes.append(f"{no_array}: {events}")
        return None
    try:
        array = global_labels(manifest, report.rule)
    except ManifestError as error:
        report.problems.append(f"{no_array}: {error}")
        return None
    if isinstance(pack.recipe, ImportedRecipe) and pack.recipe.spans == "segments":
        return array
    snippets = {id: pack.shape(id, pack.recipe.streams[0])[0] for id in array.ids}
    wrong = [
        f"{id}: {array.counts[id]} labels by rule {report.rule}, but its {snippets[id]} snippets "
        f"need {snippets[id] * REPEAT}"
        for id in array.ids
        if array.counts[id] != snippets[id] * REPEAT
    ]
    if wrong:
        report.problems += [f"{no_array}: {len(wrong)} videos do not fit it", *wrong]
        return None
    return array


def _array_file(side: str) -> str:
    return f"gt-{side}.npy"


def _write_list(file: Path, labels: Mapping[str, int], report: ExportReport) -> None:
    """Write the list of feature files, given with the labels of their videos."""
    write_text(file, "".join(f"{line}\n" for line in labels))
    report.lists[file.name] = (len(labels), sum(labels.values()))
    if spaced := sum(len(line.split()) > 1 for line in labels):
        report.notes.append(
            f"{file.name}: {spaced} lines contain a space, where UR-DMU's code cuts them"
        )
