"""Shipped datasets: CCTV fights."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from vad_toolkit.datasets.building.binding import Binding, bind
from vad_toolkit.datasets.building.build import write_dataset
from vad_toolkit.datasets.manifest import UNLISTED
from vad_toolkit.datasets.registry import load_dataset
from vad_toolkit.datasets.source_split import (
    NAME,
    SPLIT_SEED,
    TEST_FRACTION,
    check_sides,
    split_by_source,
)
from vad_toolkit.errors import ManifestError


def test_an_unknown_dataset() -> None:
    with pytest.raises(
        ManifestError, match=r"no dataset 'nothing' is shipped; there are .*cctv-fights"
    ):
        load_dataset("nothing")


def test_the_cctv_split_is_what_its_rule_gives() -> None:
    dataset = load_dataset(NAME)
    check_sides(dataset.train, dataset.test)
    entries = [entry.model_copy(update={"events": None}) for entry in dataset]
    train, test = split_by_source(entries, TEST_FRACTION, SPLIT_SEED)
    assert {e.id for e in train} == set(dataset.train.by_id)
    assert {e.id for e in test} == set(dataset.test.by_id)
    assert Counter(e.label for e in dataset.train) == {1: 46, 0: 54}
    assert Counter(e.label for e in dataset.test) == {1: 29, 0: 20}
    assert sum(e.source == UNLISTED for e in dataset.train) == 28
    assert dataset.info.license == "MIT"


def test_the_cctv_events_are_whole_clips_in_test_only() -> None:
    dataset = load_dataset(NAME)
    assert all(e.events is None for e in dataset.train)
    assert all(e.events == ((0, e.frames),) for e in dataset.test.abnormal)
    assert all(e.events is None for e in dataset.test.normal)


def test_the_shipped_files_are_as_the_code_writes_them(tmp_path: Path) -> None:
    dataset = load_dataset(NAME)
    built = Binding(dataset, tuple(dataset)).build()
    import vad_manifests

    for path in write_dataset(built, tmp_path / NAME):
        shipped = Path(vad_manifests.__path__[0]) / NAME / path.name
        assert path.read_bytes() == shipped.read_bytes()


def test_the_real_clips_are_as_published(reference: Path) -> None:
    binding = bind(load_dataset(NAME), reference / "cctv_fights")
    assert binding.lines() == []
    with (reference / "cctv_fights" / "clips.tsv").open() as file:
        facts = {f"{r['label']}/{r['clip']}": r for r in csv.DictReader(file, delimiter="\t")}
    entries = {entry.id: entry for entry in binding.found}
    assert set(entries) == set(facts)
    for id, row in facts.items():
        assert entries[id].source == row["source"]
        assert entries[id].label == int(row["label"] == "fight")
