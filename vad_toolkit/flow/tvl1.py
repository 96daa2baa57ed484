"""TV-L1 optical flow of many pairs of frames, on the CPU and on GPUs.

Source: C. Zach, T. Pock, H. Bischof, "A Duality Based Approach for Realtime TV-L1 Optical Flow",
DAGM 2007, with the discretization of J. Sánchez Pérez, E. Meinhardt-Llopis, G. Facciolo, "TV-L1
Optical Flow Estimation", IPOL 2013. Pyramid, median filter and stopping rule are those of OpenCV's
DualTVL1OpticalFlow (opencv_contrib, modules/optflow) with gamma = 0. Kinetics-I3D was trained on
the flow of this algorithm.

From the coarsest to the finest image of a pyramid, and several times ("warps") per image, the
second image is warped by the current flow u and linearized. Then three steps alternate until u
changes by less than epsilon pixels (root mean square):

    v = u + f grad I1,  where f = clip(-rho(u) / |grad I1|^2, -lambda theta, lambda theta)
    u = v + theta div p
    p = (p + tau / theta grad u) / (1 + tau / theta |grad u|)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from vad_toolkit.core.device import why_no_kernels
from vad_toolkit.flow.estimator import check_frames
from vad_toolkit.flow.median import median_filter
from vad_toolkit.flow.tvl1_parameters import Minimiser, TVL1Parameters

if TYPE_CHECKING:
    from vad_toolkit.flow.tvl1_kernels import IterationsCache

SMALLEST_SIDE = 3  # pixels; smaller frames have no gradient
SMALLEST_LEVEL = 16  # pixels of the smallest image of the pyramid

# Pixels per chunk of pairs, at about 150 bytes each. On the CPU each thread has a chunk of one
# pair: the data of an iteration fits the cache, and no pair iterates longer because of another one.
CHUNK_PIXELS = {"cpu": 1, "cuda": 1 << 24}
# Iterations between two checks if all pairs of a chunk have converged: each makes a GPU wait.
CHECK_EVERY = {"cpu": 1, "cuda": 10}


class TVL1:
    """`FlowEstimator` in PyTorch. The flow of a pair does not depend on the other pairs."""

    def __init__(self, parameters: TVL1Parameters | None = None) -> None:
        self.parameters = parameters or TVL1Parameters()
        self._recorded: IterationsCache | None = None  # on a CUDA device with Triton

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> Tensor:
        check_frames(frames, SMALLEST_SIDE)
        if self._recorded is None and why_no_kernels(frames.device) is None:
            from vad_toolkit.flow.tvl1_kernels import IterationsCache

            self._recorded = IterationsCache()
        images = grey(frames)
        pairs, (height, width) = len(frames) - 1, frames.shape[2:]
        chunk = max(1, CHUNK_PIXELS[frames.device.type] // (height * width))
        flow = images.new_empty((pairs, 2, height, width))

        @torch.inference_mode()  # each thread has its own
        def estimate(start: int) -> None:
            stop = min(start + chunk, pairs)
            flow[start:stop] = _estimate(
                images[start:stop], images[start + 1 : stop + 1], self.parameters, self._recorded
            )

        if frames.device.type == "cpu":
            _on_threads(estimate, range(0, pairs, chunk))
        else:
            for start in range(0, pairs, chunk):
                estimate(start)
        return flow


def load_tvl1(device: torch.device, dtype: torch.dtype) -> TVL1:
    """Return TV-L1 with the default parameters."""
    return TVL1()


def grey(frames: Tensor) -> Tensor:
    """Return gray values like OpenCV's RGB2GRAY: 0.299 R + 0.587 G + 0.114 B, rounded.

    Args:
        frames: uint8 (N, 3, H, W), RGB.

    Returns:
        float32 (N, 1, H, W), integers in 0..255.
    """
    red, green, blue = frames.to(torch.int32).unbind(dim=1)
    grey: Tensor = (9798 * red + 19235 * green + 3735 * blue + (1 << 14)) >> 15
    return grey.float()[:, None]


def _on_threads(function: Callable[[int], None], arguments: Iterable[int]) -> None:
    """Call `function` with each argument, on as many threads as torch has, one call per thread.

    A pass over one pair is so short that threads which share it mostly wait for each other.
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, "tvl1", torch.set_num_threads, (1,)) as pool:
            list(pool.map(function, arguments))
    finally:
        torch.set_num_threads(threads)  # later threads inherit the number


