"""C_n and C_top of whole videos are those of plain loops, and of the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vad_toolkit.errors import InputError
from vad_toolkit.experiments.inspection.similarity import (
    Similarity,
    compare_videos,
    top_snippets,
    video_directions,
)
from vad_toolkit.scoring import snippet_scores as scoring


def test_against_plain_loops(make_model: Callable[..., Any], features: Callable[..., Any]) -> None:
    model, generator = make_model(), np.random.default_rng(1)
    inputs = [features(12, seed=0), features(7, seed=1), features(20, seed=2)]
    chosen = [top_snippets(generator.random(len(x), np.float32), 5) for x in inputs]
    first, second, abnormal = (
        video_directions(model, x, top) for x, top in zip(inputs, chosen, strict=True)
    )
    found = compare_videos([first, second], [abnormal])
    units = []
    for x in inputs:
        with torch.inference_mode():
            h = model(torch.from_numpy(x.swapaxes(0, 1).copy())[None]).features[0]  # (C, N, d)
        units.append(F.normalize(h, dim=2).numpy())
    for i in (0, 1):
        alike = units[i] @ units[i].swapaxes(1, 2)  # (C, N, N)
        off = ~np.eye(alike.shape[1], dtype=bool)
        assert found.inside[i] == pytest.approx(alike[:, off].mean(), abs=1e-5)
        across = units[i][:, chosen[i] > 0] @ units[2][:, chosen[2] > 0].swapaxes(1, 2)
        assert found.across[i, 0] == pytest.approx(across.mean(), abs=1e-5)
    assert (found.inside.shape, found.across.shape) == ((2,), (2, 1))


def test_top_snippets_are_the_highest() -> None:
    scores = np.array([0.1, 0.9, 0.2, 0.8], np.float32)
    assert top_snippets(scores, 2).tolist() == [0, 0.5, 0, 0.5]
    assert top_snippets(scores, 100).tolist() == [0, 1, 0, 0]


def test_crop_by_crop_is_the_same(
    make_model: Callable[..., Any],
    features: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, x = make_model(), features(10, 3)
    top = top_snippets(np.linspace(0, 1, 10, dtype=np.float32), 10)
    together = video_directions(model, x, top)
    monkeypatch.setattr(scoring, "ROWS_AT_ONCE", 1)
    apart = video_directions(model, x, top)
    np.testing.assert_allclose(apart.inside, together.inside, atol=1e-6)
    np.testing.assert_allclose(apart.top, together.top, atol=1e-6)


def test_share_of_the_pairs_that_are_apart() -> None:
    similarity = Similarity(np.array([0.9, 0.5]), np.array([[0.2, 0.7], [0.1, 0.6]]))
    assert similarity.share_apart(0.0) == 0.75
    assert similarity.share_apart(0.3) == 0.5


def test_features_of_another_width_are_refused(make_model: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="this model needs"):
        video_directions(make_model(), np.zeros((3, 1, 5), np.float16), np.ones(3, np.float32))
