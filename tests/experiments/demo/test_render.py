"""Rendered videos: what is promised is what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.core.files import sha256_file
from vad_toolkit.datasets.manifest import read_manifest
from vad_toolkit.errors import InputError
from vad_toolkit.experiments.demo.choreography import DatasetSettings, plan_dataset
from vad_toolkit.experiments.demo.render import draw_frames, render_dataset
from vad_toolkit.video.open import open_video
from vad_toolkit.video.probe import probe

SMALL = DatasetSettings(
    train_videos=4, test_videos=4, seconds=9.5, fps=4, height=64, width=80, crf=28
)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "with space"
    assert render_dataset(out, 7, SMALL, jobs=1).rendered == 8
    return out


def digests(out: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in sorted((out / "videos").rglob("*.mp4"))}


def test_manifests_fit_the_videos(rendered: Path) -> None:
    plans = {plan.id: plan for plan in plan_dataset(SMALL, 7)}
    for split in ("train", "test"):
        manifest = read_manifest(rendered / "manifests" / f"{split}.jsonl")
        assert len(manifest) == 4
        for entry in manifest:
            facts = probe(rendered / "videos" / entry.path)
            assert (facts.codec, facts.width, facts.height) == ("h264", 80, 64)
            reader = open_video(rendered / "videos" / entry.path)
            frames = sum(len(chunk) for chunk in reader.chunks(16))
            reader.close()
            assert frames == entry.frames == 38
            assert entry.events == (plans[entry.id].events if split == "test" else None)
            assert entry.label == plans[entry.id].label


def test_same_seed_same_bytes(rendered: Path, tmp_path: Path) -> None:
    render_dataset(tmp_path / "again", 7, SMALL, jobs=2)
    assert digests(tmp_path / "again") == digests(rendered)
    render_dataset(tmp_path / "other", 8, SMALL, jobs=1)
    assert digests(tmp_path / "other") != digests(rendered)


def test_second_run_draws_what_is_missing(rendered: Path) -> None:
    before = digests(rendered)
    lost = next((rendered / "videos").rglob("*.mp4"))
    lost.unlink()
    (lost.parent / f"{lost.name}.tmp-123").touch()
    again = render_dataset(rendered, 7, SMALL, jobs=1)
    assert (again.rendered, again.reused) == (1, 7)
    assert digests(rendered) == before
    assert not list(rendered.rglob("*.tmp-*"))


def test_another_dataset_in_the_folder_is_refused(rendered: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds a dataset with other data or settings"):
        render_dataset(rendered, 8, SMALL)
    (tmp_path / "something").touch()
    with pytest.raises(InputError, match="not an empty folder"):
        render_dataset(tmp_path, 7, SMALL)


def test_figures_move_and_the_scene_stays() -> None:
    """Pixels of the figures change from frame to frame; most of the picture does not."""
    plan = plan_dataset(SMALL, 7)[0]
    frames = np.stack([f.astype(np.int16) for f in draw_frames(plan, SMALL)])
    change = np.abs(frames[1:] - frames[:-1]).max(axis=3) > 40
    share = change.mean(axis=(1, 2))
    assert share.max() < 0.35
    assert share.mean() > 0.002


def test_a_number_of_processes_that_is_not_allowed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="jobs must be >= 1, or -1 for one per core, got 0"):
        render_dataset(tmp_path / "x", 7, SMALL, jobs=0)
    assert not (tmp_path / "x").exists()
