"""A plain network with random weights and batch norm statistics, and an empty weights cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from plain_inception_i3d import PlainInceptionI3D


@pytest.fixture(scope="session")
def plain() -> PlainInceptionI3D:
    return make_plain(channels=3)


@pytest.fixture(scope="session")
def plain_flow() -> PlainInceptionI3D:
    return make_plain(channels=2)


def make_plain(channels: int) -> PlainInceptionI3D:
    generator = torch.Generator().manual_seed(7)
    network = PlainInceptionI3D(channels)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d):
            fan_in = module.weight[0].numel()
            module.weight.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
        elif isinstance(module, torch.nn.BatchNorm3d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.requires_grad_(False).eval()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights folder of a VAD_HOME of this test's own."""
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home with space"))
    return tmp_path / "home with space" / "weights"
