"""Triton kernels for the iterations of TV-L1 on a CUDA device, recorded as one CUDA graph.

The sixteen passes over memory of `tvl1` are two kernels here: one computes the flow of each pixel
from the dual variable around it, the other the dual variable from the flow. Both return at once for
a pair that has converged. Each block sees this in the sums that the blocks of its pair wrote in the
previous iteration, so no pair waits for the host, and results do not depend on the order of blocks.

Tests run the kernels on a CPU, slowly, with `TRITON_INTERPRET=1` in the environment.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import triton
import triton.language as tl
from torch import Tensor

from vad_toolkit.flow.median import median_network
from vad_toolkit.flow.tvl1_parameters import Minimiser, TVL1Parameters

BLOCK = 1024  # pixels per program
MEDIAN_BLOCK = 256
KEPT = 24  # recorded graphs; the pyramid of a video needs five


@triton.jit
def _moves(sums, pair, blocks, threshold, BLOCKS: tl.constexpr):
    index = tl.arange(0, BLOCKS)
    return tl.sqrt(tl.sum(tl.load(sums + pair * blocks + index, index < blocks, 0.0))) > threshold


@triton.jit
def _flow_step(
    source, flow, dual, constants, before, after, H, W, blocks, threshold, bound,
    BLOCKS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(0) // blocks
    moved = 0.0
    if _moves(before, pair, blocks, threshold, BLOCKS):
        pixel = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
        size = H * W
        inside = pixel < size
        left = inside & (pixel % W > 0)
        above = inside & (pixel >= W)
        u_at = pair.to(tl.int64) * 2 * size + pixel
        p_at = pair.to(tl.int64) * 4 * size + pixel
        c_at = pair.to(tl.int64) * 5 * size + pixel
        u = tl.load(source + u_at, inside, 0.0)
        v = tl.load(source + u_at + size, inside, 0.0)
        factor = tl.load(constants + c_at + 2 * size, inside, 0.0)
        factor += tl.load(constants + c_at, inside, 0.0) * u
        factor += tl.load(constants + c_at + size, inside, 0.0) * v
        factor = tl.minimum(tl.maximum(factor, -bound), bound)
        for component in tl.static_range(2):
            px = dual + p_at + 2 * component * size
            change = tl.load(px, inside, 0.0) - tl.load(px - 1, left, 0.0)
            change += tl.load(px + size, inside, 0.0)
            change -= tl.load(px + size - W, above, 0.0)
            change += tl.load(constants + c_at + (3 + component) * size, inside, 0.0) * factor
            change = tl.where(inside, change, 0.0)
            own = u if component == 0 else v
            tl.store(flow + u_at + component * size, own + change, inside)
            moved += tl.sum(change * change)
    tl.store(after + tl.program_id(0), moved)


@triton.jit
def _dual_step(
    flow, dual, before, H, W, blocks, threshold, tau, ratio,
    BLOCKS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(0) // blocks
    if _moves(before, pair, blocks, threshold, BLOCKS):
        pixel = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
        size = H * W
        inside = pixel < size
        right = inside & (pixel % W < W - 1)
        below = pixel < size - W
        for component in tl.static_range(2):
            u_at = flow + (pair.to(tl.int64) * 2 + component) * size + pixel
            px = dual + (pair.to(tl.int64) * 4 + 2 * component) * size + pixel
            u = tl.load(u_at, inside, 0.0)
            dx = tl.where(right, tl.load(u_at + 1, right, 0.0) - u, 0.0)
            dy = tl.where(below, tl.load(u_at + W, below, 0.0) - u, 0.0)
            scale = 1 + ratio * tl.sqrt(dx * dx + dy * dy)
            tl.store(px, (tl.load(px, inside, 0.0) + tau * dx) / scale, inside)
            tl.store(px + size, (tl.load(px + size, inside, 0.0) + tau * dy) / scale, inside)


@triton.jit
def _median(
    flow, out, before, H, W, blocks, threshold, tiles,
    SIDE: tl.constexpr, STEPS: tl.constexpr, MIDDLE: tl.constexpr, BLOCKS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    plane = tl.program_id(0) // tiles
    if _moves(before, plane // 2, blocks, threshold, BLOCKS):
        pixel = tl.program_id(0) % tiles * BLOCK + tl.arange(0, BLOCK)
        inside = pixel < H * W
        start = flow + plane.to(tl.int64) * H * W
        values = ()
        for tap in tl.static_range(SIDE * SIDE):
            y = tl.minimum(tl.maximum(pixel // W + tap // SIDE - SIDE // 2, 0), H - 1)
            x = tl.minimum(tl.maximum(pixel % W + tap % SIDE - SIDE // 2, 0), W - 1)
            values = values + (tl.load(start + y * W + x, inside, 0.0),)  # type: ignore[assignment]  # noqa: RUF005
        # The compiler removes the comparisons that the median does not depend on.
        for step in tl.static_range(len(STEPS)):
            low = values[STEPS[step][0]]  # type: ignore[var-annotated]
            high = values[STEPS[step][1]]  # type: ignore[var-annotated]
            first, second = values[: STEPS[step][0]], values[STEPS[step][0] + 1 :]
            values = first + (tl.minimum(low, high),) + second  # noqa: RUF005
            first, second = values[: STEPS[step][1]], values[STEPS[step][1] + 1 :]
            values = first + (tl.maximum(low, high),) + second  # noqa: RUF005
        tl.store(out + plane.to(tl.int64) * H * W + pixel, values[MIDDLE], inside)


class Iterations:
    """Memory for a number of pairs of one size, and the iterations between two median filters.

    Unused pairs count as converged, which costs almost nothing.

    Args:
        pairs: The most pairs at once.
        height: Of the flow, in pixels.
        width: Of the flow, in pixels.
        device: A CUDA device, or the CPU with Triton's interpreter.
        parameters: Of TV-L1.
    """

    def __init__(
        self, pairs: int, height: int, width: int, device: torch.device, parameters: TVL1Parameters
    ) -> None:
        self.pairs, self.height, self.width = pairs, height, width
        self._side = parameters.median_filtering
        self._threshold = parameters.epsilon * (height * width) ** 0.5
        self._tau, self._ratio = parameters.tau, parameters.tau / parameters.theta
        self._bound = parameters.lambda_ * parameters.theta
        self._blocks = triton.cdiv(height * width, BLOCK)

        def planes(channels: int) -> Tensor:
            return torch.zeros((pairs, channels, height, width), device=device)

        self.flow, self._filtered = planes(2), planes(2)
        self.dual = planes(4)  # x and y of the first component, then of the second; times theta
        self.constants = planes(5)  # slope (2), offset, gradient (2)
        count = parameters.inner_iterations
        self._sums = torch.zeros((count + 1, pairs, self._blocks), device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        if device.type == "cuda":
            self._launch()  # compiles, which a graph cannot record
            torch.cuda.synchronize(device)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._launch()

    def start(self, pairs: int) -> None:
        """Mark the first `pairs` as not converged."""
        self._sums[-1].zero_()
        self._sums[-1, :pairs] = torch.inf

    def run(self) -> bool:
        """Run the median filter and iterations; return True if a pair has not converged."""
        if self._graph is None:
            self._launch()
        else:
            self._graph.replay()
        return bool((self._sums[-1].sum(1).sqrt() > self._threshold).any())

    def _launch(self) -> None:
        height, width, blocks = self.height, self.width, self._blocks
        rounded = triton.next_power_of_2(blocks)
        grid = (self.pairs * blocks,)
        self._sums[0] = self._sums[-1]
        source = self.flow
        if self._side > 1:
            source = self._filtered
            tiles = triton.cdiv(height * width, MEDIAN_BLOCK)
            steps, middle = median_network(self._side)
            _median[(2 * self.pairs * tiles,)](
                self.flow, source, self._sums[0], height, width, blocks, self._threshold, tiles,
                SIDE=self._side, STEPS=steps, MIDDLE=middle, BLOCKS=rounded, BLOCK=MEDIAN_BLOCK,
            )  # fmt: skip
        for before, after in zip(self._sums[:-1], self._sums[1:], strict=True):
            _flow_step[grid](
                source, self.flow, self.dual, self.constants, before, after, height, width, blocks,
                self._threshold, self._bound, BLOCKS=rounded, BLOCK=BLOCK,
            )  # fmt: skip
            source = self.flow
            _dual_step[grid](
                self.flow, self.dual, before, height, width, blocks, self._threshold, self._tau,
                self._ratio, BLOCKS=rounded, BLOCK=BLOCK,
            )  # fmt: skip


class IterationsCache:
    """The graphs that were used last, because recording one takes longer than running it.

    For one set of parameters. The number of pairs is rounded up to a power of two, so that a few
    graphs serve all chunks of a video.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], Iterations] = OrderedDict()

    def minimiser(self, flow: Tensor, parameters: TVL1Parameters) -> Minimiser:
        """Return `tvl1._minimise` for the pairs of one level, with a new dual variable of zeros."""
        pairs, _, height, width = flow.shape
        recorded = self._get(1 << (pairs - 1).bit_length(), height, width, flow.device, parameters)
        recorded.dual.zero_()

        def minimise(flow: Tensor, gradient: Tensor, slope: Tensor, offset: Tensor) -> Tensor:
            recorded.flow[:pairs] = flow
            torch.cat((slope, offset, gradient), 1, out=recorded.constants[:pairs])
            recorded.start(pairs)
            for _ in range(parameters.outer_iterations):
                if not recorded.run():
                    break
            return recorded.flow[:pairs].clone()

        return minimise

    def _get(
        self, pairs: int, height: int, width: int, device: torch.device, parameters: TVL1Parameters
    ) -> Iterations:
        key = pairs, height, width, device
        if key not in self._kept:
            while len(self._kept) >= KEPT:
                self._kept.popitem(last=False)
            self._kept[key] = Iterations(pairs, height, width, device, parameters)
        self._kept.move_to_end(key)
        return self._kept[key]
