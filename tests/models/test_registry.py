from __future__ import annotations

import pytest
import torch

from vad_toolkit.models.base import Standardise
from vad_toolkit.models.clav_como.model import ClavComo
from vad_toolkit.models.clav_como.options import ClavComoConfig
from vad_toolkit.models.config import ModelConfig
from vad_toolkit.models.registry import METHODS, build_model
from vad_toolkit.models.sultani import Sultani, SultaniConfig


def test_every_method_builds() -> None:
    assert METHODS == ("clav-como", "sultani", "rtfm", "ur-dmu", "mgfn")
    with torch.device("meta"):
        assert isinstance(build_model(ClavComoConfig(), 16), ClavComo)
        assert isinstance(build_model(SultaniConfig(), 16), Sultani)


def test_no_method_of_that_config() -> None:
    with pytest.raises(
        TypeError, match="no method for ModelConfig; methods are clav-como, sultani, rt"
    ):
        build_model(ModelConfig(method="other"), 16)


def test_one_seed_gives_one_model() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(build_model(SultaniConfig(), 4).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_standardise_is_the_identity_until_it_is_fitted() -> None:
    layer = Standardise(3)
    x = torch.randn(5, 3)
    assert torch.equal(layer(x), x)
    layer.fit(torch.tensor([1.0, 2, 3]), torch.tensor([2.0, 0, 4]))
    expected = (x - torch.tensor([1.0, 2, 3])) / torch.tensor([2.0, 1, 4])  # std 0: only centred
    torch.testing.assert_close(layer(x), expected)
    assert layer(x.half()).dtype == torch.float32
    assert set(layer.state_dict()) == {"mean", "std"}