def _estimate(
    first: Tensor, second: Tensor, parameters: TVL1Parameters, recorded: IterationsCache | None
) -> Tensor:
    """Return the flow (B, 2, H, W) of pairs of gray images (B, 1, H, W), coarse to fine."""
    step = parameters.scale_step
    levels = [(first, second)]
    while len(levels) < parameters.scales:
        size = [round(side * step) for side in levels[-1][0].shape[2:]]
        if min(size) < SMALLEST_LEVEL:
            break
        smaller = [_resize(image, size, (step, step)) for image in levels[-1]]
        levels.append((smaller[0], smaller[1]))

    flow = first.new_zeros((len(first), 2, *levels[-1][0].shape[2:]))
    for first, second in reversed(levels):
        old, new = flow.shape[2:], first.shape[2:]
        if old != new:
            flow = _resize(flow, list(new), (new[0] / old[0], new[1] / old[1])) / step
        flow = _refine(first, second, flow, parameters, recorded)
    return flow


def _refine(
    first: Tensor,
    second: Tensor,
    flow: Tensor,
    parameters: TVL1Parameters,
    recorded: IterationsCache | None,
) -> Tensor:
    """Return the flow after all warps of one image of the pyramid."""
    channels = _widen(torch.cat([second, *_central_differences(second)], dim=1))
    minimise: Minimiser
    if recorded is None:
        minimise = partial(_minimise, dual=_Dual(flow), parameters=parameters)
    else:
        minimise = recorded.minimiser(flow, parameters)
    for _ in range(parameters.warps):
        warped = _warp(channels, flow)
        image, gradient = warped[:, :1], warped[:, 1:]
        residual = image - first - (gradient * flow).sum(1, keepdim=True)
        # -rho / |grad|^2 = offset + slope . u
        norm = gradient.square().sum(1, keepdim=True).clamp_(min=torch.finfo(torch.float32).eps)
        flow = minimise(flow, gradient, gradient / -norm, residual / -norm)
    return flow


class _Dual:
    """Dual variable p, times theta, for the x and y derivatives of both components of the flow.

    A column (or row) of zeros precedes the first one, and the last one stays zero, so that backward
    differences, borders included, are the difference of two slices.
    """

    def __init__(self, flow: Tensor) -> None:
        pairs, components, height, width = flow.shape
        self.x = flow.new_zeros((pairs, components, height, width + 1))
        self.y = flow.new_zeros((pairs, components, height + 1, width))


