from __future__ import annotations

from collections import Counter

import pytest
import torch

from vad_toolkit.training.data import PairSampler

NORMAL, ABNORMAL = torch.arange(7), torch.arange(100, 103)


def test_normals_come_first_and_every_video_comes_evenly() -> None:
    sampler = PairSampler(NORMAL, ABNORMAL, 5, seed=0)
    steps = [sampler.next() for _ in range(21)]  # 105 of each: 15 epochs of 7, 35 of 3
    normal = Counter(torch.cat([s[:5] for s in steps]).tolist())
    abnormal = Counter(torch.cat([s[5:] for s in steps]).tolist())
    assert normal == dict.fromkeys(range(7), 15)
    assert abnormal == dict.fromkeys(range(100, 103), 35)


def test_no_video_twice_in_a_step_where_there_are_enough() -> None:
    sampler = PairSampler(NORMAL, ABNORMAL, 7, seed=0)
    assert sorted(sampler.next()[:7].tolist()) == list(range(7))


def test_the_seed_decides() -> None:
    def draws(seed: int) -> list[list[int]]:
        sampler = PairSampler(NORMAL, ABNORMAL, 4, seed)
        return [sampler.next().tolist() for _ in range(5)]

    torch.rand(3)  # the global random state has no part in it
    assert draws(1) == draws(1)
    assert draws(1) != draws(2)


def test_it_goes_on_where_another_stood() -> None:
    first, second = (PairSampler(NORMAL, ABNORMAL, 5, seed) for seed in (1, 2))
    for _ in range(4):
        first.next()
    second.restore(first.state())
    assert [first.next().tolist() for _ in range(9)] == [second.next().tolist() for _ in range(9)]


def test_both_lists_are_needed() -> None:
    with pytest.raises(ValueError, match="at least one video"):
        PairSampler(NORMAL, ABNORMAL[:0], 2, 0)
