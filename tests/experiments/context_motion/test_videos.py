"""Rendered videos show what the course says, whole snippets at a time, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.core.files import sha256_file
from vad_toolkit.datasets.manifest import read_manifest
from vad_toolkit.errors import InputError
from vad_toolkit.experiments.context_motion import videos as videos_module
from vad_toolkit.experiments.context_motion.courses import (
    NOTHING,
    SNIPPET_FRAMES,
    Level,
    Size,
    VideoPlan,
    course,
    plan_videos,
)
from vad_toolkit.experiments.context_motion.videos import ShotSettings, draw_frames, render_videos
from vad_toolkit.video.probe import probe

SMALL = ShotSettings(height=48, width=60, lengths=(13,))
SIZE = Size(train=16, test=16)
PLANS = plan_videos(SIZE, 0, SMALL.lengths)


def drawn(plan: VideoPlan, level: Level) -> NDArray[np.int16]:
    """(snippets, 16, height, width, 3)."""
    frames = np.stack(list(draw_frames(plan, level, SMALL))).astype(np.int16)
    return frames.reshape(plan.snippets, SNIPPET_FRAMES, *frames.shape[1:])


def movement(snippets: NDArray[np.int16]) -> NDArray[np.float64]:
    """Share of pixels that change more than noise does, in each snippet."""
    change = np.abs(np.diff(snippets, axis=1)).max(axis=-1) > 30
    return change.mean(axis=(1, 2, 3))


@pytest.mark.parametrize("level", Level)
def test_wide_shots_stand_still_and_all_others_move(level: Level) -> None:
    plan = PLANS[29]
    moves = movement(drawn(plan, level))
    moving = course(plan, level).motion != NOTHING
    assert moves[moving].min() > 0
    assert moves[~moving].max(initial=0) == 0


def test_close_ups_say_nothing_of_the_spot() -> None:
    """Two videos that differ in a spot's type only, differ in that spot's wide shots only."""
    plan = PLANS[0]
    other = VideoPlan(**{**vars(plan), "types": (1 - plan.types[0], plan.types[1])})
    for level in (Level.NEAR, Level.FAR):
        shown = course(plan, level)
        differs = np.abs(drawn(plan, level) - drawn(other, level)).max(axis=(1, 2, 3, 4)) > 0
        assert np.array_equal(differs, shown.spot == 0)


def test_wide_shots_say_nothing_of_the_motion() -> None:
    plan = PLANS[5]
    other = VideoPlan(**{**vars(plan), "kinds": (plan.kinds[0], 1 - plan.kinds[1])})
    for level in (Level.SAME, Level.FAR):
        shown = course(plan, level)
        differs = np.abs(drawn(plan, level) - drawn(other, level)).max(axis=(1, 2, 3, 4)) > 0
        assert np.array_equal(differs, shown.motion == 1)


def test_levels_show_the_same_places() -> None:
    plan = PLANS[3]
    near, far = (course(plan, level) for level in (Level.NEAR, Level.FAR))
    for spot in (0, 1):
        a = drawn(plan, Level.NEAR)[near.spot == spot].mean(axis=(0, 1))
        b = drawn(plan, Level.FAR)[far.spot == spot].mean(axis=(0, 1))
        assert np.abs(a - b).mean() < 2  # but for noise


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of few videos: one of each label on either side."""
    out = tmp_path_factory.mktemp("rendered") / "with space"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(videos_module, "plan_videos", few)
        made = render_videos(out, Level.FAR, 0, SIZE, SMALL, jobs=1)
    assert (made.rendered, made.reused) == (4, 0)
    return out


def few(size: Size, seed: int, lengths: tuple[int, ...]) -> list[VideoPlan]:
    plans = plan_videos(size, seed, lengths)
    return [plans[0], plans[16], plans[32], plans[48]]


def test_manifests_fit_the_videos(rendered: Path) -> None:
    for split in ("train", "test"):
        manifest = read_manifest(rendered / "manifests" / f"{split}.jsonl")
        assert [entry.label for entry in manifest] == [0, 1]
        for entry in manifest:
            facts = probe(rendered / "videos" / entry.path)
            assert (facts.codec, facts.width, facts.height) == ("h264", 60, 48)
            assert entry.frames == 26 * SNIPPET_FRAMES
            if entry.label:
                assert entry.classes[0] in {"walk-field", "run-street", "wave-gym", "jack-lounge"}
                assert (entry.events is not None) == (split == "test")


def test_a_second_run_draws_what_is_missing(
    rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos_module, "plan_videos", few)
    video = next((rendered / "videos").rglob("*.mp4"))
    before = sha256_file(video)
    video.unlink()
    again = render_videos(rendered, Level.FAR, 0, SIZE, SMALL, jobs=1)
    assert (again.rendered, again.reused) == (1, 3)
    assert sha256_file(video) == before


def test_another_level_in_the_folder_is_refused(rendered: Path) -> None:
    with pytest.raises(InputError, match="holds a dataset with other data or settings"):
        render_videos(rendered, Level.NEAR, 0, SIZE, SMALL)


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"fps": 0}, "fps must be"), ({"width": 61}, "width must be even .*, got 61")],
)
def test_settings_check_themselves(fields: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ShotSettings(**fields)
