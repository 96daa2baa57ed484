from __future__ import annotations

import pytest
from pydantic import ValidationError

from vad_toolkit.models.clav_como.options import ClavComoConfig, ClavComoHead
from vad_toolkit.models.sultani import SultaniConfig


def test_defaults_are_the_sizes_of_the_papers() -> None:
    head = ClavComoConfig().head
    assert (head.width, head.kernels, head.nodes, head.node_width) == (512, 4, 16, 128)
    assert (head.stream_width, head.window, head.score_hidden) == (128, 3, (128, 32))
    losses = ClavComoConfig().losses
    assert (losses.margin, losses.relative_distance) == (0.3, 1.0)
    assert (losses.smoothness, losses.sparsity, losses.top_divisor) == (8e-4, 8e-3, 10)
    assert SultaniConfig().head.hidden == (512, 32)
    assert SultaniConfig().losses.smoothness == SultaniConfig().losses.sparsity == 8e-5


def test_json_gives_the_same_config() -> None:
    config = ClavComoConfig.model_validate({"head": {"score_hidden": [3, 2], "activate": "gate"}})
    assert ClavComoConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("activate", "banks", "'bank', 'gate' or 'none'"),
        ("interaction", "graph", "'attention', 'joint-graph' or 'none'"),
        ("streams", "all", "'both', 'context' or 'motion'"),
        ("window", 8, "must be odd"),
        ("kernel", 2, "must be odd"),
        ("width", 0, "greater than or equal to 1"),
        ("width", "512", "valid integer"),
        ("dropout", 1.0, "less than 1"),
        ("dropout", float("nan"), "finite number"),
        ("score_hidden", [1], "Field required"),
        ("heads", 8, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_value_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ClavComoHead.model_validate({field: value})


def test_a_config_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ClavComoHead().width = 3
