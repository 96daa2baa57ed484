"""Logistic regression of snippets with the labels of their videos."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import softplus

from vad_toolkit.models.registry import build_model
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.step import TrainingStep

DECAY = 0.1


def trained(x: torch.Tensor, divisor: int = 1, steps: int = 400) -> torch.nn.Module:
    """Train on one batch, the first half of which is normal, until nothing changes."""
    config = load_config(
        "linear",
        {
            "losses.top_divisor": divisor,
            "optimiser.learning_rate": 0.03,
            "optimiser.weight_decay": DECAY,
        },
    )
    step = TrainingStep(build_model(config, x.shape[-1]).train(), config)
    for _ in range(steps):
        step(x, None)
    return step.model.eval()


@pytest.fixture
def x(make_input) -> torch.Tensor:
    """20 videos of one crop and four snippets; the second half lies elsewhere."""
    x = make_input(20, 1, 4)
    x[10:, ..., 0] += 1.5
    return x


def test_weights_are_those_of_scikit_learn(x: torch.Tensor) -> None:
    """Its penalty leaves out the bias, so that the bias is given to it as a feature."""
    model = trained(x)
    rows = np.hstack([x.reshape(80, -1).double().numpy(), np.ones((80, 1))])
    labels = np.repeat([0, 1], 40)
    expected = LogisticRegression(C=1 / (DECAY * 80), fit_intercept=False, tol=1e-10)
    expected.fit(rows, labels)
    found = torch.cat([model.score.weight.detach()[0], model.score.bias.detach()]).numpy()
    np.testing.assert_allclose(found, expected.coef_[0], atol=2e-4)
    scores = model(x).scores.detach().numpy().ravel()
    np.testing.assert_allclose(scores, expected.predict_proba(rows)[:, 1], atol=1e-4)


def test_only_the_highest_snippets_of_a_video_are_trained(x: torch.Tensor) -> None:
    x[10:, :, 1:] = x[:10, :, 1:]  # what is abnormal is in one snippet of four
    every, top = (trained(x, divisor).score.weight[0, 0].item() for divisor in (1, 4))
    assert top > 1.3 * every > 0


def test_a_snippet_is_scored_alone_and_crops_are_averaged(make_model, make_input) -> None:
    model = make_model("linear")
    model.score.weight.data.normal_()
    x = make_input(1, 2, 6)
    scores = model(x).scores
    torch.testing.assert_close(model(x[:, :, 2:3]).scores, scores[:, 2:3])
    crops = [model(x[:, crop : crop + 1]).scores for crop in (0, 1)]
    torch.testing.assert_close(scores, sum(crops) / 2)


def test_masked_snippets_have_no_part(make_model, make_input) -> None:
    model = make_model("linear")
    model.score.weight.data.normal_()
    x = make_input(2, 2, 6)
    mask = torch.arange(6) < torch.tensor([4, 3])[:, None]
    logits = model(x).parts["logits"].detach()
    expected = (softplus(logits[0, :4]).mean() + softplus(-logits[1, :3]).mean()) / 2
    x[(~mask)[:, None].expand(2, 2, 6)] = torch.nan
    output = model(x, mask)
    torch.testing.assert_close(output.scores[1:, :3], model(x[1:, :, :3]).scores)
    torch.testing.assert_close(model.losses(output)["cross_entropy"], expected)


def test_its_size_is_one_weight_per_feature(make_model) -> None:
    assert sum(p.numel() for p in make_model("linear").parameters()) == 7
