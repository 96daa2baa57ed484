from __future__ import annotations

import re
from typing import Literal

import pytest
import torch

from vad_toolkit.errors import InputError
from vad_toolkit.models.base import Standardise
from vad_toolkit.models.clav_como.model import ClavComo
from vad_toolkit.models.clav_como.options import ClavComoConfig
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.models.registry import METHODS, build_model, list_methods, register_method
from vad_toolkit.models.sultani import Sultani, SultaniConfig


class WideConfig(SultaniConfig):
    """A config of another class, that names the method of its base."""


class OtherConfig(SultaniConfig):
    """A config with a name of its own."""

    method: Literal["other"] = "other"  # type: ignore[assignment]


class OtherNetwork(Sultani):
    pass


@pytest.fixture
def methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test registers is forgotten after it."""
    monkeypatch.setattr(METHODS, "_items", dict(METHODS._items))
    monkeypatch.setattr(METHODS, "_plugins", dict(METHODS._plugins))


def test_every_method_builds() -> None:
    assert list_methods() == ["clav-como", "linear", "sultani", "rtfm", "ur-dmu", "mgfn"]
    for name, method in METHODS.items():
        assert method.config.model_fields["method"].default == name
        assert method.summary
    with torch.device("meta"):
        assert isinstance(build_model(ClavComoConfig(), 16), ClavComo)
        assert isinstance(build_model(SultaniConfig(), 16), Sultani)


def test_a_config_of_a_derived_class_is_no_config_of_the_method() -> None:
    message = "method 'sultani' takes a SultaniConfig, got a WideConfig; register a method of your"
    with pytest.raises(InputError, match=re.escape(message)):
        build_model(WideConfig(), 16)
    with pytest.raises(
        InputError, match="unknown method 'other'; available: clav-como, linear, sultani"
    ):
        build_model(OtherConfig(), 16)


def test_a_registered_method_gets_its_own_network(methods: None) -> None:
    register_method("other", config=OtherConfig, build=OtherNetwork, summary="a twin")
    assert type(build_model(OtherConfig(), 16)) is OtherNetwork
    assert type(build_model(SultaniConfig(), 16)) is Sultani
    assert METHODS["other"].summary == "a twin"
    assert METHODS.plugin_of("other") == __name__
    assert METHODS.plugin_of("sultani") is None


def test_a_config_that_names_another_method_is_not_registered(methods: None) -> None:
    message = "method 'mine': WideConfig.method must have the default 'mine', got 'sultani'"
    with pytest.raises(InputError, match=re.escape(message)):
        register_method("mine", config=WideConfig, build=OtherNetwork)
    with pytest.raises(InputError, match="'sultani' is already registered by vad_toolkit"):
        register_method("sultani", config=WideConfig, build=OtherNetwork)


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
    expected = (x - torch.tensor([1.0, 2, 3])) / torch.tensor([2.0, 1, 4])  # std 0: only centered
    torch.testing.assert_close(layer(x), expected)
    assert layer(x.half()).dtype == torch.float32
    assert set(layer.state_dict()) == {"mean", "std"}


def test_every_field_of_a_config_needs_a_default(methods: None) -> None:
    class Incomplete(TrainConfig):
        method: Literal["incomplete"] = "incomplete"

    with pytest.raises(InputError, match=r"method 'incomplete': Incomplete.losses needs a default"):
        register_method("incomplete", config=Incomplete, build=OtherNetwork)
    assert "incomplete" not in METHODS
