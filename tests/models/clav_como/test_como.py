from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from vad_toolkit.models.clav_como.como import Attention, CoMo, CrossAttention, GraphStep, Projection
from vad_toolkit.models.clav_como.options import ClavComoHead
from vad_toolkit.models.temporal import TimeBatchNorm, window_mean

SMALL = {"width": 8, "stream_width": 6, "nodes": 3, "node_width": 4, "window": 5}
ALL = list(itertools.product(["both", "context", "motion"], ["attention", "joint-graph", "none"]))


D = 5  # numbers that the streams see


def small(**changes: object) -> ClavComoHead:
    return ClavComoHead.model_validate({**SMALL, **changes})


def features(videos: int = 2, snippets: int = 7) -> torch.Tensor:
    return torch.rand(videos, 8, snippets, generator=torch.Generator().manual_seed(0))


def inputs(videos: int = 2, snippets: int = 7) -> torch.Tensor:
    return torch.randn(videos, D, snippets, generator=torch.Generator().manual_seed(2))


def wake(module: nn.Module) -> nn.Module:
    """Give every parameter a value, those too that begin at 0, and batch norm some statistics."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    for layer in module.modules():
        if isinstance(layer, TimeBatchNorm):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    return module


@pytest.mark.parametrize(("streams", "interaction"), ALL)
@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_added_at_initialisation(streams: str, interaction: str, training: bool) -> None:
    h = features()
    como = CoMo(small(streams=streams, interaction=interaction), D).train(training)
    assert torch.equal(como(h, inputs()), h)


@pytest.mark.parametrize(("streams", "interaction"), ALL)
def test_every_parameter_takes_part(streams: str, interaction: str) -> None:
    como = wake(CoMo(small(streams=streams, interaction=interaction), D)).train()
    como(features(), inputs()).square().sum().backward()
    without = [name for name, p in como.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_one_stream_has_no_parameters_of_the_other() -> None:
    names = {name for name, _ in CoMo(small(streams="context"), D).named_parameters()}
    assert not any("motion" in name or "across" in name for name in names)
    assert any("context" in name for name in names)


@pytest.mark.parametrize("stream", ["motion", "context"])
def test_a_stream_sees_nothing_new_inside_a_still_video(stream: str) -> None:
    como = wake(CoMo(small(streams=stream), D)).eval()
    still = como.streams[stream](inputs(1, 1).expand(1, D, 6), None)
    inside = still[:, :, 1:-1]  # at a video's borders the filter over time sees nothing beyond
    torch.testing.assert_close(inside, inside[:, :, :1].expand_as(inside))


def test_motion_can_be_the_first_difference() -> None:
    motion = CoMo(small(streams="motion"), D).eval().streams["motion"]
    with torch.no_grad():
        motion.change.weight.zero_()
        motion.change.weight[:, :, 0] = -torch.eye(6)
        motion.change.weight[:, :, 1] = torch.eye(6)
    x = inputs(1, 7)
    mixed = torch.nn.functional.conv1d(x, motion.mix.weight)
    torch.testing.assert_close(motion.norm(mixed.diff(dim=2)), motion(x, None)[:, :, 1:])


def test_projection_does_not_depend_on_how_long_a_still_video_is() -> None:
    projection = Projection(small())
    z = torch.rand(1, 6, 1)
    _, short = projection(z, None)
    _, long = projection(z.expand(1, 6, 50), None)
    torch.testing.assert_close(short, long)


def test_a_node_is_a_mean_of_the_snippets_it_attends_to() -> None:
    torch.manual_seed(0)
    projection = Projection(small())
    with torch.no_grad():
        projection.attend.weight.mul_(1e6)  # all but one snippet a node fade
    z = torch.rand(1, 6, 20)
    _, nodes = projection(z, None)
    seen = projection.attend(z)[0].argmax(dim=1)
    torch.testing.assert_close(nodes[0], projection.reduce(z)[0, :, seen].T)


def test_both_directions_read_the_same_old_nodes() -> None:
    attention = wake(Attention(small(), 2))
    v, u = torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    first, second = attention([v, u])
    old_v, old_u = attention.inside[0](v), attention.inside[1](u)
    torch.testing.assert_close(first, old_v + attention.across[0](old_v, old_u))
    torch.testing.assert_close(second, old_u + attention.across[1](old_u, old_v))


@pytest.mark.parametrize("interaction", ["attention", "joint-graph"])
def test_the_interaction_begins_as_the_identity(interaction: str) -> None:
    como = CoMo(small(interaction=interaction), D)
    v, u = torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    for old, new in zip([v, u], como.interaction([v, u]), strict=True):
        assert torch.equal(new, old)


def test_edges_inside_a_graph() -> None:
    step = wake(GraphStep(3, 4))
    v = torch.rand(2, 3, 4)
    torch.testing.assert_close(step(v), v + step.adjacency @ v @ step.mix.weight.T)


def test_weights_of_edges_across_sum_to_one() -> None:
    across = wake(CrossAttention(4))
    v, u = torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    weights = across.weights(v, u)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 3))
    torch.testing.assert_close(across(v, u), weights @ u @ across.value.weight.T)


def test_motion_hears_of_the_context_only_where_they_interact() -> None:
    """A change of the context alone reaches what motion gives back, except with `none`."""
    reached = {}
    for interaction in ("attention", "joint-graph", "none"):
        como = wake(CoMo(small(interaction=interaction), D)).eval()
        v, u = torch.rand(1, 3, 4), torch.rand(1, 3, 4)
        before, after = como.interaction([v, u])[0], como.interaction([v, u + 1])[0]
        reached[interaction] = not torch.equal(before, after)
    assert reached == {"attention": True, "joint-graph": True, "none": False}


@pytest.mark.parametrize("window", [1, 3, 9])
@pytest.mark.parametrize("snippets", [1, 2, 3, 12])
def test_window_mean_against_a_plain_loop(window: int, snippets: int) -> None:
    x = features(1, snippets)
    half = window // 2
    expected = torch.stack(
        [x[0, :, max(0, t - half) : t + half + 1].mean(dim=1) for t in range(snippets)],
        dim=1,
    )
    torch.testing.assert_close(window_mean(x, window, None)[0], expected)
    mask = torch.ones(1, 1, snippets, dtype=torch.bool)
    torch.testing.assert_close(window_mean(x, window, mask)[0], expected)


def test_batch_norm_with_a_full_mask_is_batch_norm() -> None:
    x = torch.randn(3, 5, 4)
    plain, masked = TimeBatchNorm(5).train(), TimeBatchNorm(5).train()
    full = torch.ones(3, 1, 4, dtype=torch.bool)
    torch.testing.assert_close(masked(x, full), plain(x))
    torch.testing.assert_close(masked.running_mean, plain.running_mean)
    torch.testing.assert_close(masked.running_var, plain.running_var)
    assert masked.num_batches_tracked == plain.num_batches_tracked == 1


def test_batch_norm_takes_statistics_of_real_snippets_only() -> None:
    real = torch.randn(1, 5, 6)
    padded = torch.cat([real, torch.full((1, 5, 3), 1e3)], dim=2)
    mask = torch.arange(9)[None, None] < 6
    plain, masked = TimeBatchNorm(5).train(), TimeBatchNorm(5).train()
    torch.testing.assert_close(masked(padded, mask)[:, :, :6], plain(real))
    torch.testing.assert_close(masked.running_var, plain.running_var)


def test_batch_norm_of_one_snippet_stays_finite() -> None:
    norm = TimeBatchNorm(5).train()
    norm(torch.randn(1, 5, 3), torch.tensor([[[True, False, False]]]))
    assert torch.isfinite(norm.running_var).all()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("streams", "interaction"), ALL)
def test_gradients(streams: str, interaction: str, masked: bool) -> None:
    config = small(width=3, stream_width=2, nodes=2, node_width=2, window=3).model_copy(
        update={"streams": streams, "interaction": interaction}
    )
    como = wake(CoMo(config, D)).double().train()
    h = torch.rand(2, 3, 3, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, D, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[[True, True, True]], [[True, True, False]]]) if masked else None

    def hidden(x: torch.Tensor) -> torch.Tensor:
        return x if mask is None else x.masked_fill(~mask, 0)

    assert torch.autograd.gradcheck(
        lambda h, x: como(hidden(h), hidden(x), mask), (h, x), fast_mode=True
    )
