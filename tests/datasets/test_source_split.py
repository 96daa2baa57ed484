"""Splits by source."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad_toolkit.datasets.manifest import UNLISTED, Entry
from vad_toolkit.datasets.source_split import check_sides, group_key, split_by_source
from vad_toolkit.errors import InputError, ManifestError

MakeEntry = Callable[..., Entry]


@st.composite
def collections(draw: st.DrawFn) -> list[Entry]:
    """Entries of both labels; some share a source, some have none."""
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from((0, 1)), st.sampled_from((None, "p", "q", "r", UNLISTED))),
            min_size=1,
            max_size=30,
        )
    )
    return [
        Entry(id=f"v{i}", path=f"v{i}.mp4", label=1 if label else 0, source=source)
        for i, (label, source) in enumerate(rows)
    ]


@given(collections(), st.floats(0, 0.99), st.integers(0, 5))
def test_no_source_is_divided(entries: list[Entry], fraction: float, seed: int) -> None:
    try:
        large, small = split_by_source(entries, fraction, seed)
    except ManifestError:
        return
    assert sorted((*large, *small), key=entries.index) == entries
    assert not {group_key(e) for e in large} & {group_key(e) for e in small}
    assert UNLISTED not in {e.source for e in small}
    if fraction:
        labels = {e.label for e in entries}
        assert {e.label for e in large} == labels == {e.label for e in small}
    else:
        assert not small


@given(collections(), st.integers(0, 5), st.randoms(use_true_random=False))
def test_order_does_not_matter(entries: list[Entry], seed: int, rng: random.Random) -> None:
    mixed = entries.copy()
    rng.shuffle(mixed)
    try:
        _, small = split_by_source(entries, 0.3, seed)
    except ManifestError:
        with pytest.raises(ManifestError):
            split_by_source(mixed, 0.3, seed)
        return
    assert set(split_by_source(mixed, 0.3, seed)[1]) == set(small)


def test_both_labels_reach_the_fraction(make_entry: MakeEntry) -> None:
    entries = [make_entry(f"v{i}", int(i < 40)) for i in range(100)]
    for seed in range(3):
        _, small = split_by_source(entries, 0.3, seed)
        assert Counter(entry.label for entry in small) == {1: 12, 0: 18}
    assert split_by_source(entries, 0.3, 0) != split_by_source(entries, 0.3, 1)


def test_two_videos_of_a_label_are_enough(make_entry: MakeEntry) -> None:
    entries = [make_entry(f"v{i}", i % 2) for i in range(4)]
    for fraction in (0.05, 0.95):
        large, small = split_by_source(entries, fraction)
        assert len(large) == len(small) == 2


def test_what_cannot_be_split(make_entry: MakeEntry) -> None:
    lone = [make_entry("a", 1), make_entry("b", 0), make_entry("c", 0)]
    with pytest.raises(ManifestError, match="1 videos with label 1 from 1 sources cannot be split"):
        split_by_source(lone, 0.3)
    tied = [make_entry(f"v{i}", i % 2, source="one") for i in range(8)]
    with pytest.raises(ManifestError, match="4 videos with label 0 from 1 sources cannot"):
        split_by_source(tied, 0.3)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_fraction_that_is_none(make_entry: MakeEntry, fraction: float) -> None:
    with pytest.raises(InputError, match="must be at least 0 and below 1"):
        split_by_source([make_entry("a")], fraction)


def test_sides_share_nothing(make_entry: MakeEntry) -> None:
    check_sides([make_entry("a", source="s"), make_entry("b")], [make_entry("c", source="t")])
    with pytest.raises(ManifestError, match="video 'a' is in both train and test"):
        check_sides([make_entry("a")], [make_entry("a")])
    with pytest.raises(ManifestError, match=r"source 's' is in both train and test \(video 'b'\)"):
        check_sides([make_entry("a", source="s")], [make_entry("b", source="s")])
