"""RAFT with random weights: padding, chunks, the weights file. No connection is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.optical_flow import raft_small

from vad_toolkit.errors import InputError, WeightsError
from vad_toolkit.flow import raft
from vad_toolkit.flow.raft import RAFT, download, load_raft, weights_file
from vad_toolkit.flow.registry import load_flow

CPU = torch.device("cpu")


class Recorder(nn.Module):
    """A network whose flow is each pixel's column and row, and which records its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor, Tensor, int]] = []

    def forward(self, first: Tensor, second: Tensor, num_flow_updates: int) -> list[Tensor]:
        self.calls.append((first, second, num_flow_updates))
        pairs, _, height, width = first.shape
        columns = torch.arange(width).float().expand(pairs, height, width)
        rows = torch.arange(height).float()[:, None].expand(pairs, height, width)
        return [torch.zeros(()), torch.stack((columns, rows), dim=1)]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torchvision's cache, empty, and no way to fill it."""

    def no_connection(*_: Any, **__: Any) -> None:
        raise OSError("no connection")

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_connection)
    return tmp_path


@pytest.mark.parametrize(
    ("size", "padded", "corner"),
    [
        ((128, 160), (128, 160), (0, 0)),
        ((129, 135), (136, 136), (0, 3)),
        ((40, 200), (128, 200), (80, 44)),
    ],
)
def test_padding_is_put_on_and_taken_off(
    size: tuple[int, int], padded: tuple[int, int], corner: tuple[int, int]
) -> None:
    network = Recorder()
    frames = torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8)
    flow = RAFT(network)(frames)
    assert flow.shape == (2, 2, *size)
    first, second, updates = network.calls[0]
    assert (first.shape[2:], updates) == (padded, 20)
    top, left = int(flow[0, 1, 0, 0]), int(flow[0, 0, 0, 0])
    assert (top, left) == ((padded[0] - size[0]) // 2, (padded[1] - size[1]) // 2)
    inside = first[0, :, top : top + size[0], left : left + size[1]]
    torch.testing.assert_close(inside, frames[0] / 127.5 - 1)
    assert torch.equal(first[0, :, 0, 0], inside[:, 0, 0])  # borders are replicated
    inside = second[0, :, top : top + size[0], left : left + size[1]]
    torch.testing.assert_close(inside, frames[1] / 127.5 - 1)


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    network, frames = Recorder(), torch.randint(0, 256, (6, 3, 128, 128), dtype=torch.uint8)
    monkeypatch.setitem(raft.CHUNK_PIXELS, "cpu", 2 * 128 * 128)
    RAFT(network)(frames)
    assert [len(first) for first, _, _ in network.calls] == [2, 2, 1]
    given = torch.cat([first for first, _, _ in network.calls])
    torch.testing.assert_close(given, frames[:-1] / 127.5 - 1)


def test_no_pair_gives_no_flow() -> None:
    assert RAFT(Recorder())(torch.zeros((1, 3, 9, 7), dtype=torch.uint8)).shape == (0, 2, 9, 7)


def test_weights_from_torchvisions_cache(hub: Path) -> None:
    torch.manual_seed(0)
    network = raft_small().eval()
    path = weights_file("raft-small")
    path.parent.mkdir()
    torch.save(network.state_dict(), path)
    frames = torch.randint(0, 256, (2, 3, 128, 130), dtype=torch.uint8)
    flow = load_flow("raft-small", CPU)(frames)
    assert (flow.shape, flow.dtype) == ((1, 2, 128, 130), torch.float32)
    assert torch.equal(flow, RAFT(network)(frames))
    halved = load_flow("raft-small", CPU, torch.bfloat16)(frames)
    assert halved.dtype == torch.float32
    assert not torch.equal(halved, flow)


@pytest.mark.parametrize("algorithm", ["raft-large", "raft-small"])
def test_no_weights(hub: Path, algorithm: str) -> None:
    with pytest.raises(WeightsError, match=f"are not at .*; run `vad weights get {algorithm}`"):
        load_raft(algorithm, CPU)


def test_other_weights(hub: Path) -> None:
    path = weights_file("raft-small")
    path.parent.mkdir()
    torch.save(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(WeightsError, match="does not hold the weights raft-small; delete it"):
        load_raft("raft-small", CPU)


def test_no_connection(hub: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot download raft-large \(no connection\)"):
        download("raft-large")


def test_wrong_frames() -> None:
    with pytest.raises(InputError, match=r"must be uint8 .*, got float32"):
        RAFT(Recorder())(torch.zeros((2, 3, 128, 128)))
