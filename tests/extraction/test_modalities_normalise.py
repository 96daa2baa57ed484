"""Each normalisation against its formula in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vad_toolkit.backbones.registry import Normalisation
from vad_toolkit.extraction.modalities import STATISTICS, normalise

PIXELS = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 256).repeat(1, 3, 1)


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [("x*2/255-1", -1.0, 1.0), ("(x-114.75)/57.375", -2.0, (255 - 114.75) / 57.375)],
)
def test_one_for_all_channels(method: Normalisation, low: float, high: float) -> None:
    values = normalise(PIXELS, method)
    assert values.dtype == torch.float32
    expected = np.linspace(low, high, 256)
    np.testing.assert_allclose(values[0], np.tile(expected, (3, 1)), atol=1e-6)


@pytest.mark.parametrize("method", STATISTICS)
def test_a_channel_each(method: Normalisation) -> None:
    mean, deviation = (np.array(numbers)[:, None] for numbers in STATISTICS[method])
    expected = (np.arange(256) / 255 - mean) / deviation
    np.testing.assert_allclose(normalise(PIXELS, method)[0], expected, atol=1e-6)


def test_pixels_stay_what_they_are() -> None:
    before = PIXELS.clone()
    normalise(PIXELS, "kinetics")
    assert torch.equal(PIXELS, before)
