"""The choice of clips for composed videos: invariants, on small and on the real collections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vad_toolkit.compose.compose_plan import Clip, ComposedVideo, SidePlan, plan_mixed, plan_source
from vad_toolkit.datasets.manifest import UNLISTED, Entry
from vad_toolkit.datasets.registry import load_dataset
from vad_toolkit.datasets.source_split import group_key
from vad_toolkit.datasets.truth.rules import frame_labels
from vad_toolkit.errors import InputError, ManifestError


def clip(id: str, label: int, snippets: int = 1, source: str | None = None) -> Clip:
    classes = (f"class-{id[-1]}",) if label else ()
    return Clip(
        Entry(id=id, path=id, label=1 if label else 0, classes=classes, source=source), snippets
    )


def collection(normal: int, abnormal: int, per_source: int = 0) -> list[Clip]:
    def source(i: int) -> str | None:
        return f"s{i // per_source}" if per_source else None

    return [
        *(clip(f"n{i}", 0, 1 + i % 3, source(i)) for i in range(normal)),
        *(clip(f"a{i}", 1, 1 + i % 4, source(i)) for i in range(abnormal)),
    ]


@st.composite
def collections(draw: st.DrawFn) -> list[Clip]:
    """Clips of both labels; sources are shared, unlisted or not given."""
    sources = st.sampled_from((None, UNLISTED, "p", "q", "r", "s", "t"))
    rows = draw(
        st.lists(st.tuples(st.integers(0, 1), st.integers(1, 5), sources), min_size=4, max_size=40)
    )
    return [clip(f"c{i}", *row) for i, row in enumerate(rows)]


options = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 3),
        "clips_per_video": st.sampled_from(((5, 9), (2, 2), (3, 6))),
        "normal_videos": st.none() | st.integers(1, 12),
        "abnormal_videos": st.none() | st.integers(1, 12),
        "validation_fraction": st.sampled_from((0.0, 0.2, 0.5)),
    }
)


def mixed_or_none(clips: Sequence[Clip], given: dict[str, Any]) -> SidePlan | None:
    """Return a plan, or None if there are too few clips, which must be an error."""
    try:
        return plan_mixed("train", clips, **given)
    except ManifestError:
        assert sum(not c.abnormal for c in clips) < 3 or not any(c.abnormal for c in clips)
        return None


def check_videos(plan: SidePlan) -> None:
    """Check the invariants of both modes."""
    assert len({video.id for video in plan.videos}) == len(plan.videos)
    pools: dict[int, set[str]] = {0: set(), 1: set()}
    for video in plan.videos:
        ids = [c.id for c in video.clips]
        abnormal = sum(c.abnormal for c in video.clips)
        assert len(set(ids)) == len(ids) >= 1
        assert abnormal == 0 if "/normal-" in video.id else 1 <= abnormal <= 3
        assert video.label == int(abnormal > 0)
        assert abnormal < len(ids)  # among normal ones
        pools[video.label].update(c.id for c in video.clips if not c.abnormal)
    assert not pools[0] & pools[1]
    assert {video.label for video in plan.videos} == {0, 1}


def check_labels(video: ComposedVideo, step: int) -> None:
    """The manifest's line labels every frame as the clip that it comes from."""
    expected = [int(c.abnormal) for c in video.clips for _ in range(c.snippets * step)]
    entry = video.entry(step)
    assert entry.frames == len(expected) == video.snippets * step
    assert frame_labels(entry, len(expected)).tolist() == expected
    for (_, stop), (start, _) in zip(entry.events or (), (entry.events or ())[1:], strict=False):
        assert stop < start  # events that touch are one


@settings(deadline=None)
@given(collections(), options)
def test_invariants_of_mode_mixed(clips: list[Clip], given: dict[str, Any]) -> None:
    plan = mixed_or_none(clips, given)
    if plan is None:
        return
    check_videos(plan)
    assert plan == plan_mixed("train", clips, **given)
    counts = Counter(video.label for video in plan.videos)
    abnormal_clips = sum(c.abnormal for c in clips)
    assert counts[0] == (given["normal_videos"] or abnormal_clips)
    assert counts[1] == (given["abnormal_videos"] or abnormal_clips)
    for video in plan.videos:
        assert len(video.clips) <= given["clips_per_video"][1]
        check_labels(video, 16)


