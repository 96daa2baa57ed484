"""Quantization of flow: values at the bounds, at zero motion and between levels."""

from __future__ import annotations

import pytest
import torch

from vad_toolkit.flow.quantise import QUANTISATIONS

PIXELS = [-1000.0, -20.0, -0.01, 0.0, 0.01, 20.0, 1000.0]
STEP = 40 / 255  # pixels


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("clamp20", [0, 0, 127.5 - 0.06375, 127.5, 127.5 + 0.06375, 255, 255]),
        ("video-features", [0, 0, 128, 128, 128, 256, 256]),
        ("mmaction2-uint8", [0, 0, 127, 127, 127, 255, 255]),
    ],
)
def test_values(name: str, levels: list[float]) -> None:
    expected = torch.tensor(levels) * 2 / 255 - 1
    given = torch.tensor(PIXELS)
    result = QUANTISATIONS[name](given)
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=0)
    assert result.dtype == torch.float32
    assert given.tolist() == torch.tensor(PIXELS).tolist()  # the input is not written to


def test_halves_are_rounded_to_even_or_cut_off() -> None:
    flow = torch.tensor([0.5, 1.5, 0.75]) * STEP
    to_levels = {name: (f(flow) + 1) * 127.5 for name, f in QUANTISATIONS.items()}
    assert to_levels["video-features"].round().tolist() == [128, 130, 129]
    assert to_levels["mmaction2-uint8"].round().tolist() == [128, 129, 128]


def test_every_byte_of_a_flow_image_is_reached_and_no_other() -> None:
    flow = torch.linspace(-25, 25, 20001)
    levels = (QUANTISATIONS["mmaction2-uint8"](flow) + 1) * 127.5
    assert levels.round().unique().tolist() == list(range(256))
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
