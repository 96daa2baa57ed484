"""Composing on packs: features, manifests and records agree, clip by clip."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.compose.compose import compose_videos
from vad_toolkit.core.progress import ProgressEvent
from vad_toolkit.datasets.building.build import BuiltDataset, write_dataset
from vad_toolkit.datasets.dataset_info import DatasetInfo, read_dataset_info
from vad_toolkit.datasets.manifest import Entry, read_manifest, write_manifest
from vad_toolkit.datasets.registry import load_dataset
from vad_toolkit.datasets.truth.rules import frame_labels
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.fit import pack_problems
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe, load_recipe

RECIPE = load_recipe("i3d-rgb-center")
STEP = RECIPE.step
MakeClips = Callable[..., Path]


def features(frames: int, value: float, recipe: Recipe) -> VideoFeatures:
    meta = VideoMeta(frames, frames, 0, 25.0, 64, 48, "0" * 64, "pyav", "1")
    snippets = recipe.snippet_count(frames)
    return VideoFeatures(meta, {"rgb": np.full((snippets, 1, 4), value, np.float16)})


def clip_entries(side: str, normal: int, abnormal: int) -> tuple[Entry, ...]:
    """Clips of both labels, four to a source, of 20 to 50 frames."""
    entries = []
    for label, count in ((0, normal), (1, abnormal)):
        for i in range(count):
            fields = {
                "id": f"{'ab' if label else 'no'}/{side}{i}",
                "path": f"{side}{i}.mp4",
                "label": label,
                "classes": ("fall",) if label else (),
                "frames": 20 + 10 * (i % 4),
                "source": f"{side}-video-{i // 4}",
            }
            if label and side == "test":
                fields["events"] = ((0, fields["frames"]),)
            entries.append(Entry.model_validate(fields))
    return tuple(entries)


@pytest.fixture
def make_clips(tmp_path: Path) -> MakeClips:
    """Write clips.h5 and the manifests of a collection; abnormal clips hold 1, normal ones 0."""

    def make(recipe: Recipe = RECIPE) -> Path:
        train, test = clip_entries("train", 24, 12), clip_entries("test", 12, 6)
        info = DatasetInfo(name="clips", license="MIT", notes="Made by code.")
        write_dataset(BuiltDataset(info, train, test), tmp_path)
        write_pack(
            tmp_path / "clips.h5",
            recipe,
            ((e.id, features(e.frames or 0, e.label, recipe)) for e in (*train, *test)),
            dataset="clips",
            license="MIT",
        )
        return tmp_path

    return make


@pytest.mark.parametrize("mode", ["mixed", "source"])
def test_pack_manifest_and_record_agree(make_clips: MakeClips, mode: str) -> None:
    root = make_clips()
    events: list[ProgressEvent] = []
    result = compose_videos(
        root / "clips.h5",
        root / "train.jsonl",
        root / "out",
        test_manifest=root / "test.jsonl",
        mode="mixed" if mode == "mixed" else "source",
        progress=events.append,
    )
    assert result.test is not None
    train, test = read_manifest(result.train), read_manifest(result.test)
    record = json.loads((root / "out" / "compose.json").read_text())
    used: dict[str, set[str]] = {"train": set(), "test": set()}
    with FeaturePack.open(result.pack) as pack:
        assert pack.verify() == []
        assert set(pack.ids) == {entry.id for entry in (*train, *test)} == set(record["videos"])
        assert record["outputs"]["pack_content_sha256"] == pack.content_sha256
        assert (pack.dataset, pack.license) == (f"clips-{mode}", "MIT")
        for manifest in (train, test):
            assert pack_problems(manifest, pack) == []
        for entry in (*train, *test):
            # Abnormal clips hold 1 and normal ones 0, so the features are the ground truth.
            snippets = pack.features(entry.id)[:, 0, 0].astype(np.uint8)
            labels = frame_labels(entry, pack.meta(entry.id).frames)
            assert labels.tolist() == np.repeat(snippets, STEP).tolist()
            assert list(pack.meta(entry.id).clips) == record["videos"][entry.id]
            used[entry.id.split("/")[0]].update(record["videos"][entry.id])
    assert all("/train" in clip for clip in used["train"])
    assert all("/test" in clip for clip in used["test"])
    assert record["outputs"]["train_manifest_sha256"] == train.sha256
    assert record["inputs"]["test_manifest_sha256"] == read_manifest(root / "test.jsonl").sha256
    assert result.videos["train"] == record["counts"]["train"]
    assert result.videos["test"]["abnormal"] == len(test.abnormal)
    assert (events[-1].done, events[-1].total) == (len(pack.ids), len(pack.ids))
    info = read_dataset_info(root / "out" / "dataset.toml")
    assert (info.name, info.license) == (f"clips-{mode}", "MIT")
    assert info.notes == (
        f"Videos composed from trimmed clips: mode {mode}, seed 0; see compose.json. Made by code."
    )


def test_a_seed_gives_the_same_files(make_clips: MakeClips) -> None:
    root = make_clips()
    for out, seed in (("a", 3), ("b", 3), ("c", 4)):
        compose_videos(
            root / "clips.h5",
            root / "train.jsonl",
            root / out,
            test_manifest=root / "test.jsonl",
            seed=seed,
        )
    for name in ("train.jsonl", "test.jsonl", "compose.json", "dataset.toml"):
        a, b, c = ((root / out / name).read_bytes() for out in "abc")
        assert a == b != c


def test_train_alone(make_clips: MakeClips) -> None:
    root = make_clips()
    result = compose_videos(root / "clips.h5", root / "train.jsonl", root / "out")
    assert result.test is None
    assert set(result.videos) == {"train"}
    assert sorted(path.name for path in (root / "out").iterdir()) == [
        "compose.json",
        "dataset.toml",
        "pack.h5",
        "train.jsonl",
    ]


def test_numbers_are_for_training_and_test_follows(make_clips: MakeClips) -> None:
    root = make_clips()
    result = compose_videos(
        root / "clips.h5",
        root / "train.jsonl",
        root / "out",
        test_manifest=root / "test.jsonl",
        normal_videos=20,
        abnormal_videos=8,
        clips_per_video=(3, 4),
        validation_fraction=0.0,
    )
    assert [(v["normal"], v["abnormal"]) for v in result.videos.values()] == [(20, 8), (10, 4)]
    record = json.loads((root / "out" / "compose.json").read_text())
    assert {len(clips) for clips in record["videos"].values()} == {3, 4}
    assert {entry.source for entry in read_manifest(result.train)} == {"train-1"}
    assert record["parameters"] == {
        "mode": "mixed",
        "seed": 0,
        "clips": [3, 4],
        "normal-videos": 20,
        "abnormal-videos": 8,
        "validation-fraction": 0.0,
    }


def test_validation_videos_share_no_clip_with_training(make_clips: MakeClips) -> None:
    root = make_clips()
    result = compose_videos(root / "clips.h5", root / "train.jsonl", root / "out")
    record = json.loads((root / "out" / "compose.json").read_text())
    parts: dict[str | None, set[str]] = {}
    for entry in read_manifest(result.train):
        parts.setdefault(entry.source, set()).update(record["videos"][entry.id])
    assert set(parts) == {"train-1", "train-2"}
    assert not parts["train-1"] & parts["train-2"]


def test_nothing_is_overwritten(make_clips: MakeClips) -> None:
    root = make_clips()
    with pytest.raises(InputError, match="already exists and is not an empty folder; choose"):
        compose_videos(root / "clips.h5", root / "train.jsonl", root)
    with pytest.raises(InputError, match=r"clips.h5 already exists"):
        compose_videos(root / "clips.h5", root / "train.jsonl", root / "clips.h5")


def test_options_of_the_other_mode(make_clips: MakeClips) -> None:
    root = make_clips()
    arguments = (root / "clips.h5", root / "train.jsonl", root / "out")
    with pytest.raises(InputError, match="clips is for mode mixed only; mode source follows"):
        compose_videos(*arguments, mode="source", clips_per_video=(3, 4))
    with pytest.raises(InputError, match="unknown mode 'other'; available: mixed, source"):
        compose_videos(*arguments, mode="other")  # type: ignore[arg-type]
    assert not (root / "out").exists()


def test_manifests_that_do_not_fit(make_clips: MakeClips) -> None:
    root = make_clips()
    train = read_manifest(root / "train.jsonl").entries
    longer = train[0].model_copy(update={"frames": 999})
    absent = train[1].model_copy(update={"id": "absent"})
    write_manifest(root / "wrong" / "train.jsonl", (longer, absent, *train[2:]))
    with pytest.raises(
        ManifestError, match=r"train: video 'no/train0': 999 frames .*\(1 more; see"
    ):
        compose_videos(root / "clips.h5", root / "wrong" / "train.jsonl", root / "out")
    with pytest.raises(ManifestError, match="video 'no/train0' is in both train and test"):
        compose_videos(
            root / "clips.h5",
            root / "train.jsonl",
            root / "out",
            test_manifest=root / "train.jsonl",
        )
    assert not (root / "out").exists()


def test_clips_have_to_be_trimmed(make_clips: MakeClips) -> None:
    root = make_clips()
    *rest, last = read_manifest(root / "test.jsonl").entries
    cut = last.model_copy(update={"events": ((1, 90),)})
    write_manifest(root / "wrong" / "test.jsonl", (*rest, cut))
    with pytest.raises(
        ManifestError, match=r"test: video 'ab/test5' is not trimmed: 29 of its 30 frames are"
    ):
        compose_videos(
            root / "clips.h5",
            root / "train.jsonl",
            root / "out",
            test_manifest=root / "wrong" / "test.jsonl",
        )


def test_overlapping_snippets_cannot_be_joined(make_clips: MakeClips) -> None:
    root = make_clips(load_recipe("i3d-rgb-center", {"step": 8}))
    with pytest.raises(InputError, match="only snippets that do not overlap can be joined"):
        compose_videos(root / "clips.h5", root / "train.jsonl", root / "out")
    assert not (root / "out" / "pack.h5").exists()


def test_real_features_compose(reference: Path, tmp_path: Path) -> None:
    dataset = load_dataset("cctv-fights")
    folder = reference / "features" / "cctv_fights_i3d_rgb"

    def videos() -> list[tuple[str, VideoFeatures]]:
        found = []
        for entry in dataset:
            array = np.load(folder / f"{entry.id.split('/')[1]}.npy", allow_pickle=False)
            meta = VideoMeta(
                entry.frames or 0, entry.frames or 0, 0, 25.0, 64, 48, "0" * 64, "decord", "0.6.0"
            )
            found.append((entry.id, VideoFeatures(meta, {"rgb": array[:, 4:5, :32]})))
        return found

    write_pack(tmp_path / "cctv.h5", RECIPE, videos(), dataset="cctv-fights")
    write_dataset(
        BuiltDataset(dataset.info, dataset.train.entries, dataset.test.entries), tmp_path / "m"
    )
    result = compose_videos(
        tmp_path / "cctv.h5",
        tmp_path / "m" / "train.jsonl",
        tmp_path / "out",
        test_manifest=tmp_path / "m" / "test.jsonl",
    )
    assert {k: (v["normal"], v["abnormal"]) for k, v in result.videos.items()} == {
        "train": (46, 46),
        "test": (29, 29),
    }
    named = compose_videos(tmp_path / "cctv.h5", "cctv-fights", tmp_path / "named")
    assert named.videos == result.videos
    assert Path(named) == tmp_path / "named" / "pack.h5"