@settings(deadline=None)
@given(collections(), options)
def test_mixed_uses_clips_about_equally_often(clips: list[Clip], given: dict[str, Any]) -> None:
    plan = mixed_or_none(clips, given)
    if plan is None:
        return
    uses = Counter(c.id for video in plan.videos for c in video.clips)
    by_part: dict[tuple[str, int, bool], list[int]] = {}
    for video in plan.videos:
        for c in video.clips:
            by_part.setdefault((video.source, video.label, c.abnormal), []).append(uses[c.id])
    assert all(max(counts) - min(counts) <= 1 for counts in by_part.values())
    said_unused = any("are not used" in note for note in plan.notes)
    assert (len(uses) == len(clips)) is not said_unused


@settings(deadline=None)
@given(collections(), options)
def test_parts_of_mixed_share_neither_clips_nor_sources(
    clips: list[Clip], given: dict[str, Any]
) -> None:
    plan = mixed_or_none(clips, given)
    if plan is None:
        return
    parts: dict[str, set[str]] = {}
    for video in plan.videos:
        parts.setdefault(video.source, set()).update(group_key(c.entry) for c in video.clips)
    assert set(parts) in ({"train-1"}, {"train-1", "train-2"})
    assert len(parts) == 1 or not parts["train-1"] & parts["train-2"]
    said = any("validation videos would share clips" in note for note in plan.notes)
    assert said is (len(parts) == 1 and given["validation_fraction"] > 0)


@settings(deadline=None)
@given(collections(), st.integers(0, 3))
def test_invariants_of_mode_source(clips: list[Clip], seed: int) -> None:
    try:
        plan = plan_source("test", clips, seed=seed)
    except ManifestError as error:
        assert "one of each is needed" in str(error)  # noqa: PT017
        return
    check_videos(plan)
    assert plan == plan_source("test", clips, seed=seed)
    place = {c.id: i for i, c in enumerate(clips)}
    for video in plan.videos:
        assert {c.entry.source for c in video.clips} == {video.source}
        assert video.source != UNLISTED
        for abnormal in (False, True):
            places = [place[c.id] for c in video.clips if c.abnormal is abnormal]
            assert places == sorted(places)
        assert len(video.entry(16).events or ()) == video.label
        check_labels(video, 16)
    with_normal = {c.entry.source for c in clips if not c.abnormal} - {None, UNLISTED}
    used = {c.id for video in plan.videos for c in video.clips}
    assert used == {c.id for c in clips if c.entry.source in with_normal}


def test_another_seed_composes_other_videos() -> None:
    clips = collection(20, 10, per_source=4)
    assert plan_mixed("train", clips, seed=0) != plan_mixed("train", clips, seed=1)
    assert plan_source("train", clips, seed=0) != plan_source("train", clips, seed=1)


def test_sizes_are_kept_where_clips_are_enough() -> None:
    plan = plan_mixed("train", collection(40, 20), clips_per_video=(4, 6), normal_videos=30)
    sizes = Counter(len(video.clips) for video in plan.videos)
    assert set(sizes) == {4, 5, 6}
    assert plan.notes == ()


def test_few_normal_clips_make_shorter_videos() -> None:
    plan = plan_mixed("test", collection(8, 6))
    assert plan.notes == ("test-1: 8 normal clips in two pools make videos of 2 to 3 clips",)
    assert {len(video.clips) for video in plan.videos} == {2, 3}


def test_clips_that_few_videos_cannot_use_are_counted() -> None:
    plan = plan_mixed("train", collection(40, 20), normal_videos=1, abnormal_videos=2)
    assert Counter(video.label for video in plan.videos) == {0: 1, 1: 2}
    (note,) = plan.notes
    assert note.endswith("of 60 clips are not used: there are too few videos")


