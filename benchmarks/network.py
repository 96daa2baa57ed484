"""Speed of each network, and of each optimization of Inception-I3D, compared with matrix products.

    python benchmarks/network.py [--device cpu] [--rounds 7] [--networks inception-i3d,i3d-resnet50]

Weights are random; a batch has clips of 16 frames at 224x224; the rows are measured in turns:

- matmul: square matrices in float32; matmul-bfloat16 if the hardware supports it.
- plain: Inception-I3D as in papers' code: eager, contiguous, separate batch norm
  (`plain_inception_i3d.py`).
- On a CPU, Inception-I3D with one more optimization per row:
  - inception-i3d-folded: batch norm folded, channels-last, one convolution for three branches;
  - inception-i3d-matrix: 1x1x1 convolutions as matrix products;
  - inception-i3d-pool: 3x3x3 pools one axis at a time;
  - inception-i3d: 3x3x3 convolutions with Winograd's filtering (`volume_conv`);
  - inception-i3d-snippets: the overlap of ten crops computed once (`inception_overlap`).
- One row per network in float32, and one with `-bfloat16` if the hardware supports it.
- On a CUDA device, inception-i3d-snippets-bfloat16: ten crops of whole snippets (`inception_gpu`).

`times_plain` is the speed relative to plain, `times_previous` relative to the optimization before.
Operations are counted by PyTorch (`FlopCounterMode`), two per multiply-add, for the network as it
is written. An optimization that omits some of them can have a share above 1.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F
from extract import MATRIX, has_bfloat16, timed
from machine import RESULTS, memory_mb, processor, slug, write_result
from plain_inception_i3d import unfolded
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vad_toolkit.backbones import backbone, inception_i3d
from vad_toolkit.backbones.inception_i3d import InceptionI3D
from vad_toolkit.backbones.inception_overlap import OverlapInceptionI3D
from vad_toolkit.backbones.registry import BACKBONES
from vad_toolkit.core.crops import TEN_CROP_ORDERS
from vad_toolkit.core.device import pick_device
from vad_toolkit.extraction.batches import CPU_CLIPS

FRAMES, SIZE = 16, 224
FRAME_SIZE = (256, 341)  # of the snippets from which crops are taken
BATCH = {"cpu": CPU_CLIPS, "cuda": 60}
DEFAULT = "inception-i3d,i3d-resnet50,i3d-resnet50-nonlocal,s3d,mvit_v2_s,swin3d_t"


# What replaces each optimization of Inception-I3D on a CPU.
WINOGRAD = (backbone, "has_quick_form", lambda conv, x: False)
POOL = (inception_i3d, "_max_pool_3", lambda x: F.max_pool3d(x, 3, stride=1, padding=1))
MATRIX_PRODUCT = (backbone.FoldedConv3d, "forward", nn.Conv3d.forward)
STEPS = {
    "inception-i3d-folded": (WINOGRAD, POOL, MATRIX_PRODUCT),
    "inception-i3d-matrix": (WINOGRAD, POOL),
    "inception-i3d-pool": (WINOGRAD,),
}
ORDER = ("plain", *STEPS, "inception-i3d", "inception-i3d-snippets")


def build(name: str, device: torch.device, dtype: torch.dtype) -> nn.Module:
    network = BACKBONES[name].build().requires_grad_(False).eval()
    return network.to(device=device, dtype=dtype, memory_format=torch.channels_last_3d)


def run_without(name: str, network: nn.Module, clips: Tensor) -> object:
    """Run a network without the optimizations that the row `name` does not have yet."""
    with ExitStack() as stack:
        for target, attribute, replacement in STEPS[name]:
            stack.enter_context(patch.object(target, attribute, replacement))
        return network(clips)


def gflop_of(name: str, clips: int) -> float:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        BACKBONES[name].build().eval()(torch.empty(clips, 3, FRAMES, SIZE, SIZE))
    return counter.get_total_flops() / 1e9


def snippets_pass(network: InceptionI3D, count: int) -> Callable[[], object]:
    """Return a pass over `count` snippets of ten crops, in the form that takes whole snippets."""
    weight = network.stem.conv.weight
    order = TEN_CROP_ORDERS["torchvision"]
    snippets = (torch.rand((count, FRAMES, *FRAME_SIZE, 4), device=weight.device) * 2 - 1).to(
        weight
    )
    whole: Callable[[Sequence[Tensor]], Tensor] = OverlapInceptionI3D(network, order, SIZE)
    if weight.is_cuda:
        # Imported here because Triton may be missing without a CUDA device.
        from vad_toolkit.backbones.inception_gpu import GpuInceptionI3D

        whole = GpuInceptionI3D(network, order, SIZE)
    return lambda: whole(list(snippets))


@torch.inference_mode()
def measure(device: torch.device, names: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Return the median seconds of each row, and numbers derived from them."""
    generator = torch.Generator().manual_seed(0)
    size, batch = MATRIX[device.type], BATCH[device.type]
    a, b = torch.rand((2, size, size), generator=generator).to(device)
    clips = torch.rand((batch, 3, FRAMES, SIZE, SIZE), generator=generator).mul_(2).sub_(1)
    flat = clips.to(device)
    clips = flat.to(memory_format=torch.channels_last_3d)
    # Row -> call, GFLOP, clips.
    ways: dict[str, tuple[Callable[[], object], float, int]] = {
        "matmul": (lambda: a @ b, 2 * size**3 / 1e9, 0)
    }
    if has_bfloat16(device):
        half_a, half_b, half = a.bfloat16(), b.bfloat16(), clips.bfloat16()
        ways["matmul-bfloat16"] = (lambda: half_a @ half_b, 2 * size**3 / 1e9, 0)
    for name in names:
        network = build(name, device, torch.float32)
        gflop = gflop_of(name, batch)
        ways[name] = (lambda network=network: network(clips), gflop, batch)
        if name == "inception-i3d":
            plain = unfolded(network.cpu()).to(device)
            network.to(device)
            ways["plain"] = (lambda plain=plain: plain(flat), gflop, batch)
            if device.type == "cpu":
                for step in STEPS:
                    run = partial(run_without, step, network, clips)
                    ways[step] = (run, gflop, batch)
                ways[f"{name}-snippets"] = (snippets_pass(network, 1), gflop_of(name, 10), 10)
        if has_bfloat16(device):
            quick = build(name, device, torch.bfloat16)
            ways[f"{name}-bfloat16"] = (lambda quick=quick: quick(half), gflop, batch)
            if name == "inception-i3d" and device.type == "cuda":
                passes = snippets_pass(quick, batch // 10)
                ways[f"{name}-snippets-bfloat16"] = (passes, gflop, batch)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(rounds + 1):
        for name, (call, _, _) in ways.items():
            elapsed = timed(call, device)
            if round_number:  # the first warms up
                seconds[name].append(elapsed)
    rows = {}
    limit = ways["matmul"][1] / statistics.median(seconds["matmul"])
    for name, (_, gflop, count) in ways.items():
        middle = statistics.median(seconds[name])
        rows[name] = {
            "gflop": round(gflop, 1),
            "seconds_median": round(middle, 4),
            "gflop_per_second": round(gflop / middle, 1),
            "share_of_matmul": round(gflop / middle / limit, 3),
        }
        if "matmul-bfloat16" in ways:
            share = rows[name]["gflop_per_second"] * statistics.median(seconds["matmul-bfloat16"])
            rows[name]["share_of_matmul_bfloat16"] = round(share / ways["matmul-bfloat16"][1], 3)
        if count:
            rows[name] |= {"clips": count, "clips_per_second": round(count / middle, 2)}
    speeds = {
        name: ways[name][2] / statistics.median(seconds[name]) for name in ORDER if name in ways
    }
    for previous, name in pairwise(speeds):
        rows[name]["times_plain"] = round(speeds[name] / speeds["plain"], 2)
        rows[name]["times_previous"] = round(speeds[name] / speeds[previous], 2)
    rows["matmul"]["peak_memory_mb"] = round(memory_mb("VmHWM"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--networks", default=DEFAULT, help="inception-i3d first")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    device = pick_device(options.device)
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    rows = measure(device, options.networks.split(","), options.rounds)
    threads = f"{torch.get_num_threads()}threads" if device.type == "cpu" else "gpu"
    write_result(
        options.out / f"network-{slug(machine)}-{threads}.json",
        setting={
            "frames": FRAMES,
            "size": SIZE,
            "batch": BATCH[device.type],
            # PyTorch's default: rows in float32 on a GPU are of convolutions that round so.
            "tf32_convolutions": device.type == "cuda" and torch.backends.cudnn.allow_tf32,
        },
        machine={"device": machine, "threads": torch.get_num_threads()},
        rows=rows,
        torch=torch.__version__,
    )


if __name__ == "__main__":
    main()
