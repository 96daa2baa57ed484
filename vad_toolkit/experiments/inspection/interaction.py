"""Attention of CoMo's interaction space in one video.

It is recorded by hooks on the modules of `models.clav_como.como`, without changes to the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vad_toolkit.models.base import MilModel
from vad_toolkit.models.clav_como.como import Attention, CoMo
from vad_toolkit.models.clav_como.model import ClavComo
from vad_toolkit.scoring.snippet_scores import Features, pass_crops

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Interaction:
    """Attention of one video with N snippets and S nodes per stream, averaged over crops.

    Attributes:
        reading: By stream, (S, N), the matrix B: the weight, of either sign, with which each
            snippet reads a node.
        attention: By stream, (S, S): how much each of its nodes takes from each node of the other
            stream; rows sum to 1.
    """

    reading: Mapping[str, Floats]
    attention: Mapping[str, Floats]


def why_no_interaction(model: MilModel) -> str | None:
    """Return why a network has no attention across two graphs, or None if it has."""
    if not isinstance(model, ClavComo):
        return f"method {model.config.method} has no interaction space"
    if model.como is None:
        return "head.como is false"
    if not isinstance(model.como.interaction, Attention):
        return f"head.interaction is {model.config.head.interaction}, not attention"
    if len(model.como.streams) < 2:
        return f"head.streams is {model.config.head.streams}, not both"
    return None


def trace_interaction(
    model: MilModel, features: Features, device: torch.device | str = "cpu"
) -> Interaction:
    """Return the interaction of a video in a network with attention across two graphs.

    Args:
        model: A network for which `why_no_interaction` returns None.
        features: (N, C, D), N >= 1.
    """
    assert isinstance(model, ClavComo)
    assert model.como is not None
    with _recorded(model.como) as sums:
        for output in pass_crops(model, features, device):
            del output
    crops = features.shape[1]
    reading, attention = (
        {name: (total / crops).cpu().numpy() for name, total in kind.items()} for kind in sums
    )
    return Interaction(reading, attention)


@contextmanager
def _recorded(como: CoMo) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Sum reading and attention over all crops that pass, each by stream."""
    readings: dict[str, Tensor] = {}
    attentions: dict[str, Tensor] = {}

    def add(sums: dict[str, Tensor], name: str, value: Tensor) -> None:
        total = value.sum(dim=0)  # over crops
        sums[name] = sums[name] + total if name in sums else total

    def see_projection(name: str, _: Any, inputs: Any, output: tuple[Tensor, Tensor]) -> None:
        add(readings, name, output[0])  # B, (N, S, T)

    def see_attention(name: str, module: Any, inputs: tuple[Tensor, Tensor], _: Tensor) -> None:
        add(attentions, name, module.weights(*inputs))  # (N, S, S)

    assert isinstance(como.interaction, Attention)
    with ExitStack() as hooks:
        for name, across in zip(como.streams, como.interaction.across, strict=True):
            projection = como.projections[name]
            hooks.enter_context(projection.register_forward_hook(partial(see_projection, name)))
            hooks.enter_context(across.register_forward_hook(partial(see_attention, name)))
        yield readings, attentions
