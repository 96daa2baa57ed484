from __future__ import annotations

import pytest
import torch

from vad_toolkit.models.base import Output


@pytest.mark.parametrize("snippets", [1, 2, 32])
def test_defined_for_any_length(make_model, make_input, snippets) -> None:
    model = make_model("sultani").train()
    output = model(make_input(4, 3, snippets))
    assert output.scores.shape == (4, snippets)
    assert set(model.losses(output)) == {"ranking", "smoothness", "sparsity"}


def test_a_snippet_is_scored_alone(make_model, make_input) -> None:
    model = make_model("sultani")
    x = make_input(1, 2, 6)
    torch.testing.assert_close(model(x[:, :, 2:3]).scores, model(x).scores[:, 2:3])


def test_masked_snippets_have_no_part(make_model, make_input) -> None:
    model = make_model("sultani")
    x = make_input(2, 2, 6)
    mask = torch.arange(6) < torch.tensor([4, 3])[:, None]
    x[(~mask)[:, None].expand(2, 2, 6)] = torch.nan
    output = model(x, mask)
    torch.testing.assert_close(output.scores[1:, :3], model(x[1:, :, :3]).scores)
    assert all(torch.isfinite(term) for term in model.losses(output).values())


def test_losses_of_known_scores(make_model) -> None:
    scores = torch.tensor([[0.1, 0.2], [0.9, 0.4]])
    terms = make_model("sultani").losses(Output(scores, torch.rand(2, 1, 2, 8), None))
    assert terms["ranking"].item() == pytest.approx(1 - 0.9 + 0.2)
    assert terms["smoothness"].item() == pytest.approx(0.25)
    assert terms["sparsity"].item() == pytest.approx(1.3)


def test_its_size_is_the_papers(make_model) -> None:
    layers = [tuple(p.shape) for p in make_model("sultani", hidden=[512, 32]).parameters()]
    assert layers == [(512, 6), (512,), (32, 512), (32,), (1, 32), (1,)]


def test_gradients(make_model, make_input) -> None:
    model = make_model("sultani").double()
    x = make_input(4, 2, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: torch.stack(list(model.losses(model(x)).values())).sum(), (x,), fast_mode=True
    )
