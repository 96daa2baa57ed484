"""The network equals a plain implementation, also at sizes with uneven SAME padding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from plain_inception_i3d import PlainInceptionI3D, unfolded

from vad_toolkit.backbones import inception_i3d
from vad_toolkit.backbones.inception_i3d import InceptionI3D
from vad_toolkit.backbones.volume_conv import volume_conv
from vad_toolkit.weights.convert import random_weights, read_weights


@pytest.mark.parametrize("size", [(16, 64, 64), (9, 67, 75), (10, 96, 70)])
def test_equals_the_plain_network(
    plain: PlainInceptionI3D, tmp_path: Path, size: tuple[int, int, int]
) -> None:
    file = tmp_path / "rgb.pt"
    torch.save(plain.state_dict(), file)
    network = InceptionI3D()
    network.load_state_dict(read_weights(file).tensors)
    clips = torch.rand((2, 3, *size), generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        ours = network.double().eval()(clips.double())
        theirs = plain.double()(clips.double())
    plain.float()
    assert ours.shape == (2, 1024)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_equals_the_plain_network_in_float64_where_convolutions_have_a_quick_form(
    plain: PlainInceptionI3D, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32, at the least size at which `volume_conv` is used."""
    file = tmp_path / "rgb.pt"
    torch.save(plain.state_dict(), file)
    network = InceptionI3D()
    network.load_state_dict(read_weights(file).tensors)
    used: list[int] = []

    def counted(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        used.append(weight.shape[1])
        return volume_conv(x, weight, bias)

    monkeypatch.setattr("vad_toolkit.backbones.backbone.volume_conv", counted)
    clips = torch.rand((1, 3, 8, 112, 112), generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        ours = network.eval()(clips)
        theirs = plain.double()(clips.double())
    plain.float()
    assert used == [64]  # channels of the second convolution of the front
    torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-4)


def test_flow_equals_the_plain_network_in_float64(
    plain_flow: PlainInceptionI3D, tmp_path: Path
) -> None:
    torch.save(plain_flow.state_dict(), tmp_path / "flow.pt", _use_new_zipfile_serialization=False)
    weights = read_weights(tmp_path / "flow.pt")
    assert (weights.backbone, weights.stream) == ("inception-i3d", "flow")
    network = InceptionI3D(channels=2)
    network.load_state_dict(weights.tensors)
    clips = torch.rand((1, 2, 16, 64, 64), generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        ours = network.eval()(clips)
        theirs = plain_flow.double()(clips.double())
    plain_flow.float()
    torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-4)


def test_a_wrong_weight_is_seen(plain: PlainInceptionI3D, tmp_path: Path) -> None:
    """The twin of the test above: the comparison does notice one changed unit."""
    file = tmp_path / "rgb.pt"
    state = dict(plain.state_dict())
    state["Mixed_4e.b2a.bn.running_mean"] = state["Mixed_4e.b2a.bn.running_mean"] + 0.1
    torch.save(state, file)
    network = InceptionI3D()
    network.load_state_dict(read_weights(file).tensors)
    clips = torch.rand((1, 3, 9, 64, 64), generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        assert not torch.allclose(network.eval()(clips), plain(clips), rtol=1e-5, atol=1e-6)


def test_unfolding_gives_the_same_features() -> None:
    network = InceptionI3D()
    network.load_state_dict(random_weights(seed=3))
    clips = torch.rand((1, 3, 9, 64, 64), generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.inference_mode():
        ours, theirs = network.eval()(clips), unfolded(network)(clips)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_layout_of_the_input_does_not_matter() -> None:
    network = InceptionI3D()
    network.load_state_dict(random_weights(seed=3))
    clips = torch.rand((2, 3, 9, 64, 64), generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.inference_mode():
        plain_layout = network(clips)
        channels_last = network(clips.to(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(plain_layout, channels_last, rtol=0, atol=0)


@pytest.mark.parametrize(
    "shape", [(2, 5, 4, 6, 7), (1, 3, 1, 2, 9), (1, 1, 1, 1, 1), (2, 4, 2, 7, 3)]
)
def test_pooling_axis_by_axis_is_pooling(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=torch.channels_last_3d)
    pooled = inception_i3d._max_pool_3(x)
    assert torch.equal(pooled, F.max_pool3d(x, 3, stride=1, padding=1))
    assert pooled.is_contiguous(memory_format=torch.channels_last_3d)
