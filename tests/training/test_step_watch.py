from __future__ import annotations

import pytest
import torch

from vad_toolkit.errors import VadError
from vad_toolkit.training.step import StepWatch

IDS = ["a", "b", "c", "d"]


def numbers(loss: float, norm: float = 1.0) -> dict[str, torch.Tensor]:
    values = {"loss": loss, "mil": loss / 2, "gradient_norm": norm}
    return {name: torch.tensor(value) for name, value in values.items()}


def test_means_are_over_the_steps_since_the_last_ones() -> None:
    watch = StepWatch(IDS)
    for step, loss in enumerate([1.0, 3.0, 8.0], start=1):
        watch.add(step, torch.tensor([0, 1]), numbers(loss))
    assert watch.means() == {"loss": 4.0, "mil": 2.0, "gradient_norm": 1.0}
    watch.add(4, torch.tensor([0, 1]), numbers(5.0))
    assert watch.means()["loss"] == 5.0


@pytest.mark.parametrize("bad", [numbers(float("nan")), numbers(1.0, float("inf"))], ids=str)
def test_the_first_bad_step_and_its_videos_are_named(bad: dict[str, torch.Tensor]) -> None:
    watch = StepWatch(IDS)
    watch.add(1, torch.tensor([0, 1]), numbers(1.0))
    watch.look()
    watch.add(2, torch.tensor([0, 3]), numbers(1.0))
    watch.add(3, torch.tensor([2, 1]), bad)
    watch.add(4, torch.tensor([3, 0]), numbers(float("nan")))  # what follows is bad too
    with pytest.raises(
        VadError, match=r"^step 3: the loss is .* the features of these videos: c, b$"
    ):
        watch.look()


def test_a_resumed_watch_gives_the_same_means() -> None:
    whole, first = StepWatch(IDS), StepWatch(IDS)
    losses = [0.1, 0.7, 0.3, 0.9]
    for step, loss in enumerate(losses):
        whole.add(step, torch.tensor([0]), numbers(loss))
    for step, loss in enumerate(losses[:3]):
        first.add(step, torch.tensor([0]), numbers(loss))
    second = StepWatch(IDS, *first.state())
    second.add(3, torch.tensor([0]), numbers(losses[3]))
    assert second.means() == whole.means()
