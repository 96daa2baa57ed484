from __future__ import annotations

import re

import pytest
import torch

from vad_toolkit.errors import InputError
from vad_toolkit.models.base import Output
from vad_toolkit.models.clav_como.model import ClavComo
from vad_toolkit.models.clav_como.options import ClavComoConfig

SWITCHES = [
    {},
    {"activate": "gate"},
    {"activate": "none"},
    {"como": False},
    {"interaction": "joint-graph"},
    {"interaction": "none"},
    {"streams": "context"},
    {"streams": "motion"},
]


@pytest.mark.parametrize("head", SWITCHES, ids=str)
@pytest.mark.parametrize("crops", [1, 3])
@pytest.mark.parametrize("snippets", [1, 2, 3, 32])
def test_defined_for_any_length_and_number_of_crops(
    make_model, make_input, head, crops, snippets
) -> None:
    model = make_model(**head).train()
    output = model(make_input(4, crops, snippets))
    assert output.scores.shape == (4, snippets)
    assert output.features.shape == (4, crops, snippets, 8)
    assert ((output.scores >= 0) & (output.scores <= 1)).all()
    terms = model.losses(output)
    assert set(terms) == set(model.loss_weights)
    torch.stack(list(terms.values())).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_como_changes_nothing_at_initialisation(make_model, make_input) -> None:
    x = make_input(2, 2, 9)
    with_como, without = make_model(), make_model(como=False)
    without.load_state_dict(with_como.state_dict(), strict=False)
    assert torch.equal(with_como(x).scores, without(x).scores)


def test_scores_do_not_depend_on_the_order_of_crops(make_model, stir, make_input) -> None:
    model = make_model()
    stir(model)
    x = make_input(2, 5, 12)
    torch.testing.assert_close(model(x[:, [3, 0, 4, 2, 1]]).scores, model(x).scores)


def test_scores_do_not_depend_on_the_other_videos(make_model, stir, make_input) -> None:
    model = make_model()
    stir(model)
    x = make_input(3, 2, 12)
    torch.testing.assert_close(model(x).scores[1:2], model(x[1:2]).scores)


@pytest.mark.parametrize("head", SWITCHES, ids=str)
def test_a_masked_video_scores_as_it_would_alone(make_model, stir, make_input, head) -> None:
    model = make_model(**head)
    stir(model)
    x = make_input(4, 2, 12)
    lengths = torch.tensor([12, 7, 2, 1])
    mask = torch.arange(12) < lengths[:, None]
    x[(~mask)[:, None].expand(4, 2, 12)] = torch.nan  # what is masked is never looked at
    together = model(x, mask)
    for i, length in enumerate(lengths.tolist()):
        alone = model(x[i : i + 1, :, :length])
        torch.testing.assert_close(together.scores[i : i + 1, :length], alone.scores)
        torch.testing.assert_close(together.features[i : i + 1, :, :length], alone.features)
        assert not together.scores[i, length:].any()
        assert not together.features[i, :, length:].any()


@pytest.mark.parametrize("select", ["score", "magnitude"])
def test_a_full_mask_trains_as_no_mask(make_model, stir, make_input, select) -> None:
    x, mask = make_input(4, 2, 12), torch.ones(4, 12, dtype=torch.bool)
    gradients = []
    for given in (None, mask):
        model = make_model(dropout=0.0, embed_dropout=0.0)
        stir(model)
        model.config = model.config.model_copy(
            update={"losses": model.config.losses.model_copy(update={"select": select})}
        )
        model.train()
        terms = model.losses(model(x, given))
        torch.stack(list(terms.values())).sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_padding_does_not_change_training(make_model, stir, make_input) -> None:
    """Losses and batch statistics of a batch are the same with 5 snippets of padding."""
    x = make_input(4, 2, 12)
    mask = torch.arange(12) < torch.tensor([12, 9, 7, 10])[:, None]
    padded = torch.cat([x, torch.full((4, 2, 5, 6), 7.0)], dim=2)
    longer = torch.cat([mask, torch.zeros(4, 5, dtype=torch.bool)], dim=1)
    terms, statistics = [], []
    for inputs, given in ((x, mask), (padded, longer)):
        model = make_model(dropout=0.0, embed_dropout=0.0)
        stir(model)
        model.train()
        terms.append(model.losses(model(inputs, given)))
        statistics.append(dict(model.named_buffers()))
    torch.testing.assert_close(terms[0], terms[1])
    torch.testing.assert_close(statistics[0], statistics[1])


def test_the_temperature_falls_in_training_and_is_one_at_test(make_model, make_input) -> None:
    model = make_model(tau_start=30.0, tau_fraction=0.1)
    taus = [model.begin_step(progress)["tau"] for progress in (0.0, 0.05, 0.1, 0.7)]
    assert taus == pytest.approx([30.0, 15.5, 1.0, 1.0])
    x = make_input(1, 1, 8)
    model.eval()
    at_one = model(x).scores
    model.begin_step(0.0)
    assert torch.equal(model(x).scores, at_one)
    still = make_model(dropout=0.0, embed_dropout=0.0).train()
    still.begin_step(0.0)
    hot = still(x).features
    still.begin_step(0.5)
    assert not torch.equal(still(x).features, hot)


def test_no_annealing_is_tau_one_from_the_start(make_model) -> None:
    assert make_model(tau_fraction=0.0).begin_step(0.0) == {"tau": 1.0}


