"""Import of published features: files matched to a manifest's videos, checked and streamed.

All headers are read and compared before the first feature is, so that a wrong file is refused at
once. Then one block of snippets at a time is in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import vad_toolkit
from vad_toolkit.core.crops import crop_order as crops_of
from vad_toolkit.core.files import AnyPath, canonical_json, check_new_file, sha256_file, sha256_text
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.names import NameIndex
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.datasets.truth.rules import Rule, label_count, load_rule
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.interchange.layouts.feature_reader import HalfRounder, half_blocks
from vad_toolkit.interchange.layouts.find import Files, add_files, feature_files, listed_files
from vad_toolkit.interchange.layouts.layout import STREAMS, Layout
from vad_toolkit.interchange.layouts.registry import feature_suffixes, find_layout, guess_layout
from vad_toolkit.packs.pack import LICENSE_NOT_STATED
from vad_toolkit.packs.video import StreamedVideo, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.imported import NOT_STATED, ImportedRecipe

HASHED_AHEAD = 2  # videos whose files are hashed while earlier ones are written


@dataclass
class ImportReport:
    """Result of an import, and everything that did not fit. It can be used as the pack's path.

    Attributes:
        rule: The ground-truth rule that snippet counts were compared with.
        crops: The order of crops.
        width: D by modality.
        extra: Files that belong to no video of the manifest and were left out.
        absent: Lines of the list without a file.
        missing: Videos without a file.
        misfits: (id, snippets by the rule, snippets in the files), imported as they are.
        unchecked: Videos whose snippet count could not be checked without a frame count.
        cut: (id, modality, snippets in the files, snippets kept): longer than the other modality.
        rounding_absolute, rounding_relative: The largest errors of rounding to float16.
    """

    pack: Path
    dataset: str
    layout: str
    rule: str
    crops: tuple[str, ...] = ()
    width: Mapping[str, int] = field(default_factory=dict)
    videos: int = 0
    snippets: int = 0
    extra: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    misfits: list[tuple[str, int, int]] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    cut: list[tuple[str, str, int, int]] = field(default_factory=list)
    rounding_absolute: float = 0.0
    rounding_relative: float = 0.0

    def __fspath__(self) -> str:
        return str(self.pack)

    def lines(self) -> list[str]:
        """Return one line for everything that did not fit."""
        return [
            *(f"extra file, not used: {path}" for path in self.extra),
            *(f"in the list, but no such file: {line}" for line in self.absent),
            *(f"missing: {id}" for id in self.missing),
            *(
                f"cut: {id}: {name} from {n} to {kept} snippets, as many as the other modality has"
                for id, name, n, kept in self.cut
            ),
            *(
                f"snippets: {id}: the files have {there}, rule {self.rule} gives {wanted}"
                for id, wanted, there in self.misfits
            ),
            *(
                f"snippets: {id}: not checked, since rule {self.rule} needs a frame count"
                for id in self.unchecked
            ),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values, under the names that `vad pack import` prints."""
        return {
            "pack": str(self.pack),
            "dataset": self.dataset,
            "layout": self.layout,
            "rule": self.rule,
            "streams": dict(self.width),
            "crops": list(self.crops),
            "videos": self.videos,
            "snippets": self.snippets,
            "extra_files": self.extra,
            "listed_without_file": self.absent,
            "missing": self.missing,
            "cut": [list(row) for row in self.cut],
            "other_snippet_count": [
                {"id": id, "by_rule": wanted, "there": there} for id, wanted, there in self.misfits
            ],
            "snippet_count_not_checked": self.unchecked,
            "float16_largest_error": self.rounding_absolute,
            "float16_largest_relative_error": self.rounding_relative,
        }


@dataclass(frozen=True)
class _Planned:
    """A video to import: its files by modality, in the order of crops, and N."""

    entry: Entry
    files: Mapping[str, Sequence[Path]]
    snippets: int


