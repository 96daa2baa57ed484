from __future__ import annotations

import re
import resource

import numpy as np
import pytest
import torch

from vad_toolkit.errors import InputError
from vad_toolkit.models import scoring
from vad_toolkit.models.scoring import score_snippets


def features(snippets: int, crops: int = 2) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.standard_normal((snippets, crops, 6), dtype=np.float32).astype(np.float16)


@pytest.mark.parametrize("method", ["clav-como", "sultani"])
@pytest.mark.parametrize("snippets", [1, 2, 3, 50])
def test_one_score_a_snippet(make_model, method, snippets) -> None:
    scores = score_snippets(make_model(method), features(snippets))
    assert scores.shape == (snippets,)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()


def test_no_snippets_no_scores(make_model) -> None:
    assert score_snippets(make_model(), features(0)).shape == (0,)


def test_crop_by_crop_is_the_same(make_model, monkeypatch) -> None:
    model = make_model()
    together = score_snippets(model, features(20, 5))
    for rows in (1, 40, 60):  # one, two and three crops at a time
        monkeypatch.setattr(scoring, "ROWS_AT_ONCE", rows)
        np.testing.assert_allclose(score_snippets(model, features(20, 5)), together, atol=1e-6)


def test_dropout_is_off_and_the_mode_is_left_as_it_was(make_model) -> None:
    model = make_model().train()
    first, second = (score_snippets(model, features(20)) for _ in range(2))
    assert model.training
    assert np.array_equal(first, second)
    assert not torch.is_inference(next(model.parameters()))


def test_a_very_long_video_in_linear_memory(make_model) -> None:
    """70,000 snippets (published loaders wrap at 65,535); one T x T matrix would be 19.6 GB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scores = score_snippets(make_model(), features(70_000))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert scores.shape == (70_000,)
    assert np.isfinite(scores).all()
    assert grown < 500e6
    assert scores[69_000:].std() > 0


@pytest.mark.parametrize("shape", [(4, 2), (4, 0, 6), (4, 2, 5)])
def test_features_that_do_not_fit(make_model, shape) -> None:
    message = f"features of shape {shape}: this model takes (snippets, crops, 6)"
    with pytest.raises(InputError, match=re.escape(message)):
        score_snippets(make_model(), np.zeros(shape, dtype=np.float16))


def test_features_that_are_not_finite(make_model) -> None:
    bad = features(5)
    bad[2, 0, 0] = np.inf
    with pytest.raises(InputError, match="not finite: extract this video again"):
        score_snippets(make_model(), bad)
