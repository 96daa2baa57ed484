from __future__ import annotations

import pytest
import torch

from vad_toolkit.core import winograd


@pytest.mark.parametrize("places", [2, 4, 10])
def test_two_outputs_are_made_of_four_products(places: int) -> None:
    """Of one channel, and axes behind it: each product is one of numbers."""
    generator = torch.Generator().manual_seed(places)
    x = torch.randn((3, places, 5), generator=generator, dtype=torch.float64)
    taps = torch.randn((1, 1, 3), generator=generator, dtype=torch.float64)
    products = winograd.tiles(x) * winograd.filters(taps).reshape(4, 1, 1, 1)
    found = winograd.outputs(products.unbind())
    around = torch.nn.functional.pad(x, (0, 0, 1, 1))
    expected = sum(around[:, tap : tap + places] * taps[0, 0, tap] for tap in range(3))
    torch.testing.assert_close(found, expected)


def test_filters_keep_other_axes() -> None:
    weight = torch.arange(2 * 3 * 3 * 4.0).reshape(2, 3, 3, 4)
    made = winograd.filters(weight)
    assert made.shape == (4, 2, 3, 4)
    assert torch.equal(made[0], weight[:, :, 0])
    assert torch.equal(made[1] + made[2], weight[:, :, 0] + weight[:, :, 2])
    assert torch.equal(made[1] - made[2], weight[:, :, 1])
    assert torch.equal(made[3], weight[:, :, 2])