def test_relative_distance_acts_from_its_start_on(make_model) -> None:
    model = make_model(losses={"distance_start": 0.5, "relative_distance": 2.0})
    weights = dict(model.loss_weights)
    assert weights["relative_distance"] == 2.0  # outside of training
    for progress, weight in {0.0: 0.0, 0.49: 0.0, 0.5: 2.0, 0.99: 2.0}.items():
        model.begin_step(progress)
        assert dict(model.loss_weights) == {**weights, "relative_distance": weight}
    whole = make_model()
    whole.begin_step(0.0)
    assert whole.loss_weights["relative_distance"] == 1.0


def test_smoothness_and_sparsity_look_at_abnormal_videos_only(make_model) -> None:
    model = make_model()
    scores = torch.tensor([[0.9, 0.1, 0.9], [0.5, 0.5, 0.5]])
    terms = model.losses(Output(scores, torch.rand(2, 1, 3, 8), None))
    assert terms["smoothness"] == 0
    assert terms["sparsity"].item() == pytest.approx(0.75**0.5)


def test_magnitude_selects_by_the_length_of_features(make_model) -> None:
    model = make_model()
    features = torch.zeros(2, 1, 3, 8)
    features[:, :, 1] = 5.0  # the longest, though it scores lowest
    scores = torch.tensor([[0.9, 0.2, 0.9], [0.9, 0.3, 0.9]])
    by_score = model.losses(Output(scores, features, None))["mil"]
    chosen = model.config.losses.model_copy(update={"select": "magnitude"})
    model.config = model.config.model_copy(update={"losses": chosen})
    by_length = model.losses(Output(scores, features, None))["mil"]
    expected = -(torch.tensor([0.8, 0.3]).log().mean())
    assert by_length.item() == pytest.approx(expected.item())
    assert by_score != by_length


def test_features_of_another_width_are_refused(make_model) -> None:
    message = "this model takes features of shape (videos, crops, snippets, 6), got (1, 1, 4, 5)"
    with pytest.raises(InputError, match=re.escape(message)):
        make_model()(torch.rand(1, 1, 4, 5))


def test_parameter_count_of_the_default_size() -> None:
    with torch.device("meta"):
        model = ClavComo(1024, ClavComoConfig())
    assert sum(p.numel() for p in model.parameters()) == 5_473_925


@pytest.mark.parametrize("head", SWITCHES, ids=str)
def test_gradients(make_model, stir, make_input, head) -> None:
    model = make_model(
        width=4, stream_width=3, nodes=2, node_width=2, dropout=0.0, embed_dropout=0.0, **head
    )
    stir(model)
    model.double().train()
    x = make_input(2, 2, 3).double().requires_grad_()
    weights = model.loss_weights

    def loss(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([weights[n] * t for n, t in model.losses(model(x)).items()]).sum()

    assert torch.autograd.gradcheck(loss, (x,), fast_mode=True)


def test_noise_is_drawn_in_training_only(make_model, make_input) -> None:
    still = {"embed_dropout": 0.0, "dropout": 0.0}
    model = make_model(input={"noise": 0.5}, **still)
    x = make_input(2, 2, 4)
    assert torch.equal(model.eval()(x).scores, model(x).scores)
    model.train()
    assert not torch.equal(model(x).scores, model(x).scores)
    quiet = make_model(**still).train()
    assert torch.equal(quiet(x).scores, quiet(x).scores)


def test_noise_stays_out_of_padding(make_model, make_input) -> None:
    model = make_model(input={"noise": 1.0}, embed_dropout=0.0, dropout=0.0, como=False).train()
    mask = torch.arange(4)[None] < torch.tensor([[4], [2]])
    x, _ = model.prepare(make_input(2, 2, 4), mask)
    assert not x.unflatten(0, (2, -1))[1, :, :, 2:].any()


def test_the_network_sees_components_where_there_are_any(make_model, make_input) -> None:
    model = make_model(input={"components": 3})
    assert model.embed.in_channels == model.input_width == 3
    assert model.input_dim == 6
    x, _ = model.prepare(make_input(2, 2, 4), None)
    assert x.shape[1] == 3


def test_more_components_than_numbers_are_refused(make_model) -> None:
    message = "input.components must be at most 6, the number of features per snippet, got 7"
    with pytest.raises(InputError, match=re.escape(message)):
        make_model(input={"components": 7})


@pytest.mark.parametrize(("place", "width"), [("fused", 8), ("scorer", 6)])
def test_relative_distance_is_of_the_features_named(
    make_model, stir, make_input, place: str, width: int
) -> None:
    activated, other = make_model(), make_model(losses={"distance_of": place})
    stir(activated)
    other.load_state_dict(activated.state_dict())
    x = make_input(2, 2, 4)
    assert torch.equal(activated(x).scores, other(x).scores)
    h, compared = activated(x).features, other(x).features
    assert (h >= 0).all()
    assert compared.shape == (2, 2, 4, width)
    assert h.shape != compared.shape or not torch.equal(h, compared)


def test_features_of_the_scorer_are_its_first_layers(make_model, stir, make_input) -> None:
    model = make_model(losses={"distance_of": "scorer"}, como=False, dropout=0.5).eval()
    stir(model)
    x = make_input(2, 2, 4)
    seen = []
    model.score[1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    features = model(x).features
    torch.testing.assert_close(features.flatten(0, 1), seen[0], atol=0, rtol=0)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    assert (model(x, mask).features[1, :, 2:] == 0).all()
