"""The benchmark of a whole training run, on its four shortest videos."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from train_full import choose, covered, measure, write_features

from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.training.load_config import load_config


def test_a_run_and_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAD_HOME", str(tmp_path))  # put back what the benchmark sets
    entries = choose(4)
    assert sorted(entry.label for entry in entries) == [0, 0, 1, 1]
    pack, manifest = write_features(tmp_path, entries)
    with FeaturePack.open(pack) as opened:
        frames = {id: opened.meta(id).frames for id in opened.ids}
        assert frames == {entry.id: entry.frames for entry in entries}
        assert opened.verify() == []
    quick = {"steps": 20, "pairs": 1, "head.hidden": [4, 2], "tensorboard": False}
    cpu = torch.device("cpu")
    rows = measure(pack, manifest, load_config("sultani", quick), cpu, 1)
    assert list(rows) == ["run"]
    assert 0 < rows["run"]["seconds_reading"] < rows["run"]["seconds"]
    assert rows["run"]["seconds_a_step"] > 0
    assert {path.name for path in tmp_path.iterdir()} == {pack.name, manifest.name}


def test_a_pack_that_is_there_is_used_again(tmp_path: Path) -> None:
    pack, _ = write_features(tmp_path, choose(2))
    before = pack.stat().st_mtime_ns
    assert write_features(tmp_path, choose(2))[0].stat().st_mtime_ns == before


def test_all_videos_are_the_manifests() -> None:
    entries = choose(1610)
    assert (len(entries), sum(entry.label for entry in entries)) == (1610, 810)


def test_overlapping_intervals_count_once() -> None:
    assert covered([]) == 0
    assert covered([(5, 9), (0, 2), (1, 3), (6, 7)]) == 3 + 4
