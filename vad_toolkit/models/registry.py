"""The methods there are, by name. A new one is a config, a `MilModel` and a line here."""

from __future__ import annotations

from vad_toolkit.models.base import MilModel
from vad_toolkit.models.config import ClavComoConfig, ModelConfig, SultaniConfig
from vad_toolkit.models.head import ClavComo
from vad_toolkit.models.sultani import Sultani

METHODS = ("clav-como", "sultani")


def build_model(config: ModelConfig, input_dim: int) -> MilModel:
    """The network of `config.method`, freshly initialised from torch's random state.

    Args:
        config: a method's own config (a training config is one too).
        input_dim: D, the width of a feature.
    """
    if isinstance(config, ClavComoConfig):
        return ClavComo(input_dim, config)
    if isinstance(config, SultaniConfig):
        return Sultani(input_dim, config)
    raise TypeError(f"no method for {type(config).__name__}; methods are {', '.join(METHODS)}")
