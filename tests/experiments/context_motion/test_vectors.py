"""Drawn datasets: exact ground truth, equal draws, and packs and manifests that fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.datasets.manifest import read_manifest
from vad_toolkit.datasets.truth.rules import frame_labels
from vad_toolkit.errors import InputError
from vad_toolkit.experiments.context_motion.courses import (
    SNIPPET_FRAMES,
    Level,
    Size,
    course,
    plan_videos,
)
from vad_toolkit.experiments.context_motion.vectors import (
    CODE_LENGTH,
    WIDTH,
    draw_codes,
    draw_features,
    ready_vectors,
    write_vectors,
)
from vad_toolkit.fit import pack_problems
from vad_toolkit.packs.pack import FeaturePack

SMALL = Size(train=16, test=16)


def test_a_dataset_fits_together(tmp_path: Path) -> None:
    drawn = write_vectors(tmp_path / "far", Level.FAR, 5, SMALL, crops=5)
    plans = {plan.id: plan for plan in plan_videos(SMALL, 5)}
    with FeaturePack.open(drawn.pack) as pack:
        assert len(pack) == 64
        assert pack.recipe.crop_count == 5
        assert pack.verify() == []
        for side in (drawn.train, drawn.test):
            manifest = read_manifest(side)
            assert len(manifest) == 32
            assert pack_problems(manifest, pack, needs_events=side == drawn.test) == []
            for entry in manifest:
                plan = plans[entry.id]
                assert pack.shape(entry.id) == (plan.snippets, 5, WIDTH)
                assert entry.label == plan.label
                assert (entry.events is None) == (side == drawn.train)
    test = read_manifest(drawn.test)
    for entry in test:
        truth = np.repeat(plans[entry.id].abnormal, SNIPPET_FRAMES)
        assert np.array_equal(frame_labels(entry, entry.frames or 0), truth)
        assert entry.classes == ((plans[entry.id].forbidden,) if entry.label else ())


def test_what_is_seen_is_what_is_drawn() -> None:
    """Less noise and style, a snippet is the sum of the codes of what is in view."""
    codes = draw_codes(0)
    for level in Level:
        for plan in plan_videos(SMALL, 0)[:4]:
            x = draw_features(plan, level, codes)[:, 0].astype(np.float64)
            shown = course(plan, level)
            for i in (0, 1):
                motion = x @ codes.motion[i, plan.kinds[i]] / CODE_LENGTH**2
                other = x @ codes.motion[i, 1 - plan.kinds[i]] / CODE_LENGTH**2
                assert motion[shown.motion == i].mean() == pytest.approx(1.0, abs=0.25)
                assert other.mean() == pytest.approx(0.0, abs=0.15)
                spot = x @ codes.spot[i, plan.types[i]] / CODE_LENGTH**2
                assert 0.6 < spot[shown.spot == i].mean() < 1.4
                assert np.abs(spot[shown.spot != i].mean()) < 0.2


def test_codes_are_orthogonal_and_of_one_length() -> None:
    codes = draw_codes(1)
    rows = np.concatenate(
        [codes.motion.reshape(4, -1), codes.spot.reshape(4, -1), codes.distractor]
    )
    assert np.allclose(rows @ rows.T, CODE_LENGTH**2 * np.eye(len(rows)))


def test_levels_share_everything_but_what_is_in_view() -> None:
    """Noise, style and strengths of a plan are the same: levels compare like with like."""
    plan, codes = plan_videos(SMALL, 0)[0], draw_codes(0)
    same, near = (draw_features(plan, level, codes) for level in (Level.SAME, Level.NEAR))
    close = course(plan, Level.NEAR).spot < 0
    hidden = same[close, 0].astype(float) - near[close, 0].astype(float)
    assert np.linalg.matrix_rank(hidden, tol=0.5) == 2  # only the two spots' codes differ


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        with FeaturePack.open(write_vectors(tmp_path / name, Level.SAME, seed, SMALL).pack) as pack:
            digests.append(pack.content_sha256)
    assert digests[0] == digests[1] != digests[2]


def test_ready_only_where_whole_and_drawn_so(tmp_path: Path) -> None:
    out = tmp_path / "near"
    assert ready_vectors(out, Level.NEAR, 0, SMALL) is None
    drawn = write_vectors(out, Level.NEAR, 0, SMALL)
    assert ready_vectors(out, Level.NEAR, 0, SMALL) == drawn
    assert ready_vectors(out, Level.FAR, 0, SMALL) is None
    assert ready_vectors(out, Level.NEAR, 1, SMALL) is None
    (out / "context-motion.json").unlink()
    assert ready_vectors(out, Level.NEAR, 0, SMALL) is None


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    with pytest.raises(InputError, match="is not an empty folder"):
        write_vectors(tmp_path, Level.SAME, 0, SMALL)


def test_crops_that_no_layout_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="crops must be one of 1, 5, 10, got 2"):
        write_vectors(tmp_path / "x", Level.SAME, 0, SMALL, crops=2)
    assert not (tmp_path / "x").exists()
