"""Published features into a pack: files matched to a manifest's videos, checked, streamed.

All headers are read and everything is checked before the first feature is: what is refused is
refused at once. Then one block of snippets at a time is in memory.
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
from vad_toolkit.core.files import canonical_json, sha256_file, sha256_text
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.names import NameIndex
from vad_toolkit.datasets.truth.rules import Rule, label_count, load_rule
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.interchange.layouts.feature_reader import half_blocks
from vad_toolkit.interchange.layouts.find import feature_files, listed_files
from vad_toolkit.interchange.layouts.half import HalfRounder
from vad_toolkit.interchange.layouts.layout import STREAMS, Layout
from vad_toolkit.interchange.layouts.registry import find_layout
from vad_toolkit.packs.pack import LICENSE_NOT_STATED
from vad_toolkit.packs.video import StreamedVideo, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.imported import NOT_STATED, ImportedRecipe

XD_VIOLENCE = "xd-violence"
XD_RULE = "xdviodet"
HASHED_AHEAD = 2  # videos whose files are hashed while earlier ones are written
Files = Mapping[str, Mapping[int, Path]]  # by stream and crop number


@dataclass
class ImportReport:
    """What became of an import; ids are the manifest's.

    Attributes:
        rule: the ground-truth rule that snippet counts were compared with.
        snippets: of all videos together.
        extra: files that belong to no video of the manifest, and were left out.
        absent: lines of the list for which there is no file.
        missing: videos without a file.
        misfits: (id, snippets by the rule, snippets there): kept as they are.
        unchecked: videos whose frame count, by which the rule goes, is not known.
        cut: (id, stream, snippets there, snippets kept): longer than the other stream.
        rounding: the largest absolute and relative error of float16 (`half.Rounding`).
    """

    pack: Path
    dataset: str
    layout: str
    rule: str
    crops: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
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

    def lines(self) -> list[str]:
        """Everything that is not as it should be, one a line."""
        return [
            *(f"extra, not used: {path}" for path in self.extra),
            *(f"in the list, no such file: {line}" for line in self.absent),
            *(f"missing: {id}" for id in self.missing),
            *(
                f"cut: {id}: {stream} from {there} to {kept} snippets, those of the other stream"
                for id, stream, there, kept in self.cut
            ),
            *(
                f"snippets: {id}: {there} there, rule {self.rule} gives {wanted}"
                for id, wanted, there in self.misfits
            ),
            *(
                f"snippets not checked: {id}: rule {self.rule} needs a frame count that is not "
                "known"
                for id in self.unchecked
            ),
        ]


@dataclass(frozen=True)
class _Planned:
    """A video that is to be imported; `files` are in the order of crops."""

    entry: Entry
    files: Mapping[str, Sequence[Path]]
    snippets: int


def import_pack(
    folders: Mapping[str, Path],
    layout: str,
    manifest: Manifest,
    out: Path,
    *,
    list_file: Path | None = None,
    crop_order: str | None = None,
    rule: str | None = None,
    features: str = NOT_STATED,
    license: str = LICENSE_NOT_STATED,
    allow_missing: bool = False,
    progress: ProgressCallback = silent,
) -> ImportReport:
    """Write a pack of published features.

    Args:
        folders: a folder for each stream, "rgb" or "flow"; both of layout video-features are in the
            one for "rgb".
        layout: a name in `layouts.catalogue.LAYOUTS`.
        manifest: the videos, whose ids and frame counts the pack takes over.
        out: the pack, which must not exist.
        list_file: a published list; only the files that it names are imported.
        crop_order: the order in which the files have their crops; default: the layout's.
        rule: the ground-truth rule by which the features were made; default: the layout's, and
            xdviodet for XD-Violence per crop.
        features: network and preprocessing in words, which become part of the recipe.
        allow_missing: accept that videos of the manifest have no file.

    Raises:
        InputError: `out` is there; an option or a file is wrong, or files of one video or of two do
            not go together. Each names the file and what to do.
        ManifestError: no file belongs to the manifest, or videos are missing and that is not
            allowed; a name stands for several videos.
        PackError: the pack cannot be written.
    """
    kind = find_layout(layout)
    if out.exists():
        raise InputError(f"{out} is there already: it is not overwritten, name a new --out")
    name, fields = load_rule(rule or _usual_rule(kind, manifest), manifest.rules)
    report = ImportReport(pack=out, dataset=manifest.dataset, layout=layout, rule=name)
    files = _match(folders, kind, manifest, list_file, report)
    _check_missing(files, manifest, allow_missing, report)
    plan, crop_count = _plan(files, kind, manifest, report)
    report.crops = crops_of(crop_order or kind.crop_order, crop_count)
    _check_counts(plan, kind, name, fields, report)
    recipe = ImportedRecipe(
        layout=layout,
        features=features,
        rule=name,
        spans=kind.spans,
        crop_order=report.crops,
        streams=tuple(stream for stream in STREAMS if stream in report.streams),
    )
    rounder = HalfRounder()
    write_pack(
        out,
        recipe,
        _streamed(plan, kind, rounder, progress),
        dataset=manifest.dataset,
        license=license,
    )
    report.rounding_absolute = rounder.rounding.absolute
    report.rounding_relative = rounder.rounding.relative
    return report


def _usual_rule(layout: Layout, manifest: Manifest) -> str:
    if layout.name == "per-crop" and manifest.dataset == XD_VIOLENCE:
        return XD_RULE
    return layout.rule


def _match(
    folders: Mapping[str, Path],
    layout: Layout,
    manifest: Manifest,
    list_file: Path | None,
    report: ImportReport,
) -> dict[str, dict[str, dict[int, Path]]]:
    """Files by video, stream and crop number."""
    index = NameIndex(entry.id for entry in manifest)
    matched: dict[str, dict[str, dict[int, Path]]] = {}
    for stream, root in folders.items():
        paths = feature_files(root, layout.suffixes)
        if list_file is not None:
            paths, absent = listed_files(list_file, paths)
            report.absent += absent
        for path in paths:
            parsed = layout.parse(path)
            id = None if parsed is None else index.find(parsed.video)
            if parsed is None or id is None:
                report.extra.append(str(root / path))
                continue
            crops = matched.setdefault(id, {}).setdefault(parsed.stream or stream, {})
            if parsed.crop in crops:
                raise InputError(
                    f"{crops[parsed.crop]} and {root / path} both are video {id!r}; remove one, or "
                    "name those meant with --list"
                )
            crops[parsed.crop] = root / path
    return matched


def _check_missing(
    files: Mapping[str, Files], manifest: Manifest, allow_missing: bool, report: ImportReport
) -> None:
    report.missing = [entry.id for entry in manifest if entry.id not in files]
    if not files:
        raise ManifestError(
            f"none of the {len(report.extra)} files (first: {report.extra[0]}) is one of the "
            f"{len(manifest)} videos of {manifest.dataset} (first: {manifest.entries[0].id}); "
            "check --manifest and --side"
        )
    if report.missing and not allow_missing:
        raise ManifestError(
            f"{len(report.missing)} of the {len(manifest)} videos of {manifest.dataset} have no "
            f"file (first: {report.missing[0]}); complete the folder, or pass --allow-missing"
        )


def _plan(
    files: Mapping[str, Files], layout: Layout, manifest: Manifest, report: ImportReport
) -> tuple[list[_Planned], int]:
    """Read all headers, and compare what they say of one video and of all: videos, and C."""
    plan: list[_Planned] = []
    first: dict[str, tuple[Path, int, int]] = {}  # file, C and D of the first video, by stream
    for entry in manifest:
        if entry.id not in files:
            continue
        ordered: dict[str, Sequence[Path]] = {
            stream: _in_order(entry.id, files[entry.id][stream], layout)
            for stream in STREAMS
            if stream in files[entry.id]
        }
        counts: dict[str, int] = {}
        for stream, paths in ordered.items():
            reader = layout.open(paths)
            counts[stream], crops, width = reader.shape
            path, usual_crops, usual_width = first.setdefault(stream, (paths[0], crops, width))
            if (crops, width) != (usual_crops, usual_width):
                turned = counts[stream] == usual_width
                raise InputError(
                    f"{paths[0]} has {crops} crops of {width} numbers, {path} has {usual_crops} of "
                    f"{usual_width}: "
                    + (
                        "its axes seem to be swapped; save it with them in order"
                        if turned
                        else "features of one kind go into one pack; import the others apart"
                    )
                )
        plan.append(_Planned(entry, ordered, _snippets(entry.id, counts, ordered, report)))
    streams = {tuple(video.files) for video in plan}
    if len(streams) > 1 or len({crops for _, crops, _ in first.values()}) > 1:
        raise InputError(_unequal_streams(plan, first))
    report.streams = tuple(first)
    report.width = {stream: width for stream, (_, _, width) in first.items()}
    report.videos = len(plan)
    report.snippets = sum(video.snippets for video in plan)
    return plan, next(iter(first.values()))[1]


def _in_order(id: str, crops: Mapping[int, Path], layout: Layout) -> list[Path]:
    """Files by crop number, which have to run from 0 on."""
    numbers = sorted(crops)
    if numbers != list(range(len(numbers))):
        lacking = next(number for number in range(10) if number not in crops)
        example = crops[numbers[-1]]
        raise InputError(
            f"video {id!r}: there is {example} and no crop {lacking}; complete the crops, or leave "
            "the video out"
        )
    return [crops[number] for number in numbers]


def _snippets(
    id: str,
    counts: Mapping[str, int],
    files: Mapping[str, Sequence[Path]],
    report: ImportReport,
) -> int:
    """N of a video: that of the shorter stream, when the other is one snippet longer at most."""
    kept = min(counts.values())
    for stream, count in counts.items():
        if count > kept + 1:
            other = next(name for name, number in counts.items() if number == kept)
            raise InputError(
                f"{files[stream][0]} has {count} snippets and {files[other][0]} has {kept}: they "
                "may differ by one; check that both are of one extraction"
            )
        if count > kept:
            report.cut.append((id, stream, count, kept))
    return kept


def _unequal_streams(plan: Sequence[_Planned], first: Mapping[str, tuple[Path, int, int]]) -> str:
    for video in plan:
        lacking = [stream for stream in first if stream not in video.files]
        if lacking:
            there = next(iter(video.files.values()))[0]
            return (
                f"video {video.entry.id!r} has {there} and no file for {lacking[0]}; complete it, "
                "or import one stream alone"
            )
    crops = ", ".join(f"{path} has {crops} crops" for path, crops, _ in first.values())
    return f"{crops}: both streams of a pack have the same crops; import them apart"


def _check_counts(
    plan: Sequence[_Planned], layout: Layout, name: str, rule: Rule, report: ImportReport
) -> None:
    """Compare snippet counts with the rule. Equal parts of a video are as many as they are."""
    if layout.spans == "segments":
        return
    for video in plan:
        try:
            labels = label_count(video.entry, name, rule)
        except ManifestError:
            report.unchecked.append(video.entry.id)
            continue
        wanted = -(-labels // rule.snippet_frames)
        if wanted != video.snippets:
            report.misfits.append((video.entry.id, wanted, video.snippets))


def _streamed(
    plan: Sequence[_Planned], layout: Layout, rounder: HalfRounder, progress: ProgressCallback
) -> Iterator[tuple[str, StreamedVideo]]:
    """The videos for `write_pack`. Files are hashed by a thread of their own, a little ahead."""
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
    streams = {
        stream: half_blocks(layout.open(paths), video.snippets, rounder, paths[0])
        for stream, paths in video.files.items()
    }
    return StreamedVideo(streams, lambda: _meta(video, digest.result()))


def _meta(video: _Planned, source_sha256: str) -> VideoMeta:
    entry = video.entry
    return VideoMeta(
        frames=entry.length or video.snippets * ImportedRecipe.model_fields["step"].default,
        frames_reported=entry.container_frames or 0,
        frames_duplicated=0,
        fps=entry.fps or 0.0,
        width=0,
        height=0,
        source_sha256=source_sha256,
        decoder="imported",
        decoder_version=vad_toolkit.__version__,
    )


def _source_digest(files: Mapping[str, Sequence[Path]]) -> str:
    """sha256 of the one file, or of the list of all: stream, name and sha256 of each, sorted."""
    try:
        digests: list[Any] = sorted(
            (stream, path.name, sha256_file(path))
            for stream, paths in files.items()
            for path in paths
        )
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read ({error.strerror})") from error
    return str(digests[0][2]) if len(digests) == 1 else sha256_text(canonical_json(digests))
