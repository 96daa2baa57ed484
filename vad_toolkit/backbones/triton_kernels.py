"""Triton kernels for operations of Inception-I3D that are slow in PyTorch on CUDA devices.

Tensors are (n, T, H, W, channels) with adjacent channels; a kernel that reads or writes a slice of
channels does not touch the others. Sums and biases are float32. The kernels are worth it because
PyTorch's maximum writes an index of eight bytes per value of two bytes, and cuDNN has no fast
convolution of three channels (`benchmarks/network.py`).

Tests run the kernels on a CPU, slowly, with `TRITON_INTERPRET=1` in the environment.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

STEM_LINE = 4  # the length of a window's rows is a multiple of it, so that loads are 16 bytes
STEM_TAPS = 8  # along a row: the stem's seven, and one more for the mirrored weights
STEM_CHANNELS = 4
STEM_OUT = 64
LEAST_SHARED = 99 << 10  # bytes per program on the smallest devices since compute capability 8.0
Three = tuple[int, int, int]


@triton.jit
def _convolve(
    x, weight, bias, out0, out1, out2, rows, T, H, W, channels, x_stride, outputs, end0, end1,
    stride0, stride1, stride2,
    K: tl.constexpr, PARTS: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK_IN: tl.constexpr, BLOCK_OUT: tl.constexpr,
):  # fmt: skip
    blocks = tl.cdiv(outputs, BLOCK_OUT)
    program = tl.program_id(0)
    row = program // blocks * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = program % blocks * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    inner = tl.arange(0, BLOCK_IN)
    w0 = row % W - K // 2
    h0 = row // W % H - K // 2
    t0 = row // (W * H) % T - K // 2
    center = row.to(tl.int64) * x_stride
    exists = row < rows
    wanted = column < outputs
    steps = channels // BLOCK_IN
    total = tl.zeros((BLOCK_ROWS, BLOCK_OUT), tl.float32)
    for step in range(0, K * K * K * steps):
        tap = step // steps
        first = step % steps * BLOCK_IN
        kt = tap // (K * K)
        kh = tap // K % K
        kw = tap % K
        inside = exists
        if K > 1:
            inside = inside & (t0 + kt >= 0) & (t0 + kt < T) & (h0 + kh >= 0) & (h0 + kh < H)
            inside = inside & (w0 + kw >= 0) & (w0 + kw < W)
        shift = (((kt - K // 2) * H + kh - K // 2) * W + kw - K // 2) * x_stride + first
        a = tl.load(x + (center + shift)[:, None] + inner[None, :], inside[:, None], 0.0)
        b = tl.load(
            weight + (step * BLOCK_IN + inner)[:, None] * outputs + column[None, :],
            wanted[None, :],
            0.0,
        )
        total = tl.dot(a, b, total, input_precision=PRECISION)
    total = tl.maximum(total + tl.load(bias + column, wanted, 0.0)[None, :], 0.0)
    value = total.to(out0.dtype.element_ty)
    long = row.to(tl.int64)[:, None]
    first_part = exists[:, None] & (column < end0)[None, :]
    tl.store(out0 + long * stride0 + column[None, :], value, first_part)
    if PARTS == 3:
        second = exists[:, None] & ((column >= end0) & (column < end1))[None, :]
        tl.store(out1 + long * stride1 + (column - end0)[None, :], value, second)
        third = exists[:, None] & ((column >= end1) & wanted)[None, :]
        tl.store(out2 + long * stride2 + (column - end1)[None, :], value, third)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, outs: Sequence[Tensor]) -> None:
    """Write the ReLU of a 1x1x1 convolution, or of a 3x3x3 one with padding, into slices.

    Args:
        x: (n, T, H, W, channels), or a slice of channels; their number is a multiple of 16.
        weight: (1 or 27 positions * channels, outputs), positions in the order of x's axes.
        bias: float32 (outputs,).
        outs: One or three tensors or slices (n, T, H, W, some outputs) that take the outputs in
            order.
    """
    n, frames, height, width, channels = x.shape
    outputs = weight.shape[1]
    # The fastest of those tried on an H100; results do not depend on these sizes.
    one_place = len(weight) == channels
    sizes = (64, 32, 16) if one_place and len(outs) == 1 else (32, 16)
    block_in = next(size for size in sizes if channels % size == 0)
    block_out = 32 if outputs <= 32 else 64 if one_place or outputs <= 64 else 128
    places = round((len(weight) // channels) ** (1 / 3))
    rows = n * frames * height * width
    ends = [out.shape[-1] for out in outs]
    parts = [*outs, outs[0], outs[0]][:3]
    _convolve[(triton.cdiv(rows, 128) * triton.cdiv(outputs, block_out),)](
        x, weight, bias, *parts, rows, frames, height, width, channels, x.stride(3), outputs,
        ends[0], sum(ends[:2]), *(part.stride(3) for part in parts),
        K=places, PARTS=len(outs), PRECISION=_precision(),
        BLOCK_ROWS=128, BLOCK_IN=block_in, BLOCK_OUT=block_out,
        num_warps=4,
        num_stages=_stages(x, block_in * (128 + block_out), 4 if len(outs) > 1 else 3),
    )  # fmt: skip


@triton.jit
def _stem(
    windows, weight, bias, out, plain, mirrored, rows, T, H, W, plane, line,
    FIRST: tl.constexpr, COLUMNS: tl.constexpr, TOTAL: tl.constexpr, OUT: tl.constexpr,
    PRECISION: tl.constexpr, BLOCK_ROWS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = FIRST + tl.arange(0, COLUMNS)
    inner = tl.arange(0, INNER)
    exists = row < rows
    w = row % W
    h = row // W % H
    t = row // (W * H) % T
    window = tl.minimum(row, rows - 1) // (W * H * T)
    # A step is two frames, two rows and two columns; 8 values are 2 columns of 4 channels.
    start = (window * (2 * T + 5) + 2 * t).to(tl.int64) * plane + 2 * h * line + w * 8
    total = tl.zeros((BLOCK_ROWS, COLUMNS), tl.float32)
    for tap in range(0, 49):
        shift = tap // 7 * plane + tap % 7 * line
        a = tl.load(windows + (start + shift)[:, None] + inner[None, :], exists[:, None], 0.0)
        b = tl.load(weight + (tap * INNER + inner)[:, None] * TOTAL + column[None, :])
        total = tl.dot(a, b, total, input_precision=PRECISION)
    total = tl.maximum(total + tl.load(bias + column % OUT)[None, :], 0.0)
    value = total.to(out.dtype.element_ty)
    place = (t * H + h) * W
    as_is = (tl.load(plain + window) * (T * H * W) + place + w).to(tl.int64) * OUT
    turned = (tl.load(mirrored + window) * (T * H * W) + place + W - 1 - w).to(tl.int64) * OUT
    target = tl.where((column < OUT)[None, :], as_is[:, None], turned[:, None])
    tl.store(out + target + (column % OUT)[None, :], value, exists[:, None])


def stem(
    windows: Tensor, weight: Tensor, bias: Tensor, out: Tensor, plain: Tensor, mirrored: Tensor,
    halves: str,
) -> None:  # fmt: skip
    """Write Inception-I3D's 7x7x7 convolution of stride 2 and its ReLU, of windows and mirrors.

    A window and its mirror image are read once: the output for the mirror image is that of mirrored
    weights for the window, in reversed order along a row.

    Args:
        windows: (n, T + 5, H + 5, at least W + 6, 4), padded with zeros: 2 before and 3 after the
            frames and rows, 3 before and the rest after the columns. T, H and W are even, and the
            length of a row is a multiple of `STEM_LINE`.
        weight: The result of `stem_weight`.
        bias: float32 (64,).
        out: (clips, T / 2, H / 2, W / 2, 64).
        plain: int64 (n,), the clip of each window; not used if `halves` is "mirrored".
        mirrored: int64 (n,), the clip of its mirror image; not used if `halves` is "plain".
        halves: The outputs to write: "both", "plain" or "mirrored".
    """
    _, frames, height, width, _ = out.shape
    rows = len(windows) * frames * height * width
    first = STEM_OUT if halves == "mirrored" else 0
    columns = 2 * STEM_OUT if halves == "both" else STEM_OUT
    block = 512 // windows.element_size()
    _stem[(triton.cdiv(rows, block),)](
        windows, weight, bias, out, plain, mirrored, rows, frames, height, width,
        windows.stride(1), windows.stride(2),
        FIRST=first, COLUMNS=columns, TOTAL=2 * STEM_OUT, OUT=STEM_OUT,
        PRECISION=_precision(), BLOCK_ROWS=block, INNER=STEM_TAPS * STEM_CHANNELS,
        num_warps=block // 32, num_stages=_stages(windows, 32 * (block + columns), 4),
    )  # fmt: skip


def _stages(x: Tensor, numbers: int, most: int) -> int:
    """Return the number of steps to prefetch: as many as the device's shared memory holds."""
    if not x.is_cuda:
        return most
    properties = torch.cuda.get_device_properties(x.device)
    memory = int(getattr(properties, "shared_memory_per_block_optin", LEAST_SHARED))
    return max(1, min(most, memory // (numbers * x.element_size())))


def _precision() -> str:
    """Return the rounding of float32 products, like PyTorch's. Those of bfloat16 are exact."""
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee"


def stem_weight(kernel: Tensor, mirrored_from: int) -> Tensor:
    """Return the weights of `stem` (49 * 8 * 4, 128) for a kernel (64, channels, 7, 7, 7).

    The eight columns start one before the seven of a window: 1 to 7 are those of the window, and 6
    down to 0 those of its mirror image.

    Args:
        kernel: The weight of the convolution.
        mirrored_from: The first channel of mirrored crops (flow has other values there).
    """
    outputs, channels = kernel.shape[:2]
    laid = kernel.new_zeros((7, 7, STEM_TAPS, STEM_CHANNELS, 2, outputs))
    taps = kernel.permute(2, 3, 4, 1, 0)
    laid[:, :, 1:, :channels, 0] = taps
    laid[:, :, :7, mirrored_from : mirrored_from + channels, 1] = taps.flip(2)
    return laid.reshape(-1, 2 * outputs)


@triton.jit
def _largest(
    x, out, rows, T, H, W, To, Ho, Wo, channels, x_stride, out_stride, pt, ph, pw,
    KT: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr,
    ST: tl.constexpr, SH: tl.constexpr, SW: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK_CHANNELS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    channel = tl.program_id(1) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    w0 = row % Wo * SW - pw
    h0 = row // Wo % Ho * SH - ph
    t0 = row // (Wo * Ho) % To * ST - pt
    n = row // (Wo * Ho * To)
    start = (((n * T + t0) * H + h0) * W + w0).to(tl.int64) * x_stride
    exists = row < rows
    wanted = (channel < channels)[None, :]
    best = tl.full((BLOCK_ROWS, BLOCK_CHANNELS), float("-inf"), tl.float32)
    for kt in tl.static_range(KT):
        for kh in tl.static_range(KH):
            for kw in tl.static_range(KW):
                inside = exists & (t0 + kt >= 0) & (t0 + kt < T) & (h0 + kh >= 0) & (h0 + kh < H)
                inside = inside & (w0 + kw >= 0) & (w0 + kw < W)
                shift = ((kt * H + kh) * W + kw) * x_stride
                value = tl.load(
                    x + (start + shift)[:, None] + channel[None, :],
                    inside[:, None] & wanted,
                    float("-inf"),
                )
                best = tl.maximum(best, value.to(tl.float32))
    tl.store(
        out + row.to(tl.int64)[:, None] * out_stride + channel[None, :],
        best.to(out.dtype.element_ty),
        exists[:, None] & wanted,
    )


def largest(x: Tensor, kernel: Three, stride: Three, before: Three, out: Tensor) -> None:
    """Write the maximum of each window into a tensor or a slice (max pooling).

    Args:
        x: (n, T, H, W, channels), or a slice of channels.
        kernel: The size of a window along T, H, W.
        stride: The step from one window to the next.
        before: The padding before the start; padding never is the maximum.
        out: (n, To, Ho, Wo, channels). With a window of one position, this is a copy.
    """
    n, frames, height, width, channels = x.shape
    rows = n * out.shape[1] * out.shape[2] * out.shape[3]
    _largest[(triton.cdiv(rows, 32), triton.cdiv(channels, 64))](
        x, out, rows, frames, height, width, *out.shape[1:4], channels, x.stride(3), out.stride(3),
        *before,
        KT=kernel[0], KH=kernel[1], KW=kernel[2], ST=stride[0], SH=stride[1], SW=stride[2],
        BLOCK_ROWS=32, BLOCK_CHANNELS=64, num_warps=4,
    )  # fmt: skip


@triton.jit
def _largest_around(
    x, out, blocks, T, H, W, channels,
    BLOCK: tl.constexpr, BLOCK_CHANNELS: tl.constexpr,
):  # fmt: skip
    # A block has two frames and two rows: 16 rows of 3 columns are read for four values.
    block = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.program_id(1) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    high = (H + 1) // 2
    w = block % W
    h = block // W % high * 2
    t = block // (W * high) % ((T + 1) // 2) * 2
    n = block // (W * high * ((T + 1) // 2))
    exists = block < blocks
    wanted = (channel < channels)[None, :]
    center = (((n * T + t) * H + h) * W + w).to(tl.int64) * channels
    nothing = tl.full((BLOCK, BLOCK_CHANNELS), float("-inf"), tl.float32)
    best00 = nothing
    best01 = nothing
    best10 = nothing
    best11 = nothing
    for kt in tl.static_range(4):
        upper = nothing
        lower = nothing
        for kh in tl.static_range(4):
            inside = exists & (t + kt - 1 >= 0) & (t + kt - 1 < T)
            inside = inside & (h + kh - 1 >= 0) & (h + kh - 1 < H)
            widest = nothing
            for kw in tl.static_range(3):
                reached = inside & (w + kw - 1 >= 0) & (w + kw - 1 < W)
                shift = (((kt - 1) * H + kh - 1) * W + kw - 1) * channels
                value = tl.load(
                    x + (center + shift)[:, None] + channel[None, :],
                    reached[:, None] & wanted,
                    float("-inf"),
                )
                widest = tl.maximum(widest, value.to(tl.float32))
            if kh < 3:
                upper = tl.maximum(upper, widest)
            if kh > 0:
                lower = tl.maximum(lower, widest)
        if kt < 3:
            best00 = tl.maximum(best00, upper)
            best01 = tl.maximum(best01, lower)
        if kt > 0:
            best10 = tl.maximum(best10, upper)
            best11 = tl.maximum(best11, lower)
    target = out + center[:, None] + channel[None, :]
    below = h + 1 < H
    after = t + 1 < T
    kind = out.dtype.element_ty
    tl.store(target, best00.to(kind), exists[:, None] & wanted)
    tl.store(target + W * channels, best01.to(kind), (exists & below)[:, None] & wanted)
    later = target + H * W * channels
    tl.store(later, best10.to(kind), (exists & after)[:, None] & wanted)
    tl.store(later + W * channels, best11.to(kind), (exists & after & below)[:, None] & wanted)


def largest_around(x: Tensor) -> Tensor:
    """Return the 3x3x3 maximum around each position of a contiguous (n, T, H, W, channels)."""
    n, frames, height, width, channels = x.shape
    out = torch.empty_like(x)
    blocks = n * -(-frames // 2) * -(-height // 2) * width
    _largest_around[(triton.cdiv(blocks, 16), triton.cdiv(channels, 64))](
        x, out, blocks, frames, height, width, channels,
        BLOCK=16, BLOCK_CHANNELS=64, num_warps=4,
    )  # fmt: skip
    return out


@triton.jit
def _look_up(
    frames, table, out, pixels, H, W, by_frame, by_channel, by_line, by_place,
    BLOCK: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.arange(0, 4)[None, :]
    exists = (pixel < pixels)[:, None]
    w = pixel % W
    h = pixel // W % H
    n = (pixel // (W * H)).to(tl.int64)
    start = (n * by_frame + h * by_line + w * by_place)[:, None]
    value = tl.load(frames + start + channel * by_channel, exists & (channel < 3), 0)
    made = tl.load(table + channel * 256 + value.to(tl.int32))
    tl.store(out + pixel.to(tl.int64)[:, None] * 4 + channel, made, exists)


def look_up(frames: Tensor, table: Tensor) -> Tensor:
    """Replace each value of three channels by its table entry, and add a channel of zeros.

    Args:
        frames: uint8 (n, 3, height, width).
        table: Contiguous (4, 256); the last row is zeros.

    Returns:
        (n, height, width, 4) in the type of the table.
    """
    n, _, height, width = frames.shape
    out = table.new_empty((n, height, width, 4))
    pixels = n * height * width
    _look_up[(triton.cdiv(pixels, 512),)](
        frames, table, out, pixels, height, width, *frames.stride(), BLOCK=512, num_warps=4
    )
    return out
