"""Composition of untrimmed, weakly-labeled videos from a pack of trimmed clips.

The features of clips are joined, so nothing is extracted again, and the ground truth is exact.
`compose_plan` chooses the clips of each video.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

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
from vad_toolkit.core.files import (
    AnyPath,
    canonical_json,
    check_new_folder,
    sha256_text,
    write_json,
)
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.building.build import BuiltDataset, write_dataset
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.datasets.manifest import Manifest, info_beside
from vad_toolkit.datasets.registry import DATASETS, find_manifest, load_dataset
from vad_toolkit.datasets.source_split import check_sides
from vad_toolkit.datasets.truth.rules import frame_labels
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.fit import pack_problems
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe

PACK_FILE = "pack.h5"
COMPOSE_FILE = "compose.json"
Mode = Literal["mixed", "source"]
MODES: tuple[Mode, ...] = ("mixed", "source")


@dataclass(frozen=True)
class ComposeResult:
    """Files of composed videos. It can be used as the path of the pack.

    Attributes:
        pack: The features.
        train: The training manifest.
        test: The test manifest, or None if no test clips were given.
        videos: By side, the number of normal and abnormal videos, of frames and abnormal_frames.
        notes: Lines that the user should read.
    """

    pack: Path
    train: Path
    test: Path | None
    videos: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]

    def __fspath__(self) -> str:
        return str(self.pack)


def compose_videos(
    pack: AnyPath,
    manifest: AnyPath | Manifest,
    out: AnyPath,
    *,
    test_manifest: AnyPath | Manifest | None = None,
    mode: Mode = "mixed",
    seed: int = 0,
    clips_per_video: tuple[int, int] | None = None,
    normal_videos: int | None = None,
    abnormal_videos: int | None = None,
    validation_fraction: float | None = None,
    progress: ProgressCallback = silent,
) -> ComposeResult:
    """Compose videos and write `pack.h5`, manifests, `dataset.toml` and `compose.json`.

    `compose.json` is written last, with parameters, digests and the clips of every video. The
    manifests state events on both sides, because they are exact.

    Args:
        pack: Features of the trimmed clips.
        manifest: The clips to compose training videos from: a manifest, its file, or a dataset's
            name. A name stands for its training and test clips, unless `test_manifest` is given.
        out: The folder to write, new or empty.
        test_manifest: The clips to compose test videos from. If None, there are no test videos.
        mode: "mixed" draws clips from a whole side of the split (`plan_mixed`), "source" joins
            clips of one source video in their order (`plan_source`).
        seed: Any integer; the same seed composes the same videos.
        clips_per_video: The smallest and largest number of clips per video. If None, (5, 9). This
            and the other numbers below are for mode "mixed" only.
        normal_videos: Number of normal training videos. If None, the number of abnormal training
            clips. Test videos are composed in proportion to the abnormal test clips.
        abnormal_videos: The same for abnormal videos.
        validation_fraction: Share of the training clips that is kept separate, so that validation
            videos share no clip with training videos. If None, 0.2.
        progress: Called for each video.

    Raises:
        InputError: If an option is not allowed, or `out` is in use.
        ManifestError: If the manifests do not fit the pack or each other, or the clips are too few
            or not trimmed.
        PackError: If the pack cannot be read, or a video cannot be written.

    Example:
        >>> import vad_toolkit as vad
        >>> result = vad.compose_videos("features.h5", "manifests/train.jsonl", "composed")
        >>> result.videos["train"]["abnormal"]
        3
    """
    target = Path(out)
    mixed_only = {
        "clips": clips_per_video,
        "normal-videos": normal_videos,
        "abnormal-videos": abnormal_videos,
        "validation-fraction": validation_fraction,
    }
    if mode not in MODES:
        raise InputError(f"unknown mode {mode!r}; available: {', '.join(MODES)}")
    given = [name for name, value in mixed_only.items() if value is not None]
    if mode == "source" and given:
        raise InputError(f"{given[0]} is for mode mixed only; mode source follows the sources")
    check_new_folder(target)
    manifests = _manifests(manifest, test_manifest)
    with FeaturePack.open(Path(pack)) as source:
        clips = {side: _clips(side, part, source) for side, part in manifests.items()}
        plans: dict[str, SidePlan] = {}
        for side in manifests:
            if mode == "source":
                plans[side] = plan_source(side, clips[side], seed=seed)
                continue
            # Abnormal clips of this side per abnormal training clip.
            share = len(manifests[side].abnormal) / max(1, len(manifests["train"].abnormal))
            normal, abnormal = (
                None if number is None else max(min(number, 1), round(number * share))
                for number in (normal_videos, abnormal_videos)
            )
            fraction = VALIDATION_FRACTION if validation_fraction is None else validation_fraction
            plans[side] = plan_mixed(
                side,
                clips[side],
                seed=seed,
                clips_per_video=clips_per_video or CLIPS_PER_VIDEO,
                normal_videos=normal,
                abnormal_videos=abnormal,
                validation_fraction=fraction if side == "train" else 0.0,
            )
        joined = {v.id: [c.id for c in v.clips] for plan in plans.values() for v in plan.videos}
        name = f"{manifests['train'].dataset}-{mode}"

        def videos() -> Iterator[tuple[str, VideoFeatures]]:
            for done, item in enumerate(join_pack(source, joined), start=1):
                yield item
                progress(ProgressEvent("compose", done, len(joined), "videos", item[0]))

        composed = target / PACK_FILE
        write_pack(composed, source.recipe, videos(), dataset=name, license=source.license)
        step = source.recipe.step
        inputs = {
            "pack_content_sha256": source.content_sha256,
            "recipe_sha256": source.recipe_sha256,
            **{f"{side}_manifest_sha256": part.sha256 for side, part in manifests.items()},
        }
    entries = {side: tuple(v.entry(step) for v in plan.videos) for side, plan in plans.items()}
    path = manifests["train"].path
    info = DatasetInfo(name=name) if path is None else info_beside(path)
    notes = f"Videos composed from trimmed clips: mode {mode}, seed {seed}; see {COMPOSE_FILE}."
    info = info.model_copy(update={"name": name, "notes": f"{notes} {info.notes}".strip()})
    written = write_dataset(BuiltDataset(info, entries["train"], entries.get("test", ())), target)
    counts = {side: _counts(plan.videos, step) for side, plan in plans.items()}
    warned = tuple(chain.from_iterable(plan.notes for plan in plans.values()))
    with FeaturePack.open(composed) as new:
        outputs = {
            "pack_content_sha256": new.content_sha256,
            **{f"{s}_manifest_sha256": Manifest(e, name).sha256 for s, e in entries.items()},
        }
    record = {
        "version": __version__,
        "parameters": {"mode": mode, "seed": seed, **mixed_only},
        "inputs": inputs,
        "outputs": outputs,
        "counts": counts,
        "notes": list(warned),
        "videos": joined,
    }
    write_json(target / COMPOSE_FILE, record)
    return ComposeResult(composed, written["train"], written.get("test"), counts, warned)


def join_pack(
    pack: FeaturePack, plan: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, VideoFeatures]]:
    """Yield videos for `write_pack`: the features of their clips, joined along N in order.

    Each clip's last snippet is completed by the recipe's tail rule and counts as a whole snippet. A
    joined video therefore covers step * snippets frames, and ground truth made from the clips'
    snippets is exact.

    `fps`, width and height are those of the first clip; under a recipe that resamples, `fps` is the
    recipe's frame rate. `source_sha256` covers the ids and source digests of the clips. Digests of
    the features are verified.

    Args:
        pack: Features of the clips.
        plan: Ids of clips by id of the joined video. A clip may be used several times.

    Raises:
        InputError: If the recipe's snippets overlap, its tail rule is `drop-next`, or a video of
            the plan has no clips.
        PackError: If the pack does not have a clip.
        PackCorrupt: If a clip is damaged.
    """
    recipe = pack.recipe
    if recipe.step != recipe.snippet_frames:
        raise InputError(
            f"{pack.path} has snippets of {recipe.snippet_frames} frames every {recipe.step}; only "
            "snippets that do not overlap can be joined"
        )
    if isinstance(recipe, Recipe) and recipe.tail == "drop-next":
        raise InputError(
            f"{pack.path} has the tail rule drop-next, by which a joined video would have one "
            "snippet less than its parts; extract the clips with tail loop or drop"
        )
    rate = recipe.frame_rate if isinstance(recipe, Recipe) else None
    for id, clips in plan.items():
        if not clips:
            raise InputError(f"video {id!r} of the plan has no clips")
        parts = [pack.video(clip) for clip in clips]
        first = parts[0]
        streams = {
            name: np.concatenate([part.streams[name] for part in parts]) for name in first.streams
        }
        frames = recipe.step * len(next(iter(streams.values())))
        sources = [[clip, part.meta.source_sha256] for clip, part in zip(clips, parts, strict=True)]
        meta = replace(
            first.meta,
            frames=frames,
            frames_reported=frames,
            frames_duplicated=0,
            fps=first.meta.fps if rate is None else rate,
            source_sha256=sha256_text(canonical_json(sources)),
            decoder="joined",
            decoder_version=__version__,
            clips=tuple(clips),
        )
        yield id, VideoFeatures(meta, streams)


def _manifests(
    manifest: AnyPath | Manifest, test_manifest: AnyPath | Manifest | None
) -> dict[str, Manifest]:
    if test_manifest is None and isinstance(manifest, str) and manifest in DATASETS:
        dataset = load_dataset(manifest)
        manifests = {"train": dataset.train, "test": dataset.test}
    else:
        manifests = {"train": find_manifest(manifest, "train")}
        if test_manifest is not None:
            manifests["test"] = find_manifest(test_manifest, "test")
    if "test" in manifests:
        check_sides(manifests["train"], manifests["test"])
    return manifests


def _clips(side: str, manifest: Manifest, pack: FeaturePack) -> list[Clip]:
    """Return the manifest's videos as clips; they must fit the pack and be trimmed."""
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
                    "are abnormal; in a clip all must be"
                )
    return [Clip(entry, pack.shape(entry.id)[0]) for entry in manifest]


def _counts(videos: Sequence[ComposedVideo], step: int) -> dict[str, int]:
    abnormal = [video for video in videos if video.label == 1]
    return {
        "normal": len(videos) - len(abnormal),
        "abnormal": len(abnormal),
        "frames": sum(video.snippets for video in videos) * step,
        "abnormal_frames": sum(b - a for video in abnormal for a, b in video.events(step)),
    }