def test_few_videos_grow_until_every_clip_is_used() -> None:
    plan = plan_mixed("train", collection(40, 30), normal_videos=3, abnormal_videos=10)
    assert plan.notes == ()
    assert [sum(c.abnormal for c in video.clips) for video in plan.videos[3:]] == [3] * 10
    assert len({c.id for video in plan.videos for c in video.clips}) == 70


def test_numbers_are_those_asked_for_over_both_parts() -> None:
    clips = collection(40, 20, per_source=2)
    plan = plan_mixed("train", clips, normal_videos=7, abnormal_videos=11, validation_fraction=0.2)
    assert Counter(video.label for video in plan.videos) == {0: 7, 1: 11}
    assert {video.source for video in plan.videos} == {"train-1", "train-2"}
    assert [v.id for v in plan.videos if v.label == 0] == [
        f"train/normal-{i:04d}" for i in range(1, 8)
    ]


def test_a_composed_entry_has_the_classes_of_its_abnormal_clips() -> None:
    video = ComposedVideo(
        "train/abnormal-0001",
        (clip("n1", 0, 2), clip("a2", 1, 1), clip("a1", 1, 3), clip("n3", 0, 1), clip("a3", 1, 1)),
        "train-1",
    )
    entry = video.entry(16)
    assert entry.events == ((32, 96), (112, 128))
    assert (entry.classes, entry.source, entry.frames) == (
        ("class-1", "class-2", "class-3"),
        "train-1",
        128,
    )


@pytest.mark.parametrize("bounds", [(1, 4), (5, 4), (0, 0)])
def test_a_range_that_is_none(bounds: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"must be MIN-MAX with 2 <= MIN <= MAX, got"):
        plan_mixed("train", collection(9, 9), clips_per_video=bounds)


def test_numbers_that_are_none() -> None:
    with pytest.raises(InputError, match="normal videos must be >= 1, got 0"):
        plan_mixed("train", collection(9, 9), normal_videos=0)
    with pytest.raises(InputError, match="abnormal videos must be >= 1, got -1"):
        plan_mixed("train", collection(9, 9), abnormal_videos=-1)
    with pytest.raises(InputError, match=r"fraction must be at least 0 and below 1, got 1.0"):
        plan_mixed("train", collection(9, 9), validation_fraction=1.0)


@pytest.mark.parametrize(("normal", "abnormal"), [(2, 5), (5, 0), (0, 0)])
def test_too_few_clips(normal: int, abnormal: int) -> None:
    with pytest.raises(ManifestError, match=f"test: {normal} normal and {abnormal} abnormal clips"):
        plan_mixed("test", collection(normal, abnormal))


def test_sources_that_give_too_little() -> None:
    with pytest.raises(ManifestError, match="test: 0 known sources give 0 normal and 0 abnormal"):
        plan_source("test", collection(9, 9))
    lone = [clip("n", 0, source="s"), clip("a", 1, source="s")]
    with pytest.raises(ManifestError, match="1 known sources give 0 normal and 1 abnormal videos"):
        plan_source("test", lone)


def test_notes_name_unused_clips_of_mode_source() -> None:
    clips = [
        *(clip(f"n{i}", 0, source="s") for i in range(4)),
        *(clip(f"a{i}", 1, source="s") for i in range(7)),
        clip("x", 1, source="t"),
        clip("y", 0, source=UNLISTED),
        clip("z", 0),
    ]
    plan = plan_source("train", clips)
    assert plan.notes == (
        "train: 2 clips of unknown source are not used",
        "train: 1 abnormal clips are not used: their source has no normal clip",
    )
    counts = [sum(c.abnormal for c in video.clips) for video in plan.videos]
    assert counts == [0, 2, 2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_the_real_collection_gives_a_training_set(seed: int) -> None:
    dataset = load_dataset("cctv-fights")
    clips = [Clip(entry, -(-(entry.frames or 0) // 16)) for entry in dataset.train]
    plan = plan_mixed("train", clips, seed=seed, validation_fraction=0.2)
    check_videos(plan)
    assert 60 <= len(plan.videos) <= 120
    assert {video.source for video in plan.videos} == {"train-1", "train-2"}
    assert {c.id for video in plan.videos for c in video.clips} == set(dataset.train.by_id)
