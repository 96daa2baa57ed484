"""Untrimmed, weakly-labelled videos with exact ground truth, out of a pack of trimmed clips.

Features are joined clip by clip, with no new extraction; `datasets.compose_plan` says which clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from vad_toolkit import __version__
from vad_toolkit.compose.compose_plan import (
    CLIPS_PER_VIDEO,
    VALIDATION_FRACTION,
    Clip,
    ComposedVideo,
    SidePlan,
    plan_mixed,
    plan_source,
)
from vad_toolkit.compose.join import join_pack
from vad_toolkit.core.files import check_new_folder, write_json
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.building.build import TEST_FILE, TRAIN_FILE, BuiltDataset, write_dataset
from vad_toolkit.datasets.dataset_info import INFO_FILE, DatasetInfo, read_dataset_info
from vad_toolkit.datasets.manifest import Manifest, read_manifest
from vad_toolkit.datasets.source_split import check_sides
from vad_toolkit.datasets.truth.labels import frame_labels
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.fit import pack_problems
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures
from vad_toolkit.packs.write import write_pack

PACK_FILE = "pack.h5"
COMPOSE_FILE = "compose.json"
Mode = Literal["mixed", "source"]
MODES: tuple[Mode, ...] = ("mixed", "source")


@dataclass(frozen=True)
class ComposeResult:
    """What was written. `test` is None where no test manifest was given."""

    pack: Path
    train: Path
    test: Path | None
    videos: Mapping[str, Mapping[str, int]]  # by side: normal, abnormal, frames, abnormal_frames
    notes: tuple[str, ...]


def compose(
    pack: Path,
    train: Path,
    test: Path | None,
    out: Path,
    *,
    mode: Mode = "mixed",
    seed: int = 0,
    clips_per_video: tuple[int, int] | None = None,
    normal_videos: int | None = None,
    abnormal_videos: int | None = None,
    validation_fraction: float | None = None,
    progress: ProgressCallback = silent,
) -> ComposeResult:
    """Compose videos and write `pack.h5`, the manifests, `dataset.toml` and `compose.json`.

    `compose.json` is written last and holds parameters, digests and the clips of every video. The
    composed manifests carry events on both sides, since they are exact.

    Args:
        pack: features of the trimmed clips.
        train: manifest of the clips to compose training videos from.
        test: the same for test videos, or None.
        out: a folder that does not exist or is empty.
        mode: "mixed" draws clips from everywhere on one side (`plan_mixed`), "source" only from one
            source video and in their order (`plan_source`).
        seed: any integer; the same seed gives the same videos.
        clips_per_video: fewest and most clips of a video; mode mixed, by default (5, 9).
        normal_videos: how many for training; mode mixed, by default as many as there are abnormal
            clips. Test videos are composed in proportion to the test side's abnormal clips.
        abnormal_videos: the same.
        validation_fraction: of the training clips, kept in a part of their own so that a validation
            split shares no clip with training; mode mixed, by default 0.2.
        progress: called as videos are written.

    Raises:
        InputError: an option that is not allowed, or `out` is not empty.
        ManifestError: manifests do not fit the pack or each other, or clips are too few or not
            trimmed.
        PackError: the pack cannot be read, or a video cannot be written.
    """
    mixed_only = {
        "clips": clips_per_video,
        "normal-videos": normal_videos,
        "abnormal-videos": abnormal_videos,
        "validation-fraction": validation_fraction,
    }
    _check_options(mode, mixed_only, out)
    manifests = {"train": read_manifest(train)}
    if test is not None:
        manifests["test"] = read_manifest(test)
        check_sides(manifests["train"], manifests["test"])
    with FeaturePack.open(pack) as source:
        clips = {side: _clips(side, manifest, source) for side, manifest in manifests.items()}
        plans: dict[str, SidePlan] = {}
        for side in manifests:
            if mode == "source":
                plans[side] = plan_source(side, clips[side], seed=seed)
                continue
            share = 1.0 if side == "train" else _test_share(manifests)
            fraction = VALIDATION_FRACTION if validation_fraction is None else validation_fraction
            plans[side] = plan_mixed(
                side,
                clips[side],
                seed=seed,
                clips_per_video=clips_per_video or CLIPS_PER_VIDEO,
                normal_videos=_scaled(normal_videos, share),
                abnormal_videos=_scaled(abnormal_videos, share),
                validation_fraction=fraction if side == "train" else 0.0,
            )
        videos = [video for plan in plans.values() for video in plan.videos]
        name = f"{manifests['train'].dataset}-{mode}"
        _write_pack(source, videos, out / PACK_FILE, name, progress)
        step = source.recipe.step
        inputs = {
            "pack_content_sha256": source.content_sha256,
            "recipe_sha256": source.recipe_sha256,
            **{f"{side}_manifest_sha256": m.sha256 for side, m in manifests.items()},
        }
    entries = {side: tuple(v.entry(step) for v in plan.videos) for side, plan in plans.items()}
    built = BuiltDataset(
        info=_info(train.parent / INFO_FILE, name, mode, seed),
        train=entries["train"],
        test=entries.get("test", ()),
    )
    write_dataset(built, out)
    counts = {side: _counts(plan.videos, step) for side, plan in plans.items()}
    notes = tuple(chain.from_iterable(plan.notes for plan in plans.values()))
    with FeaturePack.open(out / PACK_FILE) as composed:
        outputs = {
            "pack_content_sha256": composed.content_sha256,
            **{f"{s}_manifest_sha256": Manifest(e, name).sha256 for s, e in entries.items()},
        }
    record = {
        "version": __version__,
        "parameters": {"mode": mode, "seed": seed, **mixed_only},
        "inputs": inputs,
        "outputs": outputs,
        "counts": counts,
        "notes": list(notes),
        "videos": {video.id: [clip.id for clip in video.clips] for video in videos},
    }
    write_json(out / COMPOSE_FILE, record)
    return ComposeResult(
        pack=out / PACK_FILE,
        train=out / TRAIN_FILE,
        test=out / TEST_FILE if test is not None else None,
        videos=counts,
        notes=notes,
    )


def _check_options(mode: str, mixed_only: Mapping[str, object], out: Path) -> None:
    if mode not in MODES:
        raise InputError(f"mode {mode!r}: has to be one of {', '.join(MODES)}")
    given = [name for name, value in mixed_only.items() if value is not None]
    if mode == "source" and given:
        raise InputError(f"{given[0]} goes with mode mixed; in mode source the sources decide")
    check_new_folder(out)


def _clips(side: str, manifest: Manifest, pack: FeaturePack) -> list[Clip]:
    """The manifest's videos as clips, once they are known to fit the pack and to be trimmed."""
    problems = pack_problems(manifest, pack, needs_events=False)
    if problems:
        more = f" ({len(problems) - 1} more; see vad manifest check)" if len(problems) > 1 else ""
        raise ManifestError(f"{side}: {problems[0]}{more}")
    for entry in manifest.abnormal:
        if entry.events is not None:
            frames = pack.meta(entry.id).frames
            abnormal = int(frame_labels(entry, frames).sum())
            if abnormal < frames:
                raise ManifestError(
                    f"{side}: video {entry.id!r} is not trimmed: {abnormal} of its {frames} frames "
                    "are abnormal; clips have to be so throughout"
                )
    return [Clip(entry, pack.shape(entry.id)[0]) for entry in manifest]


