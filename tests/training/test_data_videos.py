from __future__ import annotations

import pytest
import torch

from vad_toolkit.training.data import VideoTensors

CPU = torch.device("cpu")


def make(lengths: list[int], crops: int = 2, width: int = 3) -> VideoTensors:
    flat = torch.arange(sum(lengths) * crops * width, dtype=torch.float32).half()
    return VideoTensors(flat, torch.tensor(lengths), crops, width)


def test_each_video_is_a_view_of_its_part() -> None:
    videos = make([2, 1, 4])
    assert [tuple(videos.video(i).shape) for i in range(3)] == [(2, 2, 3), (2, 1, 3), (2, 4, 3)]
    assert torch.equal(torch.cat([videos.video(i).flatten() for i in range(3)]), videos.flat)
    assert len(videos) == 3
    assert videos.even is None


def test_videos_of_one_length_are_gathered_without_a_mask() -> None:
    videos = make([4, 4, 4])
    x, mask = videos.gather(torch.tensor([2, 0, 2]), CPU)
    assert mask is None
    assert x.dtype == torch.float16
    assert torch.equal(x, torch.stack([videos.video(i) for i in (2, 0, 2)]))
    assert videos.place(CPU) is videos


def test_others_are_padded_with_zeros_and_masked() -> None:
    videos = make([2, 1, 4])
    x, mask = videos.gather(torch.tensor([1, 0]), CPU)
    assert x.shape == (2, 2, 2, 3)  # as long as the longest of the batch
    assert mask is not None
    assert mask.tolist() == [[True, False], [True, True]]
    assert torch.equal(x[0, :, :1], videos.video(1))
    assert not x[0, :, 1:].any()
    assert torch.equal(x[1], videos.video(0))


def test_a_batch_of_equal_lengths_has_no_mask() -> None:
    _, mask = make([2, 1, 2]).gather(torch.tensor([0, 2]), CPU)
    assert mask is None


@pytest.mark.gpu
def test_on_a_gpu(gpu: str) -> None:
    device = torch.device(gpu)
    for videos in (make([4, 4, 4]), make([2, 1, 4])):
        chosen = torch.tensor([1, 0])
        x, mask = videos.gather(chosen, CPU)
        for placed in (videos, videos.place(device)):
            found, found_mask = placed.gather(chosen, device)
            assert torch.equal(found.cpu(), x)
            assert (found_mask is None) == (mask is None)
