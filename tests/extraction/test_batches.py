"""Batches of one shape, whatever is asked for, and a device that runs out of memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vad_toolkit.extraction.batches import Batcher, find_batch


class Network:
    """Gives a clip's number; holds no more than `room` clips."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: list[Tensor]) -> Tensor:
        clips = torch.stack(batch)
        if len(clips) > self.room:
            raise torch.OutOfMemoryError("no room")
        self.shapes.append(tuple(clips.shape))
        return clips.flatten(1)[:, :1]


def run(network: Network, clips: int, size: int) -> tuple[list[float], Batcher]:
    batcher = Batcher(network, size)
    answers: list[Tensor] = []
    for number in range(clips):
        batcher.add(torch.full((3, 2), float(number)), answers.append)
    batcher.flush()
    return [float(answer) for answer in answers], batcher


@pytest.mark.parametrize("clips", [0, 1, 4, 7])
def test_each_clip_gets_its_own_answer_in_order(clips: int) -> None:
    network = Network()
    answers, _ = run(network, clips, size=3)
    assert answers == list(range(clips))
    assert set(network.shapes) <= {(3, 3, 2)}  # the last batch is filled up


def test_a_batch_is_run_as_soon_as_it_is_full() -> None:
    network = Network()
    batcher = Batcher(network, 2)
    answers: list[Tensor] = []
    batcher.add(torch.zeros(1), answers.append)
    assert not answers
    batcher.add(torch.zeros(1), answers.append)
    assert len(answers) == 2


def test_the_batch_is_halved_where_memory_is_short() -> None:
    network = Network(room=3)
    answers, batcher = run(network, 21, size=10)
    assert answers == list(range(21))
    assert batcher.size == 3
    assert set(network.shapes) == {(3, 3, 2)}


def test_no_room_for_one_clip_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        run(Network(room=0), 1, size=4)


@pytest.mark.parametrize(
    ("launch", "room", "expected"),
    [
        (0.0, 1000, 8),  # every clip costs the same: the smallest is as good
        (1.0, 1000, 256),  # a pass costs as much as a hundred clips
        (1.0, 100, 64),  # the same, and memory for no more
        (0.015, 1000, 32),
    ],
)
def test_the_batch_that_is_found(launch: float, room: int, expected: int) -> None:
    def seconds(size: int) -> float:
        if size > room:
            raise torch.OutOfMemoryError("no room")
        return launch + 0.01 * size

    assert find_batch(seconds) == expected


def test_a_device_that_holds_no_batch_says_so() -> None:
    def seconds(size: int) -> float:
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        find_batch(seconds)
