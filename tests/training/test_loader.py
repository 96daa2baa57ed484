from __future__ import annotations

import pytest
import torch

from vad_toolkit.training.data import VideoTensors
from vad_toolkit.training.loader import Loader, PairSampler

CPU = torch.device("cpu")
DATA = VideoTensors(torch.arange(20.0), torch.full((10,), 2), 1, 1)


def sampler() -> PairSampler:
    return PairSampler(torch.arange(6), torch.arange(6, 10), 3, seed=0)


@pytest.mark.parametrize("ahead", [False, True])
def test_batches_come_in_the_samplers_order(ahead: bool) -> None:
    expected = sampler()
    with Loader(DATA, sampler(), CPU, ahead=ahead) as loader:
        for _ in range(5):
            batch, videos = loader.next(), expected.next()
            assert torch.equal(batch.videos, videos)
            assert torch.equal(batch.x, DATA.gather(videos, CPU)[0])
            assert batch.mask is None


def test_the_state_is_of_the_batch_in_hand_whatever_was_drawn_ahead() -> None:
    with (
        Loader(DATA, sampler(), CPU, ahead=False) as plain,
        Loader(DATA, sampler(), CPU, ahead=True) as ahead,
    ):
        for _ in range(4):
            plain.next(), ahead.next()
            for name, value in plain.state.items():
                assert torch.equal(ahead.state[name], value)


def test_what_fails_while_reading_ahead_is_raised() -> None:
    short = VideoTensors(torch.arange(20.0), torch.tensor([2] * 5), 1, 1)
    with Loader(short, sampler(), CPU, ahead=True) as loader, pytest.raises(IndexError):
        loader.next()  # videos 5 and on are not there
