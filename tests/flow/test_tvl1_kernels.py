"""The Triton iterations against the plain ones, on a GPU or in Triton's interpreter."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vad_toolkit.flow import tvl1
from vad_toolkit.flow.median import median_filter
from vad_toolkit.flow.tvl1 import TVL1
from vad_toolkit.flow.tvl1_parameters import TVL1Parameters

# No median: the interpreter takes seconds for one. It has a test of its own.
FEW = TVL1Parameters(
    scales=1, warps=2, outer_iterations=3, inner_iterations=4, median_filtering=1, epsilon=0.05
)


def frames() -> Tensor:
    """A pair that moves much, one that changes scene, one at rest; uint8 (4, 3, 20, 26)."""
    generator = torch.Generator().manual_seed(0)
    base = torch.rand((3, 3, 10, 12), generator=generator) * 255
    large = F.interpolate(base, (44, 52), mode="bicubic").clamp(0, 255)
    shown = [large[0, :, 2:22, 2:28], large[0, :, 3:23, 4:30], large[1, :, 2:22, 2:28]]
    return torch.stack([*shown, shown[-1]]).to(torch.uint8)


def recorded_flow(parameters: TVL1Parameters, images: Tensor) -> Tensor:
    from vad_toolkit.flow.tvl1_kernels import IterationsCache

    cache = IterationsCache()
    with torch.inference_mode():
        return tvl1._estimate(images[:-1], images[1:], parameters, cache)


def test_the_flow_is_that_of_the_plain_iterations(triton_device: str) -> None:
    expected = TVL1(FEW)(frames())
    images = tvl1.grey(frames()).to(triton_device)
    made = recorded_flow(FEW, images).cpu()
    torch.testing.assert_close(made, expected, atol=1e-3, rtol=0)
    assert expected[0].abs().max() > 0.5
    assert not made[2].any()  # at rest, beside others that move


def test_pairs_stop_each_for_itself(triton_device: str) -> None:
    """Alone and in company, in batches that are and are not whole: equal bit for bit."""
    images = tvl1.grey(frames()).to(triton_device)
    together = recorded_flow(FEW, images)
    for index in range(3):
        alone = recorded_flow(FEW, images[index : index + 2])
        assert torch.equal(alone[0], together[index])


def test_a_pair_that_has_converged_is_left_alone(triton_device: str) -> None:
    from vad_toolkit.flow.tvl1_kernels import Iterations

    made = Iterations(2, 6, 7, torch.device(triton_device), FEW)
    made.flow.fill_(1.0)
    made.constants[:, 2].fill_(1.0)  # an offset
    made.constants[:, 3:].fill_(1.0)  # along a gradient: both components would move
    made.start(1)
    made.run()
    assert (made.flow[0] != 1).all()
    assert (made.flow[1] == 1).all()
    assert not made.dual[1].any()


def test_median(triton_device: str) -> None:
    from vad_toolkit.flow.tvl1_kernels import Iterations

    generator = torch.Generator().manual_seed(0)
    for side in (3, 5):
        parameters = TVL1Parameters(median_filtering=side, inner_iterations=1, epsilon=1e9)
        made = Iterations(1, 7, 9, torch.device(triton_device), parameters)
        flow = torch.randn((1, 2, 7, 9), generator=generator)
        made.flow.copy_(flow)
        made.start(1)  # infinity is above any threshold: one iteration, which moves nothing
        assert not made.run()
        assert torch.equal(made.flow.cpu(), median_filter(flow, side))


def test_what_was_recorded_is_used_again(triton_device: str) -> None:
    from vad_toolkit.flow import tvl1_kernels

    cache = tvl1_kernels.IterationsCache()
    flow = torch.zeros((3, 2, 6, 7), device=triton_device)
    cache.minimiser(flow, FEW)
    (kept,) = cache._kept.values()
    assert kept.pairs == 4
    cache.minimiser(flow[:, :, :5], FEW)
    cache.minimiser(torch.cat((flow, flow[:1])), FEW)
    assert len(cache._kept) == 2
    assert kept in cache._kept.values()
