"""How fast each network runs, against its plain form and the matrix-multiply limit of the same run.

    python benchmarks/network.py [--device cpu] [--rounds 7] [--networks inception-i3d,i3d-resnet50]

Random weights, one batch of clips of 16 frames at 224x224, ways taking turns. Rows:

- matmul: square matrices in float32; matmul-bfloat16 where the device has it in hardware;
- plain: Inception-I3D eager, contiguous, batch norm apart (`plain_inception_i3d.py`);
- a row a network, float32; with `-bfloat16` where the device has it;
- inception-i3d-snippets-bfloat16, on a CUDA device: the form that cuts crops itself
  (`backbones.inception_gpu`), ten of them.

Operations are counted by PyTorch (`FlopCounterMode`), two for a multiply-add.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from extract import MATRIX, has_bfloat16, timed
from machine import RESULTS, memory_mb, processor, slug, write_result
from plain_inception_i3d import unfolded
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vad_toolkit.backbones.registry import ARCHITECTURES
from vad_toolkit.device import pick_device
from vad_toolkit.extraction.batches import CPU_CLIPS

FRAMES, SIZE = 16, 224
FRAME_SIZE = (256, 341)  # of a snippet that crops are cut from
BATCH = {"cpu": CPU_CLIPS, "cuda": 60}
DEFAULT = "inception-i3d,i3d-resnet50,i3d-resnet50-nonlocal,s3d,mvit_v2_s,swin3d_t"


def build(name: str, device: torch.device, dtype: torch.dtype) -> nn.Module:
    network = ARCHITECTURES[name].build().requires_grad_(False).eval()
    return network.to(device=device, dtype=dtype, memory_format=torch.channels_last_3d)


def gflop_of(network: nn.Module, clips: Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        network(clips)
    return counter.get_total_flops() / 1e9


def snippets_pass(network: nn.Module) -> Callable[[], object]:
    """A pass of `BATCH` clips in the form for CUDA devices."""
    from vad_toolkit.backbones.inception_gpu import GpuInceptionI3D
    from vad_toolkit.features.crop_order import TEN_CROP_ORDERS

    whole = GpuInceptionI3D(network, TEN_CROP_ORDERS["torchvision"], SIZE)
    shape = (BATCH["cuda"] // whole.crops, FRAMES, *FRAME_SIZE, 4)
    snippets = (torch.rand(shape, device=whole.device) * 2 - 1).to(whole.dtype)
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
    ways: dict[str, tuple[Callable[[], object], float]] = {
        "matmul": (lambda: a @ b, 2 * size**3 / 1e9)
    }
    if has_bfloat16(device):
        half_a, half_b, half = a.bfloat16(), b.bfloat16(), clips.bfloat16()
        ways["matmul-bfloat16"] = (lambda: half_a @ half_b, 2 * size**3 / 1e9)
    for name in names:
        network = build(name, device, torch.float32)
        gflop = gflop_of(network, clips)
        ways[name] = (lambda network=network: network(clips), gflop)
        if name == "inception-i3d":
            plain = unfolded(network.cpu()).to(device)
            network.to(device)
            ways["plain"] = (lambda plain=plain: plain(flat), gflop)
        if has_bfloat16(device):
            quick = build(name, device, torch.bfloat16)
            ways[f"{name}-bfloat16"] = (lambda quick=quick: quick(half), gflop)
            if name == "inception-i3d" and device.type == "cuda":
                ways[f"{name}-snippets-bfloat16"] = (snippets_pass(quick), gflop)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(rounds + 1):
        for name, (call, _) in ways.items():
            elapsed = timed(call, device)
            if round_number:  # the first warms up
                seconds[name].append(elapsed)
    rows = {}
    limit = ways["matmul"][1] / statistics.median(seconds["matmul"])
    for name, (_, gflop) in ways.items():
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
        if not name.startswith("matmul"):
            rows[name]["clips_per_second"] = round(batch / middle, 2)
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
