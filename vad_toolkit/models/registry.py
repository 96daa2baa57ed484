"""The methods there are, by name. A new one is a config, a `MilModel` and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vad_toolkit.models.base import MilModel
from vad_toolkit.models.clav_como.model import ClavComo
from vad_toolkit.models.clav_como.options import ClavComoConfig, ClavComoTraining
from vad_toolkit.models.config import ModelConfig, TrainConfig
from vad_toolkit.models.mgfn import Mgfn, MgfnConfig, MgfnTraining
from vad_toolkit.models.rtfm import Rtfm, RtfmConfig, RtfmTraining
from vad_toolkit.models.sultani import Sultani, SultaniConfig, SultaniTraining
from vad_toolkit.models.ur_dmu import UrDmu, UrDmuConfig, UrDmuTraining

_BUILDERS: Mapping[type[ModelConfig], Callable[[int, Any], MilModel]] = {
    ClavComoConfig: ClavComo,
    SultaniConfig: Sultani,
    RtfmConfig: Rtfm,
    UrDmuConfig: UrDmu,
    MgfnConfig: Mgfn,
}
METHODS = tuple(str(config.model_fields["method"].default) for config in _BUILDERS)


def build_model(config: ModelConfig, input_dim: int) -> MilModel:
    """The network of `config.method`, freshly initialised from torch's random state.

    Args:
        config: a method's own config (a training config is one too).
        input_dim: D, the width of a feature.
    """
    for kind, build in _BUILDERS.items():
        if isinstance(config, kind):
            return build(input_dim, config)
    raise TypeError(f"no method for {type(config).__name__}; methods are {', '.join(METHODS)}")


METHOD_CONFIGS: Mapping[str, type[TrainConfig]] = {
    "clav-como": ClavComoTraining,
    "sultani": SultaniTraining,
    "rtfm": RtfmTraining,
    "ur-dmu": UrDmuTraining,
    "mgfn": MgfnTraining,
}
