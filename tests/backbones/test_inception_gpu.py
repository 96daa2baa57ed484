"""The form for CUDA devices against the plain one; without one, in Triton's interpreter.

Crops are small and few, because the interpreter is very slow.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from vad_toolkit.backbones.inception_i3d import InceptionBlock, InceptionI3D
from vad_toolkit.core.crops import CENTER, CORNERS, TEN_CROP_ORDERS
from vad_toolkit.extraction.snippets import crop_views

SIZE, FRAMES = 32, 2
WIDTHS, OUTPUTS = (16, 48, 32, 24, 16, 16), 80  # 24 is no multiple of what kernels read at once
SOME = ("center mirrored", "top-left", "bottom-right mirrored", "top-right mirrored")


def make_network(channels: int, names: Sequence[str]) -> InceptionI3D:
    """The real stem, and narrow blocks of these names, which tell where pools lie between them."""
    torch.manual_seed(0)
    made = InceptionI3D(channels)
    made.blocks.clear()
    width = 192
    for name in names:
        made.blocks[name] = InceptionBlock(width, WIDTHS)
        width = made.blocks[name].outputs
    for module in made.modules():
        if isinstance(module, torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            torch.nn.init.uniform_(module.bias, -0.1, 0.1)
    return made.eval().requires_grad_(False)


def snippet(channels: int, height: int, width: int, seed: int) -> Tensor:
    """As `streams` makes whole snippets; of flow, mirrored crops have numbers of their own."""
    generator = torch.Generator().manual_seed(seed)
    made = torch.rand((FRAMES, height, width, 4), generator=generator) * 2 - 1
    if channels == 3:
        made[..., 3] = 0
    return made


def plain_features(network: InceptionI3D, snippet: Tensor, order: Sequence[str]) -> Tensor:
    channels = network.channels
    mirrored = (snippet[..., :3] if channels == 3 else snippet[..., 2:]).flip(2)
    views = crop_views(snippet[..., :channels], mirrored, order, SIZE)
    return network(torch.stack(views).permute(0, 4, 1, 2, 3))


@pytest.mark.parametrize(
    ("channels", "names", "order"),
    [
        (3, ("Mixed_3b", "Mixed_4b", "Mixed_5b"), SOME),
        (2, ("Mixed_3b",), SOME),
        (2, ("Mixed_3b",), CENTER),
    ],
)
def test_features_are_those_of_the_plain_network(
    channels: int, names: tuple[str, ...], order: tuple[str, ...], triton_device: str
) -> None:
    from vad_toolkit.backbones.inception_gpu import GpuInceptionI3D

    network = make_network(channels, names)
    snippets = [snippet(channels, 35, 39 + seed, seed) for seed in range(2)]
    expected = torch.stack([plain_features(network, own, order) for own in snippets])
    network.to(triton_device)
    quick = GpuInceptionI3D(network, order, SIZE, graph=triton_device == "cuda")
    made = quick([own.to(triton_device) for own in snippets]).cpu()
    assert made.dtype == torch.float16
    assert made.shape == expected.shape == (2, len(order), OUTPUTS)
    torch.testing.assert_close(made.float(), expected, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("order", [*TEN_CROP_ORDERS.values(), CORNERS, CENTER])
@pytest.mark.parametrize("width", [40, 41])
def test_windows_show_what_crops_show(
    order: tuple[str, ...], width: int, triton_device: str
) -> None:
    """Each crop once, and a mirrored one's window is its mirror image."""
    from vad_toolkit.backbones.inception_gpu import group_windows, window_place

    frame = torch.arange(36 * width).reshape(1, 36, width, 1)
    crops = crop_views(frame, frame.flip(2), order, SIZE)
    seen = []
    for group in group_windows(order):
        for name, plain, mirrored in zip(group.names, group.plain, group.mirrored, strict=True):
            top, left = window_place(name, 36, width, SIZE)
            window = frame[:, top : top + SIZE, left : left + SIZE]
            if group.halves in ("both", "plain"):
                assert torch.equal(window, crops[plain])
                seen.append(plain)
            if group.halves in ("both", "mirrored"):
                assert torch.equal(window.flip(2), crops[mirrored])
                seen.append(mirrored)
    assert sorted(seen) == list(range(len(order)))
    windows = sum(len(group.names) for group in group_windows(order))
    assert windows == {10: 6, 5: 5, 1: 1}[len(order)]
