from __future__ import annotations

import pytest
import torch

from vad_toolkit.extraction.in_progress import FIRST_ROWS, Rows


@pytest.mark.parametrize("count", [1, FIRST_ROWS, FIRST_ROWS + 1, 4 * FIRST_ROWS + 7])
@pytest.mark.parametrize("shape", [(6,), (2, 3)])
def test_rows_come_out_as_they_came_in(count: int, shape: tuple[int, ...]) -> None:
    given = torch.rand((count, *shape)).half()
    rows = Rows()
    for index, row in enumerate(given):
        assert len(rows) == index
        rows.append(row)
    assert len(rows) == count
    assert torch.equal(rows.joined(), given)


def test_a_row_is_a_copy() -> None:
    """So that nothing of the batch that made it is kept."""
    batch = torch.ones((2, 4))
    rows = Rows()
    rows.append(batch[0])
    batch.zero_()
    assert torch.equal(rows.joined(), torch.ones((1, 4)))


def test_what_was_joined_stays_when_its_rows_are_gone() -> None:
    joined = [Rows() for _ in range(8)]
    for value, rows in enumerate(joined):
        rows.append(torch.full((1 << 16,), value))
    made = [rows.joined() for rows in joined]
    del joined, rows
    assert [int(one.min()) for one in made] == [int(one.max()) for one in made] == [*range(8)]


def test_rows_of_another_shape_are_refused() -> None:
    rows = Rows()
    rows.append(torch.ones(4))
    with pytest.raises(RuntimeError, match="size"):
        rows.append(torch.ones(5))
