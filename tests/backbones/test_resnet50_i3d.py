"""I3D-ResNet50 equals a plain transcription in float64, read from each published layout."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vad_toolkit.backbones.resnet50_i3d import I3DResNet50
from vad_toolkit.errors import WeightsError
from vad_toolkit.weights.convert import random_weights, read_weights

NAMES = {False: "i3d-resnet50", True: "i3d-resnet50-nonlocal"}


class PlainNonLocal(nn.Module):
    """The embedded Gaussian as the paper writes it, one product after another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        for name in ("theta", "phi", "g"):
            setattr(self, name, nn.Conv3d(width, width // 2, 1))
        self.out = nn.Conv3d(width // 2, width, 1)
        self.bn = nn.BatchNorm3d(width)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool3d(x, (1, 2, 2), stride=(1, 2, 2))
        theta, phi, g = self.theta(x), self.phi(pooled), self.g(pooled)
        affinity = torch.einsum("nctij,ncuab->ntijuab", theta, phi) / theta.shape[1] ** 0.5
        weights = affinity.flatten(4).softmax(-1).reshape(affinity.shape)
        return x + self.bn(self.out(torch.einsum("ntijuab,ncuab->nctij", weights, g)))


class PlainBottleneck(nn.Module):
    """Three convolutions, each with a batch norm of its own."""

    def __init__(self, inputs: int, inner: int, stride: int, temporal: int, nl: bool) -> None:
        super().__init__()
        outputs, pad = inner * 4, (temporal - 1) // 2
        self.conv1 = nn.Conv3d(inputs, inner, (temporal, 1, 1), padding=(pad, 0, 0), bias=False)
        self.conv2 = nn.Conv3d(inner, inner, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
        self.conv3 = nn.Conv3d(inner, outputs, 1, bias=False)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm3d(n) for n in (inner, inner, outputs))
        if inputs != outputs:
            shortcut = nn.Conv3d(inputs, outputs, 1, (1, stride, stride), bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm3d(outputs))
        if nl:
            self.nl = PlainNonLocal(outputs)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out = F.relu(out + (self.downsample(x) if hasattr(self, "downsample") else x))
        return self.nl(out) if hasattr(self, "nl") else out


class PlainResNet50(nn.Module):
    """Clips to features (n, 2048); names as in the PyTorch ports, which are its state dict."""

    def __init__(self, nl: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, (5, 7, 7), 2, (2, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.layer1 = self.layer(64, 64, 1, "333", nl=False)
        self.layer2 = self.layer(256, 128, 2, "3131", nl)
        self.layer3 = self.layer(512, 256, 2, "313131", nl)
        self.layer4 = self.layer(1024, 512, 2, "131", nl=False)
        self.fc = nn.Linear(2048, 400)

    @staticmethod
    def layer(inputs: int, inner: int, stride: int, kernels: str, nl: bool) -> nn.Sequential:
        return nn.Sequential(
            *(
                PlainBottleneck(
                    inner * 4 if i else inputs, inner, 1 if i else stride, int(kernel), nl and i % 2
                )
                for i, kernel in enumerate(kernels)
            )
        )

    def forward(self, clips: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(clips)))
        x = self.layer1(F.max_pool3d(x, (2, 3, 3), (2, 2, 2)))
        x = self.layer2(F.max_pool3d(x, (2, 1, 1), (2, 1, 1)))
        return self.layer4(self.layer3(x)).mean(dim=(2, 3, 4))


def make_plain(nl: bool) -> PlainResNet50:
    """Random weights and statistics; branches of a third, so that features stay about 1."""
    generator = torch.Generator().manual_seed(11)
    network = PlainResNet50(nl)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv3d | nn.Linear):
            fan_in = module.weight[0].numel()
            module.weight.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.data.normal_(0, 0.1, generator=generator)
        elif isinstance(module, nn.BatchNorm3d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            if name.endswith(("bn3", "nl.bn", "downsample.1")):
                module.weight.data /= 3
    return network.requires_grad_(False).eval()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "nonlocal"])
def nl(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def published(nl: bool) -> PlainResNet50:
    return make_plain(nl)


@pytest.fixture(scope="module")
def port_file(published: PlainResNet50, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state dict of before PyTorch 1.6, as the ports' files are."""
    file = tmp_path_factory.mktemp("port") / "i3d_r50_kinetics.pth"
    torch.save(published.state_dict(), file, _use_new_zipfile_serialization=False)
    yield file
    file.unlink()


def blobs_of(state: dict[str, Tensor]) -> dict[str, Any]:
    """A state dict by Caffe2's names, with what training leaves beside."""
    endings = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
    blobs: dict[str, Any] = {"model_iter": 400000, "lr": np.float32([1e-4]).reshape(())}
    for name, tensor in state.items():
        *path, kind = name.split(".")
        if kind == "num_batches_tracked":
            continue
        norm = path[-1].startswith("bn") or path[-2:] == ["downsample", "1"]
        ending = endings[kind] if norm else {"weight": "w", "bias": "b"}[kind]
        if path[0].startswith("layer"):
            stage, block, part = int(path[0][-1]) + 1, path[1], path[2]
            if part == "nl":
                unit = f"nonlocal_conv{stage}_{block}_{path[3]}"
            else:
                branch = "1" if part == "downsample" else f"2{'abc'[int(part[-1]) - 1]}"
                unit = f"res{stage}_{block}_branch{branch}" + ("_bn" if norm else "")
        else:
            unit = {"conv1": "conv1", "bn1": "res_conv1_bn", "fc": "pred"}[path[0]]
        blobs[f"{unit}_{ending}"] = tensor.numpy()
        if not kind.startswith("running") and unit == "conv1":
            blobs[f"{unit}_{ending}_momentum"] = np.zeros_like(tensor.numpy())
    return blobs


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes alike as the strings of Python 2, as cPickle wrote Caffe2's files."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_string(self, value: str | bytes) -> None:
        data = value.encode("ascii") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def python2_pickle(value: object) -> bytes:
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(value)
    return stream.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def load(file: Path, nl: bool) -> I3DResNet50:
    weights = read_weights(file)
    assert (weights.backbone, weights.stream) == (NAMES[nl], "rgb")
    network = I3DResNet50(nonlocal_blocks=nl)
    network.load_state_dict(weights.tensors)
    return network.requires_grad_(False).eval()


def make_clips(*size: int) -> Tensor:
    return torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(1)) * 4 - 2


@pytest.mark.parametrize("size", [(16, 64, 64), (9, 70, 91), (7, 32, 32)])
def test_equals_the_plain_network_in_float64(
    published: PlainResNet50, port_file: Path, nl: bool, size: tuple[int, int, int]
) -> None:
    clips = make_clips(*size)
    with torch.inference_mode():
        ours = load(port_file, nl)(clips)
        theirs = published.double()(clips.double())
    published.float()
    assert ours.shape == (1, 2048)
    assert 0.1 < float(theirs.std()) < 10
    torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-4)


def test_logits_are_the_classifier_of_the_features(
    published: PlainResNet50, port_file: Path, nl: bool
) -> None:
    clips = make_clips(8, 32, 32)
    with torch.inference_mode():
        ours = load(port_file, nl).logits(clips)
        theirs = published.fc(published(clips))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changed", ["layer3.3.bn1.running_mean", "layer1.0.downsample.1.bias"])
def test_a_wrong_weight_is_seen(
    published: PlainResNet50, port_file: Path, tmp_path: Path, nl: bool, changed: str
) -> None:
    """The twin of the tests above: the comparison does notice one changed unit."""
    state = dict(published.state_dict())
    state[changed] = state[changed] + 0.1
    torch.save(state, tmp_path / "changed.pth")
    clips = make_clips(8, 32, 32)
    with torch.inference_mode():
        one, two = load(port_file, nl)(clips), load(tmp_path / "changed.pth", nl)(clips)
    assert float((one - two).abs().max()) > 1e-3


def test_every_layout_gives_equal_tensors(
    published: PlainResNet50, port_file: Path, tmp_path: Path, nl: bool
) -> None:
    expected = read_weights(port_file).tensors
    state = dict(published.state_dict())
    blobs = blobs_of(state)
    (tmp_path / "caffe2.pkl").write_bytes(python2_pickle({"blobs": blobs}))
    blobs["pred_w"] = blobs["pred_w"].reshape(400, 2048, 1, 1, 1)  # fully convolutional
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps(blobs))
    safetensors.torch.save_file(expected, tmp_path / "own.safetensors")
    for name in ("caffe2.pkl", "bare.pkl", "own.safetensors"):
        found = read_weights(tmp_path / name)
        assert found.backbone == NAMES[nl]
        assert found.tensors.keys() == expected.keys()
        assert all(torch.equal(found.tensors[key], expected[key]) for key in expected), name
        (tmp_path / name).unlink()


def test_the_python_2_pickle_is_one(published: PlainResNet50) -> None:
    """What the test above reads cannot be read as text of Python 3."""
    content = python2_pickle({"blobs": {"conv1_w": published.conv1.weight.numpy()}})
    with pytest.raises(UnicodeDecodeError):
        pickle.loads(content)
    assert list(pickle.loads(content, encoding="latin1")["blobs"]) == ["conv1_w"]


def test_refused(tmp_path: Path) -> None:
    file = tmp_path / "r50"
    state = dict(make_plain(nl=False).state_dict())
    blobs = {k: v for k, v in blobs_of(state).items() if not k.endswith(("_rm", "_riv"))}
    file.write_bytes(pickle.dumps({"blobs": blobs}))
    with pytest.raises(WeightsError, match=r"'res_conv1_bn_rm' is missing; .* frozen batch norm"):
        read_weights(file)
    torch.save({k: v for k, v in state.items() if k != "layer4.2.bn3.bias"}, file)
    with pytest.raises(WeightsError, match=r"'layer4\.2\.bn3\.bias' is missing; expected"):
        read_weights(file)
    torch.save(state | {"fc.weight": torch.zeros(101, 2048)}, file)
    with pytest.raises(WeightsError, match=r"has shape \(101, 2048\), expected \(400, 2048\)"):
        read_weights(file)
    with pytest.raises(WeightsError, match="holds the backbone i3d-resnet50, not inception-i3d"):
        read_weights(file, "inception-i3d")
    torch.save(state, file)
    with pytest.raises(WeightsError, match="which has no stream 'flow'"):
        read_weights(file, stream="flow")


def test_layout_of_the_input_does_not_matter(nl: bool) -> None:
    network = I3DResNet50(nonlocal_blocks=nl).eval()
    network.load_state_dict(random_weights(3, NAMES[nl], variance=1.0))
    clips = make_clips(8, 32, 32)
    with torch.inference_mode():
        plain_layout = network(clips)
        channels_last = network(clips.to(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(plain_layout, channels_last, rtol=0, atol=0)
