"""TV-L1 against the true motion and OpenCV, for single pairs and batches."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from flow import real_frames
from torch import Tensor

from vad_toolkit.errors import InputError
from vad_toolkit.flow import tvl1
from vad_toolkit.flow.tvl1 import TVL1, grey
from vad_toolkit.flow.tvl1_parameters import TVL1Parameters

Moved = Callable[..., tuple[Tensor, Tensor]]


def endpoint_error(flow: Tensor, other: Tensor) -> float:
    """Mean length of the difference, in pixels; of (..., 2, H, W)."""
    return float((flow - other).norm(dim=-3).mean())


@pytest.fixture(scope="module")
def opencv() -> Callable[[Tensor], Tensor]:
    pytest.importorskip("cv2")
    from vad_toolkit.flow.opencv import OpenCVTVL1

    return OpenCVTVL1()


@pytest.mark.parametrize(
    ("motion", "most"),
    [
        ({"shift": (1.3, -2.6)}, 0.1),
        ({"shift": (0.0, 0.0), "zoom": 0.03, "turn": 0.02}, 0.15),
        ({"shift": (-5.0, 3.0), "seed": 1}, 0.15),
    ],
)
def test_moved_texture(
    moved: Moved,
    opencv: Callable[[Tensor], Tensor],
    motion: dict[str, object],
    most: float,
) -> None:
    frames, truth = moved(**motion, size=(72, 96))
    ours = endpoint_error(TVL1()(frames)[0], truth)
    theirs = endpoint_error(opencv(frames)[0], truth)
    assert ours < most
    assert ours <= theirs * 1.005  # the same but for rounding


def test_a_scene_at_rest_has_no_flow(moved: Moved) -> None:
    frames, _ = moved()
    assert TVL1()(frames[:1].repeat(2, 1, 1, 1)).abs().max() == 0  # exactly: nothing may add up
    assert TVL1()(torch.full((2, 3, 40, 40), 7, dtype=torch.uint8)).abs().max() == 0


def test_horizontal_first_and_to_the_right(moved: Moved) -> None:
    flow = TVL1()(moved((2.0, 0.0))[0])[0, :, 8:-8, 8:-8]
    assert flow[0].mean() == pytest.approx(2, abs=0.1)
    assert flow[1].mean() == pytest.approx(0, abs=0.1)


def test_alone_and_in_a_batch_are_equal_bit_for_bit(moved: Moved) -> None:
    frames = torch.cat([moved((shift, 1.0))[0] for shift in (0.0, 0.5, 4.0)])
    flow = TVL1()(frames)
    for i in range(len(flow)):
        assert torch.equal(TVL1()(frames[i : i + 2])[0], flow[i])


def test_the_number_of_threads_changes_nothing_and_stays(moved: Moved) -> None:
    frames = torch.cat([moved((shift, 1.0))[0] for shift in (0.5, 4.0)])
    before = torch.get_num_threads()
    flows = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            flows.append(TVL1()(frames))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*flows)


@pytest.mark.parametrize("check_every", [1, 7])
def test_pairs_computed_together_stop_each_for_itself(
    moved: Moved, monkeypatch: pytest.MonkeyPatch, check_every: int
) -> None:
    frames = torch.cat([moved((shift, 1.0))[0] for shift in (0.0, 0.5, 4.0)])
    apart = TVL1()(frames)
    monkeypatch.setitem(tvl1.CHUNK_PIXELS, "cpu", 3 * 48 * 64)  # 5 pairs: 3, and 2
    monkeypatch.setitem(tvl1.CHECK_EVERY, "cpu", check_every)
    together = TVL1()(frames)
    torch.testing.assert_close(together, apart, atol=1e-3, rtol=0)
    hard = apart[1].abs().max()
    assert hard > 1  # the pairs between textures do not end with the easy ones


@pytest.mark.gpu
def test_gpu(moved: Moved, gpu: str) -> None:
    frames = torch.cat([moved((shift, 1.0))[0] for shift in (0.0, 0.5, 4.0)])
    on_gpu = TVL1()(frames.to(gpu)).cpu()
    assert endpoint_error(on_gpu, TVL1()(frames)) < 0.01


def test_grey_is_opencvs() -> None:
    cv2 = pytest.importorskip("cv2")
    frames = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    for frame, got in zip(frames, grey(frames), strict=True):
        expected = cv2.cvtColor(frame.permute(1, 2, 0).contiguous().numpy(), cv2.COLOR_RGB2GRAY)
        assert torch.equal(got[0], torch.from_numpy(expected).float())


@pytest.mark.parametrize("size", [(3, 3), (15, 40), (20, 17), (33, 64)])
def test_frames_of_any_size(size: tuple[int, int], opencv: Callable[[Tensor], Tensor]) -> None:
    base = torch.rand((1, 3, 4, 4), generator=torch.Generator().manual_seed(3)) * 255
    image = torch.nn.functional.interpolate(base, size, mode="bicubic").clamp(0, 255)
    frames = torch.cat((image, image.roll(1, 3))).to(torch.uint8)
    assert endpoint_error(TVL1()(frames), opencv(frames)) < 0.1


def test_no_pair_gives_no_flow() -> None:
    assert TVL1()(torch.zeros((1, 3, 8, 9), dtype=torch.uint8)).shape == (0, 2, 8, 9)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.zeros((2, 3, 8, 8)), r"must be uint8 .*, got float32 \(2, 3, 8, 8\)"),
        (
            torch.zeros((2, 1, 8, 8), dtype=torch.uint8),
            r"uint8 .*, got uint8 \(2, 1, 8, 8\)",
        ),
        (
            torch.zeros((0, 3, 8, 8), dtype=torch.uint8),
            r"uint8 .*, got uint8 \(0, 3, 8, 8\)",
        ),
        (
            torch.zeros((2, 3, 8, 2), dtype=torch.uint8),
            "must be at least 3x3 .*, got 2x8",
        ),
    ],
)
def test_wrong_frames(frames: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TVL1()(frames)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tau", 0.0, "TV-L1 tau must be > 0, got 0.0"),
        ("lambda_", -1.0, "TV-L1 lambda must be > 0, got -1.0"),
        ("warps", 0, "TV-L1 warps must be >= 1, got 0"),
        ("scale_step", 1.0, "TV-L1 scale_step must be between 0 and 1, got 1.0"),
        ("median_filtering", 4, "TV-L1 median_filtering must be 1, 3 or 5, got 4"),
    ],
)
def test_wrong_parameters(name: str, value: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TVL1Parameters(**{name: value})


@pytest.mark.parametrize(
    "parameters",
    [
        TVL1Parameters(median_filtering=1, scales=1),
        TVL1Parameters(median_filtering=3, warps=2, scale_step=0.5),
        TVL1Parameters(tau=0.1, lambda_=0.3, theta=0.2, epsilon=0.003),
    ],
)
def test_other_parameters_mean_what_they_mean_to_opencv(
    moved: Moved, parameters: TVL1Parameters
) -> None:
    pytest.importorskip("cv2")
    from vad_toolkit.flow.opencv import OpenCVTVL1

    frames, _ = moved()
    ours = TVL1(parameters)(frames)
    assert endpoint_error(ours, OpenCVTVL1(parameters)(frames)) < 0.01
    assert endpoint_error(ours, TVL1()(frames)) > 0.01


@pytest.mark.slow
def test_real_pairs(reference: Path, opencv: Callable[[Tensor], Tensor]) -> None:
    """`benchmarks/flow.py` does the same at 320x240."""
    estimator = TVL1()
    differences = [
        endpoint_error(estimator(frames), opencv(frames))
        for _, frames in real_frames(reference, videos=20, pairs=1, size=(96, 128))
    ]
    assert len(differences) == 20
    assert statistics.median(differences) < 0.1
    assert max(differences) < 0.3
