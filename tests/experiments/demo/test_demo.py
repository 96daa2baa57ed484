"""The demo's stages end to end, small: the second run reuses everything, other plans do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vad_toolkit.experiments.demo import demo as run
from vad_toolkit.experiments.demo.choreography import DatasetSettings
from vad_toolkit.experiments.demo.render import render_dataset
from vad_toolkit.experiments.synthetic.video_folder import RenderedDataset

SMALL = DatasetSettings(
    train_videos=8, test_videos=4, seconds=9.5, fps=4, height=64, width=80, crf=28
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real stages on few small videos, with random weights and few steps."""

    def render(out: Path, seed: int, **options: object) -> RenderedDataset:
        return render_dataset(out, seed, SMALL, jobs=1)

    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(run, "render_dataset", render)
    monkeypatch.setattr(run, "WEIGHTS", "i3d-rgb-random")
    recipe = {"weights": "i3d-rgb-random", "resize": 64, "crop_size": 64}
    load = run.load_recipe
    monkeypatch.setattr(run, "load_recipe", lambda name: load(name, recipe))
    monkeypatch.setattr(run, "OVERRIDES", {**run.OVERRIDES, "steps": 4, "validation.every": 2})


def test_second_run_reuses_and_gives_the_same(small: None, tmp_path: Path) -> None:
    lines: list[str] = []
    first = run.run_demo(tmp_path / "demo", seeds=(0, 1), say=lines.append)
    assert list(first.seeds) == [0, 1]
    assert first.mean["auc"] is not None
    assert len(list(first.plots.rglob("*.png"))) == 4
    assert len(list(first.prediction.rglob("*.csv"))) == 2
    assert not any(line.startswith("training") and "reused" in line for line in lines)

    lines.clear()
    second = run.run_demo(tmp_path / "demo", seeds=(0, 1), say=lines.append)
    assert second.seeds == first.seeds
    assert sum("reused" in line for line in lines) == 5
    assert any(line.startswith("videos: 0 rendered, 12 reused") for line in lines)
    assert any(line.startswith("features: 0 videos extracted, 12 reused") for line in lines)


def test_what_depends_on_a_missing_run_is_done_again(small: None, tmp_path: Path) -> None:
    first = run.run_demo(tmp_path / "demo", seeds=(0, 1))
    run_folder = first.prediction.parent
    shutil.rmtree(run_folder / "seed-1")
    lines: list[str] = []
    second = run.run_demo(tmp_path / "demo", seeds=(0, 1), say=lines.append)
    assert second.seeds == first.seeds
    assert not any("reused" in line for line in lines if line.startswith(("eval", "pred")))
    assert not list(run_folder.parent.rglob("*.partial"))