def import_features(
    source: AnyPath | Mapping[str, AnyPath],
    out: AnyPath,
    *,
    manifest: AnyPath | Manifest,
    side: str = "test",
    layout: str | None = None,
    list_file: AnyPath | None = None,
    crop_order: str | None = None,
    rule: str | None = None,
    features: str = NOT_STATED,
    license: str = LICENSE_NOT_STATED,
    allow_missing: bool = False,
    progress: ProgressCallback = silent,
) -> ImportReport:
    """Write a pack of published features.

    Args:
        source: The folder of feature files, or one folder per modality: {"rgb": ..., "flow": ...}.
            A folder alone is RGB, unless the files' names tell the modality.
        out: The pack to write, a new file.
        manifest: The videos, whose ids and frame counts the pack takes over: a dataset's name, a
            manifest file or a manifest.
        side: The side of a named dataset: "train", "validation", "test" or "all".
        layout: A name in `LAYOUTS`. If None, it is recognized by the files' names and shapes.
        list_file: A published list. If given, only the files or videos in it are imported.
        crop_order: The order of the crops in the files, by name. If None, the layout's usual one.
        rule: The ground-truth rule that the features follow. If None, the layout's usual one.
        features: Network and preprocessing in words, which become part of the recipe.
        license: The terms of the features.
        allow_missing: Whether to accept videos of the manifest without a file.
        progress: Called for each video.

    Raises:
        InputError: If `out` exists, an option or a file is wrong, or files do not go together. The
            message names the file.
        ManifestError: If no file belongs to the manifest, videos are missing without
            `allow_missing`, or a name stands for several videos.
        PackError: If the pack cannot be written.

    Example:
        >>> import vad_toolkit as vad
        >>> files = vad.export_features("features.h5", "published", layout="rtfm")
        >>> report = vad.import_features("published/rgb", "new.h5", manifest="manifests/test.jsonl")
        >>> report.layout, report.videos, len(report.extra)
        ('rtfm', 2, 6)
    """
    out = Path(out)
    check_new_file(out, "packs")
    folders = _folders(source)
    videos = find_manifest(manifest, side)
    if layout is None:
        root = next(iter(folders.values()))
        kind = guess_layout([root / file for file in feature_files(root, feature_suffixes())])
    else:
        kind = find_layout(layout)
    name, fields = load_rule(rule or kind.rule_for(videos.dataset), videos.rules)
    report = ImportReport(pack=out, dataset=videos.dataset, layout=kind.name, rule=name)
    files = _match(folders, kind, videos, list_file, allow_missing, report)
    plan, crop_count = _plan(files, kind, videos, report)
    report.crops = crops_of(crop_order or kind.crop_order, crop_count)
    _check_counts(plan, kind, name, fields, report)
    recipe = ImportedRecipe(
        layout=kind.name,
        features=features,
        rule=name,
        spans=kind.spans,
        crop_order=report.crops,
        streams=tuple(stream for stream in STREAMS if stream in report.width),
    )
    rounder = HalfRounder()
    blocks = _streamed(plan, kind, rounder, progress)
    write_pack(out, recipe, blocks, dataset=videos.dataset, license=license)
    report.rounding_absolute, report.rounding_relative = rounder.absolute, rounder.relative
    return report


def _folders(source: AnyPath | Mapping[str, AnyPath]) -> dict[str, Path]:
    folders = source if isinstance(source, Mapping) else {"rgb": source}
    unknown = [f"unknown modality {stream!r}" for stream in folders if stream not in STREAMS]
    if unknown or not folders:
        given = unknown[0] if unknown else "no folder of feature files"
        raise InputError(f"{given}; give a folder for rgb, flow or both")
    return {stream: Path(folder) for stream, folder in folders.items()}


def _match(
    folders: Mapping[str, Path],
    layout: Layout,
    manifest: Manifest,
    list_file: AnyPath | None,
    allow_missing: bool,
    report: ImportReport,
) -> Files:
    """Return the files of the manifest's videos; add the other files and videos to the report."""
    index = NameIndex(entry.id for entry in manifest)
    files: Files = {}
    for stream, root in folders.items():
        paths = feature_files(root, layout.suffixes)
        if list_file is not None:
            paths, absent = listed_files(Path(list_file), paths, index.find)
            report.absent += absent
        report.extra += add_files(files, root, paths, layout, index.find, stream)
    report.missing = [entry.id for entry in manifest if entry.id not in files]
    if not files and not report.extra:  # then there is a list, and no file for any of its lines
        raise ManifestError(
            f"no file for any of the {len(report.absent)} lines of {list_file} (first: "
            f"{report.absent[0]!r}); its lines must name files of the folder, or videos of "
            f"{manifest.dataset} (first: {manifest.entries[0].id!r})"
        )
    if not files:
        raise ManifestError(
            f"none of the {len(report.extra)} files (first: {report.extra[0]}) belongs to one of "
            f"the {len(manifest)} videos of {manifest.dataset} (first: {manifest.entries[0].id}); "
            "check --manifest and --side"
        )
    if report.missing and not allow_missing:
        raise ManifestError(
            f"{len(report.missing)} of the {len(manifest)} videos of {manifest.dataset} have no "
            f"file (first: {report.missing[0]}); complete the folder, or pass --allow-missing"
        )
    return files


