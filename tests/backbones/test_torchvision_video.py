"""torchvision's networks: features, logits and settings agree with torchvision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import get_model, get_weight

from vad_toolkit.backbones.registry import BACKBONES
from vad_toolkit.errors import WeightsError
from vad_toolkit.weights.catalogue import CATALOGUE, TorchvisionSource
from vad_toolkit.weights.convert import read_weights

NETWORKS = ("s3d", "r3d_18", "mc3_18", "r2plus1d_18")
NORMALISATIONS = {
    "kinetics": ([0.43216, 0.394666, 0.37645], [0.22803, 0.22145, 0.216989]),
    "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "half": ([0.45] * 3, [0.225] * 3),
}
SOURCES = {
    name: (entry.backbone, entry.source)
    for name, entry in CATALOGUE.items()
    if isinstance(entry.source, TorchvisionSource)
}


@pytest.mark.parametrize("name", SOURCES)
def test_rows_say_what_torchvision_says(name: str) -> None:
    backbone, source = SOURCES[name]
    row, published = BACKBONES[backbone], get_weight(source.weights)
    assert published.url.rpartition("/")[2] == source.file
    assert len(source.sha256_start) == 8
    transform = published.transforms()
    assert (transform.mean, transform.std) == NORMALISATIONS[row.normalisation]
    assert transform.crop_size == [row.crop_size] * 2
    resize = [row.resize] if isinstance(row.resize, int) else [row.resize[1], row.resize[0]]
    assert transform.resize_size == resize
    assert row.min_frames == published.meta.get("min_temporal_size", 1)
    with torch.device("meta"):
        network = row.build()
    assert sum(p.numel() for p in network.parameters()) == published.meta["num_params"]


@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [("s3d", 14, 224), ("r2plus1d_18", 4, 32), ("mvit_v2_s", 16, 224), ("swin3d_t", 4, 64)],
)
def test_the_classifier_of_the_features_is_torchvisions_answer(
    tmp_path: Path, name: str, frames: int, size: int
) -> None:
    torch.manual_seed(5)
    original = get_model(name).eval()
    torch.save(original.state_dict(), tmp_path / "published.pth")
    weights = read_weights(tmp_path / "published.pth")
    assert (weights.backbone, weights.stream) == (name, "rgb")
    network = BACKBONES[name].build()
    network.load_state_dict(weights.tensors)
    clips = torch.rand(1, 3, frames, size, size) * 4 - 2
    with torch.inference_mode():
        features, logits = network.eval()(clips), network.logits(clips)
        expected = original(clips)
    assert features.shape == (1, BACKBONES[name].feature_dim)
    assert float(expected.std()) > 1e-3
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_networks_of_equal_names_are_told_by_their_shapes(tmp_path: Path) -> None:
    """r3d_18 and mc3_18 differ in kernel sizes only; a file with another head is refused."""
    for name in ("r3d_18", "mc3_18"):
        with torch.device("meta"):
            state = get_model(name).state_dict()
        found = [n for n in NETWORKS if BACKBONES[n].load_module().recognize(n, state)]
        assert found == [name]
    state = {"fc.weight": torch.zeros(101, 512)}
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="the layout of no known backbone; available: "):
        read_weights(tmp_path / "other.pth")
