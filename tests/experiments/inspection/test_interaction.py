"""The maps are what the network computes; hooks leave no trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vad_toolkit.experiments.inspection.interaction import trace_interaction, why_no_interaction
from vad_toolkit.models.registry import build_model
from vad_toolkit.scoring import snippet_scores as scoring
from vad_toolkit.scoring.snippet_scores import score_snippets
from vad_toolkit.training.load_config import load_config


def test_maps_have_shapes_and_shares(
    make_model: Callable[..., Any], features: Callable[..., Any]
) -> None:
    found = trace_interaction(make_model(), features(11))
    assert list(found.reading) == list(found.attention) == ["motion", "context"]
    for name in found.reading:
        assert found.reading[name].shape == (3, 11)
        assert found.attention[name].shape == (3, 3)
        np.testing.assert_allclose(found.attention[name].sum(axis=1), 1, atol=1e-6)


def test_rows_are_the_taking_nodes(
    make_model: Callable[..., Any], features: Callable[..., Any]
) -> None:
    """With the maps put in by hand, the network's own values come out."""
    model, x = make_model(), features(9, 1)
    seen: list[torch.Tensor] = []
    across = model.como.interaction.across[1]
    hook = across.register_forward_hook(
        lambda module, inputs, output: seen.extend([*inputs, output])
    )
    found = trace_interaction(model, x)
    hook.remove()
    to, source, taken = seen
    attention = torch.from_numpy(found.attention["context"])
    with torch.inference_mode():
        torch.testing.assert_close(attention @ across.value(source)[0], taken[0])
    assert to.shape == source.shape


def test_crops_are_averaged(
    make_model: Callable[..., Any],
    features: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, x = make_model(), features(9, 3)
    together = trace_interaction(model, x)
    alone = [trace_interaction(model, x[:, i : i + 1]) for i in range(3)]
    monkeypatch.setattr(scoring, "ROWS_AT_ONCE", 1)
    apart = trace_interaction(model, x)
    for name in together.attention:
        for part in ("attention", "reading"):
            mean = np.mean([getattr(one, part)[name] for one in alone], axis=0)
            np.testing.assert_allclose(getattr(together, part)[name], mean, atol=1e-6)
            np.testing.assert_allclose(getattr(apart, part)[name], mean, atol=1e-6)


def test_nothing_stays_behind(make_model: Callable[..., Any], features: Callable[..., Any]) -> None:
    model, x = make_model(), features(9)
    before = score_snippets(model, x)
    trace_interaction(model, x)
    assert not any(module._forward_hooks for module in model.modules())
    np.testing.assert_array_equal(score_snippets(model, x), before)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ({}, None),
        ({"como": False}, "head.como is false"),
        ({"interaction": "joint-graph"}, "head.interaction is joint-graph, not attention"),
        ({"streams": "motion"}, "head.streams is motion, not both"),
    ],
)
def test_who_has_an_interaction(
    make_model: Callable[..., Any], head: dict[str, Any], reason: str | None
) -> None:
    assert why_no_interaction(make_model(**head)) == reason


def test_another_method_has_none() -> None:
    model = build_model(load_config("sultani"), 6)
    assert why_no_interaction(model) == "method sultani has no interaction space"