def _plan(
    files: Files, layout: Layout, manifest: Manifest, report: ImportReport
) -> tuple[list[_Planned], int]:
    """Read and compare all headers. Return the videos to import, and C."""
    plan: list[_Planned] = []
    first: dict[str, tuple[Path, int, int]] = {}  # by modality: file, C and D of the first video
    for entry in manifest:
        if entry.id not in files:
            continue
        found = files[entry.id]
        ordered: dict[str, Sequence[Path]]
        ordered = {name: _in_order(entry.id, found[name]) for name in STREAMS if name in found}
        counts: dict[str, int] = {}
        for stream, paths in ordered.items():
            counts[stream], crops, width = layout.open(paths).shape
            path, usual_crops, usual_width = first.setdefault(stream, (paths[0], crops, width))
            if (crops, width) != (usual_crops, usual_width):
                hint = "a pack holds features of one kind; import the others separately"
                if counts[stream] == usual_width:
                    hint = "its axes seem to be swapped; save it with the axes in order"
                raise InputError(
                    f"{paths[0]} has {crops} crops of {width} dimensions, {path} has {usual_crops} "
                    f"of {usual_width}: {hint}"
                )
        plan.append(_Planned(entry, ordered, _snippets(entry.id, counts, ordered, report)))
    for video in plan:
        for stream in first.keys() - video.files.keys():
            raise InputError(
                f"video {video.entry.id!r} has {next(iter(video.files.values()))[0]} but no file "
                f"for {stream}; add it, or import one modality only"
            )
    if len({crops for _, crops, _ in first.values()}) > 1:
        crop_counts = ", ".join(f"{path} has {crops} crops" for path, crops, _ in first.values())
        raise InputError(f"{crop_counts}; both modalities of a pack must have the same crops")
    report.width = {stream: width for stream, (_, _, width) in first.items()}
    report.videos = len(plan)
    report.snippets = sum(video.snippets for video in plan)
    return plan, next(iter(first.values()))[1]


def _in_order(id: str, crops: Mapping[int, Path]) -> list[Path]:
    """Return files by crop number; the numbers must run from 0 on."""
    lacking = next(number for number in range(len(crops) + 1) if number not in crops)
    if lacking < len(crops):
        raise InputError(
            f"video {id!r} has {crops[max(crops)]} but no crop {lacking}; add the missing crops, "
            "or leave the video out"
        )
    return [crops[number] for number in range(len(crops))]


def _snippets(
    id: str, counts: Mapping[str, int], files: Mapping[str, Sequence[Path]], report: ImportReport
) -> int:
    """Return N of a video: that of the shorter modality, if the other has one snippet more."""
    kept = min(counts.values())
    for stream, count in counts.items():
        if count > kept + 1:
            other = next(name for name, number in counts.items() if number == kept)
            raise InputError(
                f"{files[stream][0]} has {count} snippets and {files[other][0]} has {kept}; they "
                "may differ by one: check that both are from the same extraction"
            )
        if count > kept:
            report.cut.append((id, stream, count, kept))
    return kept


def _check_counts(
    plan: Sequence[_Planned], layout: Layout, name: str, rule: Rule, report: ImportReport
) -> None:
    if layout.spans == "segments":  # N does not depend on the number of frames
        return
    for video in plan:
        try:
            wanted = -(-label_count(video.entry, name, rule) // rule.snippet_frames)
        except ManifestError:
            report.unchecked.append(video.entry.id)
            continue
        if wanted != video.snippets:
            report.misfits.append((video.entry.id, wanted, video.snippets))


def _streamed(
    plan: Sequence[_Planned], layout: Layout, rounder: HalfRounder, progress: ProgressCallback
) -> Iterator[tuple[str, StreamedVideo]]:
    """Yield the videos for `write_pack`. A thread hashes the files, a few videos ahead."""
    with ThreadPoolExecutor(1) as hasher:
        digests: deque[Future[str]] = deque()
        for index, video in enumerate(plan):
            progress(ProgressEvent("import", index, len(plan), "videos", video.entry.id))
            ahead = plan[index + len(digests) : index + 1 + HASHED_AHEAD]
            digests.extend(hasher.submit(_source_digest, later.files) for later in ahead)
            yield video.entry.id, _video(video, layout, rounder, digests.popleft())
        progress(ProgressEvent("import", len(plan), len(plan), "videos"))


def _video(
    video: _Planned, layout: Layout, rounder: HalfRounder, digest: Future[str]
) -> StreamedVideo:
    entry = video.entry
    streams = {
        stream: half_blocks(layout.open(paths), video.snippets, rounder, paths[0])
        for stream, paths in video.files.items()
    }
    return StreamedVideo(
        streams,
        lambda: VideoMeta(
            frames=entry.length or video.snippets * ImportedRecipe.model_fields["step"].default,
            frames_reported=entry.container_frames or 0,
            frames_duplicated=0,
            fps=entry.fps or 0.0,
            width=0,
            height=0,
            source_sha256=digest.result(),
            decoder="imported",
            decoder_version=vad_toolkit.__version__,
        ),
    )


def _source_digest(files: Mapping[str, Sequence[Path]]) -> str:
    """Return the sha256 of the file, or of the sorted list of (modality, name, sha256) of all."""
    try:
        digests = sorted(
            (name, path.name, sha256_file(path)) for name, paths in files.items() for path in paths
        )
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read ({error.strerror})") from error
    return digests[0][2] if len(digests) == 1 else sha256_text(canonical_json(digests))
