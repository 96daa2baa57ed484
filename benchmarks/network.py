"""How fast each network runs, against its plain form and the matrix-multiply limit of the same run.

    python benchmarks/network.py [--device cpu] [--rounds 7] [--networks inception-i3d,i3d-resnet50]

Random weights, one batch of clips of 16 frames at 224x224, ways taking turns. Rows:

- matmul: square matrices in float32; matmul-bfloat16 where the device has it in hardware;
- plain: Inception-I3D eager, contiguous, batch norm apart (`plain_inception_i3d.py`);
- a row a network, float32; with `-bfloat16` where the device has it;
- inception-i3d-snippets on a CPU, inception-i3d-snippets-bfloat16 on a CUDA device: the form that
  cuts crops itself, ten of them (`backbones.inception_overlap`, `backbones.inception_gpu`).

Operations are counted by PyTorch (`FlopCounterMode`), two for a multiply-add, on a network without
numbers: as it is written. A form that finds some of them needless can have a share above 1.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from extract import MATRIX, has_bfloat16, timed
from machine import RESULTS, memory_mb, processor, slug, write_result
from plain_inception_i3d import unfolded
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vad_toolkit.backbones.inception_i3d import InceptionI3D
from vad_toolkit.backbones.inception_overlap import OverlapInceptionI3D
from vad_toolkit.backbones.registry import BACKBONES
from vad_toolkit.core.crops import TEN_CROP_ORDERS
from vad_toolkit.core.device import pick_device
from vad_toolkit.extraction.batches import CPU_CLIPS

FRAMES, SIZE = 16, 224
FRAME_SIZE = (256, 341)  # of a snippet that crops are cut from
BATCH = {"cpu": CPU_CLIPS, "cuda": 60}
DEFAULT = "inception-i3d,i3d-resnet50,i3d-resnet50-nonlocal,s3d,mvit_v2_s,swin3d_t"


def build(name: str, device: torch.device, dtype: torch.dtype) -> nn.Module:
    network = BACKBONES[name].build().requires_grad_(False).eval()
    return network.to(device=device, dtype=dtype, memory_format=torch.channels_last_3d)


def gflop_of(name: str, clips: int) -> float:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        BACKBONES[name].build().eval()(torch.empty(clips, 3, FRAMES, SIZE, SIZE))
    return counter.get_total_flops() / 1e9


def snippets_pass(network: InceptionI3D, count: int) -> Callable[[], object]:
    """A pass of so many snippets of ten crops, in the form that cuts them itself."""
    weight = network.stem.conv.weight
    order = TEN_CROP_ORDERS["torchvision"]
    snippets = (torch.rand((count, FRAMES, *FRAME_SIZE, 4), device=weight.device) * 2 - 1).to(
        weight
    )
    whole: Callable[[Sequence[Tensor]], Tensor] = OverlapInceptionI3D(network, order, SIZE)
    if weight.is_cuda:
        # Here, since without a CUDA device there may be no Triton.
        from vad_toolkit.backbones.inception_gpu import GpuInceptionI3D

        whole = GpuInceptionI3D(network, order, SIZE)
    return lambda: whole(list(snippets))


@torch.inference_mode()
def measure(device: torch.device, names: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Medians of seconds, and what follows from them, a row a way."""
    generator = torch.Generator().manual_seed(0)
    size, batch = MATRIX[device.type], BATCH[device.type]
    a, b = torch.rand((2, size, size), generator=generator).to(device)
    clips = torch.rand((batch, 3, FRAMES, SIZE, SIZE), generator=generator).mul_(2).sub_(1)
    flat = clips.to(device)
    clips = flat.to(memory_format=torch.channels_last_3d)
    # The call, its operations, its clips.
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
    rows["inception-i3d"]["times_plain"] = round(
        rows["plain"]["seconds_median"] / rows["inception-i3d"]["seconds_median"], 2
    )
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