def _test_share(manifests: Mapping[str, Manifest]) -> float:
    """Abnormal test clips for one abnormal training clip."""
    return len(manifests["test"].abnormal) / max(1, len(manifests["train"].abnormal))


def _scaled(number: int | None, share: float) -> int | None:
    return None if number is None else max(min(number, 1), round(number * share))


def _write_pack(
    source: FeaturePack,
    videos: Sequence[ComposedVideo],
    path: Path,
    dataset: str,
    progress: ProgressCallback,
) -> None:
    plan = {video.id: [clip.id for clip in video.clips] for video in videos}

    def joined() -> Iterator[tuple[str, VideoFeatures]]:
        for done, item in enumerate(join_pack(source, plan), start=1):
            yield item
            progress(ProgressEvent("compose", done, len(plan), "videos", item[0]))

    write_pack(path, source.recipe, joined(), dataset=dataset, license=source.license)


def _info(path: Path, name: str, mode: Mode, seed: int) -> DatasetInfo:
    """The clips' dataset, under a name that says that it is composed."""
    clips = read_dataset_info(path) if path.is_file() else DatasetInfo(name=name)
    notes = f"Videos composed from trimmed clips: mode {mode}, seed {seed}; see {COMPOSE_FILE}."
    return clips.model_copy(update={"name": name, "notes": f"{notes} {clips.notes}".strip()})


def _counts(videos: Sequence[ComposedVideo], step: int) -> dict[str, int]:
    abnormal = [video for video in videos if video.label == 1]
    return {
        "normal": len(videos) - len(abnormal),
        "abnormal": len(abnormal),
        "frames": sum(video.snippets for video in videos) * step,
        "abnormal_frames": sum(b - a for video in abnormal for a, b in video.events(step)),
    }