def _minimise(
    flow: Tensor,
    gradient: Tensor,
    slope: Tensor,
    offset: Tensor,
    dual: _Dual,
    parameters: TVL1Parameters,
) -> Tensor:
    """Return the flow that minimizes the energy linearized at a warp; `dual` is updated.

    Every line of the loop is an in-place pass over memory, which is where the time goes. Pairs that
    have converged are multiplied by factors of 0, so that they no longer change.

    Args:
        flow: (B, 2, H, W), where iterations start.
        gradient: (B, 2, H, W), of the warped second image.
        slope: (B, 2, H, W). offset + slope . u is the step of u along the gradient that makes the
            images equal.
        offset: (B, 1, H, W).
        dual: Of the image of the pyramid.
        parameters: Of TV-L1.
    """
    bound = parameters.lambda_ * parameters.theta
    ratio = parameters.tau / parameters.theta
    pairs, _, height, width = flow.shape
    threshold = parameters.epsilon * (height * width) ** 0.5
    together = pairs > 1
    check_every = CHECK_EVERY[flow.device.type]

    flow = flow.clone()
    change, scale = torch.empty_like(flow), torch.empty_like(flow)
    dx, dy = torch.zeros_like(flow), torch.zeros_like(flow)
    factor, one = torch.empty_like(offset), torch.ones((), device=flow.device)
    moving = torch.ones((pairs, 1, 1, 1), device=flow.device)

    # Created once, because creating a view takes as long as a pass over a small image.
    u, v, slope_u, slope_v = flow[:, :1], flow[:, 1:], slope[:, :1], slope[:, 1:]
    px, px_before = dual.x[..., 1:], dual.x[..., :-1]
    py, py_before = dual.y[:, :, 1:], dual.y[:, :, :-1]
    dx_inner, flow_right, flow_left = dx[..., :-1], flow[..., 1:], flow[..., :-1]
    dy_inner, flow_below, flow_above = dy[:, :, :-1], flow[:, :, 1:], flow[:, :, :-1]

    iteration = 0
    for _ in range(parameters.outer_iterations):
        filtered = median_filter(flow, parameters.median_filtering)
        flow.copy_(torch.where(moving > 0, filtered, flow) if together else filtered)
        for _ in range(parameters.inner_iterations):
            torch.addcmul(offset, slope_u, u, out=factor).addcmul_(slope_v, v)
            factor.clamp_(-bound, bound)
            torch.sub(px, px_before, out=change).add_(py).sub_(py_before)
            change.addcmul_(gradient, factor)
            if together:
                change.mul_(moving)
            flow.add_(change)

            torch.sub(flow_right, flow_left, out=dx_inner)
            torch.sub(flow_below, flow_above, out=dy_inner)
            if together:
                dx.mul_(moving)
                dy.mul_(moving)
            torch.mul(dx, dx, out=scale).addcmul_(dy, dy).sqrt_()
            torch.add(one, scale, alpha=ratio, out=scale)
            px.add_(dx, alpha=parameters.tau).div_(scale)
            py.add_(dy, alpha=parameters.tau).div_(scale)

            moved = torch.linalg.vector_norm(change, dim=(1, 2, 3), keepdim=True)
            moving = moving * (moved > threshold)
            iteration += 1
            if iteration % check_every == 0 and not moving.any():
                return flow
    return flow


def _warp(channels: Tensor, flow: Tensor) -> Tensor:
    """Sample `channels` at x + flow(x): bicubic with a = -0.75, zero outside of the image.

    Args:
        channels: (B, C, H', W'), widened by `_widen`.
        flow: (B, 2, H, W).

    Returns:
        (B, C, H, W).
    """
    height, width = flow.shape[2:]
    x = torch.arange(width, device=flow.device) + flow[:, 0]
    y = torch.arange(height, device=flow.device)[:, None] + flow[:, 1]
    to_unit = 2 / (channels.size(3) - 1), 2 / (channels.size(2) - 1)
    grid = torch.stack((x * to_unit[0] - 1, y * to_unit[1] - 1), dim=-1)
    return F.grid_sample(channels, grid, "bicubic", "zeros", align_corners=True)


def _widen(images: Tensor) -> Tensor:
    """Pad with zeros to the right and below, until each side is a power of two plus one.

    `grid_sample` takes positions relative to the side. With these sides, integer positions are
    exact, so that a static scene has no flow; otherwise errors of 1e-5 pixels become flow.
    """
    right, below = (
        2 ** math.ceil(math.log2(side - 1)) + 1 - side for side in (images.size(3), images.size(2))
    )
    return F.pad(images, (0, right, 0, below))


def _central_differences(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return half the difference of a pixel's neighbors in x and y, with replicated borders."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    x = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    y = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    return x, y


def _resize(images: Tensor, size: list[int], scale: tuple[float, float]) -> Tensor:
    """Resize bilinearly without smoothing; size and scale are (height, width).

    Like OpenCV, sample positions follow from the requested scale and not from the rounded size;
    torch's resize accepts only one of the two.
    """
    for dim, side, factor in ((2, size[0], scale[0]), (3, size[1], scale[1])):
        last = images.size(dim) - 1
        centres = torch.arange(side, dtype=torch.float64, device=images.device) + 0.5
        position = (centres / factor - 0.5).clamp(0, last)
        lower = position.floor().clamp(max=max(last - 1, 0))
        weight = (position - lower).float().view(-1, *(1,) * (3 - dim))
        index = lower.long()
        before = images.index_select(dim, index)
        after = images.index_select(dim, (index + 1).clamp(max=last))
        images = before * (1 - weight) + after * weight
    return images
