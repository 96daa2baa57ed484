"""A backbone from outside of the package, and its weights: registered, imported and loaded."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from vad_toolkit import Backbone, BackboneInfo, import_weights, list_backbones, register_backbone
from vad_toolkit.backbones.registry import BACKBONES, CHANNELS
from vad_toolkit.errors import InputError, WeightsError
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.weights.store import load_backbone


class Tiny(Backbone):
    """One convolution, averaged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.feature_dim = channels, 4
        self.conv = nn.Conv3d(channels, 4, 1)

    def forward(self, clips: Tensor) -> Tensor:
        features: Tensor = self.conv(clips).mean(dim=(2, 3, 4))
        return features


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module with `build` alone, registered as the backbone `tiny` for this test only."""
    module = ModuleType("tiny_plugin")
    module.build = lambda name, channels: Tiny(channels)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tiny_plugin", module)
    monkeypatch.setattr(BACKBONES, "_items", dict(BACKBONES._items))
    monkeypatch.setattr(BACKBONES, "_plugins", dict(BACKBONES._plugins))
    register_backbone(BackboneInfo("tiny", "tiny_plugin", "Tiny", 4, "x*2/255-1", ("rgb", "flow")))
    return module


def save(path: Path, channels: int = 3, drop: str = "") -> Path:
    state = {name: value for name, value in Tiny(channels).state_dict().items() if name != drop}
    safetensors.torch.save_file(state, path)
    return path


@pytest.mark.parametrize("backbone", ["tiny", None])
@pytest.mark.parametrize("stream", CHANNELS)
def test_its_weights_are_imported_and_loaded(
    plugin: ModuleType,
    cache: Path,
    tmp_path: Path,
    backbone: str | None,
    stream: str,
) -> None:
    channels = CHANNELS[stream]
    assert list_backbones()[-1] == "tiny"
    file = save(tmp_path / "mine.safetensors", channels)
    found = import_weights(str(file), "mine", backbone=backbone)
    assert (found.backbone, found.stream) == ("tiny", stream)
    settings = {"backbone": "tiny", "streams": [stream], "weights": "mine"}
    if stream == "flow":
        settings["flow.algorithm"] = "tvl1"
    recipe = load_recipe("i3d-rgb-center", settings)
    network = load_backbone(recipe.weights[stream], backbone=recipe.backbone)
    assert network(torch.ones(2, channels, 1, 32, 32)).shape == (2, 4)
    with pytest.raises(InputError, match="Tiny has no classifier"):
        network.logits(torch.ones(2, channels, 1, 32, 32))


def test_a_file_with_other_names_needs_recognize_and_convert(
    plugin: ModuleType, cache: Path, tmp_path: Path
) -> None:
    state = {f"net.{name}": value for name, value in Tiny(3).state_dict().items()}
    safetensors.torch.save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"layout of no known backbone; available: .*, tiny$"):
        import_weights(tmp_path / "other.safetensors", "mine")

    def recognize(name: str, published: Mapping[str, Tensor]) -> bool:
        return name == "tiny" and "net.conv.weight" in published

    def convert(name: str, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {key.removeprefix("net."): value for key, value in published.items()}

    plugin.recognize, plugin.convert = recognize, convert  # type: ignore[attr-defined]
    assert import_weights(tmp_path / "other.safetensors", "mine").backbone == "tiny"


def test_a_missing_tensor_is_named(plugin: ModuleType, cache: Path, tmp_path: Path) -> None:
    file = save(tmp_path / "cut.safetensors", drop="conv.bias")
    with pytest.raises(WeightsError, match=r"cut\.safetensors: tensor 'conv\.bias' is missing"):
        import_weights(file, "mine", backbone="tiny")


def test_the_name_of_another_module_is_taken(plugin: ModuleType) -> None:
    info = BackboneInfo("inception-i3d", "tiny_plugin", "Tiny", 4, "x*2/255-1")
    with pytest.raises(InputError, match="'inception-i3d' is already registered by vad_toolkit"):
        register_backbone(info)


def test_a_backbone_without_its_module(plugin: ModuleType, cache: Path, tmp_path: Path) -> None:
    """It is an error for its own weights only."""
    register_backbone(BackboneInfo("broken", "no_such_module", "Broken", 4, "x*2/255-1"))
    file = save(tmp_path / "mine.safetensors")
    assert import_weights(file, "mine").backbone == "tiny"
    with pytest.raises(InputError, match="no_such_module of the backbone broken cannot be"):
        import_weights(file, "other", backbone="broken")
    torch.save({"x": torch.zeros(1)}, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="the layout of no known backbone"):
        import_weights(tmp_path / "x.pt", "other")
