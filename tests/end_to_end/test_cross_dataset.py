"""Trained on one dataset, tested on another whose features are of the same recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.datasets.manifest import Entry, read_manifest, write_manifest
from vad_toolkit.errors import PackError
from vad_toolkit.evaluation.evaluate import evaluate
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.train import train

QUICK = {"steps": 2, "tensorboard": False, "data.segments": 4, "head.hidden": [8, 4]}


def write(folder: Path, classes: tuple[str, ...], snippets: int, resize: int = 256) -> Path:
    """pack.h5 and videos.jsonl: three normal videos, and two of each class."""
    recipe = load_recipe("i3d-rgb-center", {"resize": resize})
    generator = np.random.default_rng(len(classes))
    frames = snippets * recipe.step
    meta = VideoMeta(frames, frames, 0, 25.0, 64, 64, "0" * 64, "made by a test", "1")
    entries = [Entry(id=f"normal/{i}", path=f"normal/{i}", label=0) for i in range(3)]
    for name in classes:
        for i in range(2):
            id = f"{name}/{i}"
            entries.append(Entry(id=id, path=id, label=1, classes=(name,), events=((0, 16),)))
    videos = [
        (
            entry.id,
            VideoFeatures(
                meta, {"rgb": generator.standard_normal((snippets, 1, 4)).astype(np.float16)}
            ),
        )
        for entry in entries
    ]
    folder.mkdir()
    write_pack(folder / "pack.h5", recipe, videos, dataset=folder.name)
    write_manifest(folder / "videos.jsonl", entries)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A head trained on `town`."""
    town = write(tmp_path / "town", ("fight", "fire"), snippets=6)
    config = load_config("sultani", QUICK)
    train(town / "pack.h5", town / "videos.jsonl", tmp_path / "run", config=config, device="cpu")
    return tmp_path / "run"


def test_another_dataset_with_classes_of_its_own(run: Path, tmp_path: Path) -> None:
    films = write(tmp_path / "films", ("fight", "riot", "shooting"), snippets=9)
    result = evaluate(run, films / "pack.h5", films / "videos.jsonl", plots=False, device="cpu")
    written = json.loads((result.out / "metrics.json").read_text())
    assert written["metrics"]["counts"]["normal_videos"] == 3
    classes = written["metrics"]["classes"]
    assert {name: values["videos"] for name, values in classes.items()} == {
        "fight": 2,
        "riot": 2,
        "shooting": 2,
    }
    assert all(values["auc"] is not None for values in classes.values())
    with (
        FeaturePack.open(films / "pack.h5") as tested,
        FeaturePack.open(tmp_path / "town" / "pack.h5") as trained,
    ):
        assert written["checkpoint"]["pack_sha256"] == trained.content_sha256
        assert written["inputs"]["pack_sha256"] == tested.content_sha256
    assert written["inputs"]["manifest_sha256"] == read_manifest(films / "videos.jsonl").sha256
    assert written["inputs"]["trained_on_manifest"] is False


def test_features_of_another_recipe_are_refused(run: Path, tmp_path: Path) -> None:
    films = write(tmp_path / "films", ("riot",), snippets=9, resize=240)
    message = r"another recipe than .* was trained on \(resize: 240, not 256\)"
    with pytest.raises(PackError, match=message) as refused:
        evaluate(run, films / "pack.h5", films / "videos.jsonl", device="cpu")
    assert refused.value.exit_code == 1
    assert not list(run.glob("eval*"))
