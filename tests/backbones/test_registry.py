"""The descriptions of backbones agree with the networks that they build."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vad_toolkit.backbones.backbone import FoldedConv3d
from vad_toolkit.backbones.registry import BACKBONES, BUILTIN, CHANNELS
from vad_toolkit.errors import InputError
from vad_toolkit.weights.catalogue import CATALOGUE
from vad_toolkit.weights.convert import random_weights

# With each one's 400-way classifier, gamma and beta of each batch norm, and each published bias.
PARAMETERS = {
    ("inception-i3d", "rgb"): 12_697_264,
    ("inception-i3d", "flow"): 12_675_312,
    ("i3d-resnet50", "rgb"): 28_043_472,
    ("i3d-resnet50-nonlocal", "rgb"): 35_401_936,
}


def test_names_come_without_torch() -> None:
    code = (
        "import sys; from vad_toolkit.backbones.registry import BACKBONES as a; "
        "print(len(a), 'torch' in sys.modules, 'torchvision' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(BACKBONES)), "False", "False"]


@pytest.mark.parametrize(("name", "stream"), PARAMETERS)
def test_published_parameter_counts(name: str, stream: str) -> None:
    with torch.device("meta"):
        network = BACKBONES[name].build(CHANNELS[stream])
    count = sum(parameter.numel() for parameter in network.parameters())
    for module in network.modules():
        if isinstance(module, FoldedConv3d):  # one bias instead of gamma, beta and own bias
            count += module.out_channels * (2 if module.own_bias else 1)
    assert count == PARAMETERS[name, stream]


@pytest.mark.parametrize("name", BACKBONES)
def test_each_network_is_what_its_row_says(name: str) -> None:
    row = BACKBONES[name]
    for stream in row.streams:
        with torch.device("meta"):
            network = row.build(CHANNELS[stream])
        assert (network.feature_dim, network.channels) == (row.feature_dim, CHANNELS[stream])
        state = network.state_dict()
        relatives = [info.name for info in BUILTIN.values() if info.module == row.module]
        assert [n for n in relatives if row.load_module().recognize(n, state)] == [name]


@pytest.mark.parametrize("name", ["inception-i3d", "i3d-resnet50-nonlocal"])
def test_the_smallest_clip_is_taken_and_a_shorter_one_is_not(name: str) -> None:
    row = BACKBONES[name]
    network = row.build()
    network.load_state_dict(random_weights(1, name))
    with torch.inference_mode():
        features = network.eval()(torch.ones(1, 3, row.min_frames, row.min_size, row.min_size))
    assert features.shape == (1, row.feature_dim)
    with pytest.raises(InputError, match=f"must be >= {row.min_frames} for the backbone {name}, "):
        row.check_clip(row.min_frames - 1, row.crop_size)


def test_clips_that_a_network_takes() -> None:
    BACKBONES["mvit_v2_s"].check_clip(16, 224)
    with pytest.raises(InputError, match="frames must be 16 for the backbone mvit_v2_s, got 17"):
        BACKBONES["mvit_v2_s"].check_clip(17, 224)
    with pytest.raises(InputError, match="crop_size must be >= 224 for the backbone s3d, got 112"):
        BACKBONES["s3d"].check_clip(16, 112)


def test_every_set_of_weights_is_of_a_network_and_a_stream_of_its() -> None:
    assert all(e.stream in BACKBONES[e.backbone].streams for e in CATALOGUE.values())
    assert {entry.backbone for entry in CATALOGUE.values()} == set(BUILTIN)


def test_no_such_network() -> None:
    with pytest.raises(InputError, match="unknown backbone 'i3d'; available: inception-i3d, "):
        BACKBONES["i3d"]
