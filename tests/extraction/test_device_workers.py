"""Several processes: who gets which video, and what becomes of the work of one that dies.

Extractors here make nothing, and processes are forked, so that none pays for imports; one test at
the end is the real thing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vad_toolkit.errors import DecodeError, InputError, VadError, WeightsError
from vad_toolkit.extraction import device_workers as processes
from vad_toolkit.extraction.device_workers import extract_in_processes
from vad_toolkit.extraction.extract import extract_pack
from vad_toolkit.extraction.extractor import Extractor, OnFrames
from vad_toolkit.extraction.in_progress import Extracted
from vad_toolkit.extraction.sources import VideoSource, list_sources
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import Recipe

# Python warns of forks where there are threads, which these processes do not use.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(processes.multiprocessing, "get_context", lambda _: fork)


class Fake:
    """Takes `ahead` videos before it gives the first result. `poison` ends its process, `once`
    only the first time."""

    def __init__(self, log: Path, ahead: int, device: str) -> None:
        self.log = log
        self.ahead = ahead

    def extract_many(
        self, videos: Iterable[VideoSource], on_frames: OnFrames
    ) -> Iterator[Extracted]:
        hand: list[VideoSource] = []
        for video in videos:
            with (self.log / video.id).open("a") as log:
                print(os.getpid(), file=log)
            hand.append(video)
            on_frames(video, 1, 2)
            if len(hand) == self.ahead:
                yield self._make(hand.pop(0))
        for video in hand:
            yield self._make(video)

    def _make(self, video: VideoSource) -> Extracted:
        if video.id == "signalled":
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
        if video.id.startswith("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        if video.id.startswith("once") and len((self.log / video.id).read_text().split()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return Extracted(video, None, DecodeError(f"made {video.id}"))


def run(
    log: Path, ids: Iterable[str], devices: int = 2, ahead: int = 1, make: Any = None
) -> dict[str, str]:
    """What became of each video."""
    ids = list(ids)
    frames: list[tuple[str, int, int]] = []
    found = list(
        extract_in_processes(
            make or partial(Fake, log, ahead),
            ["cpu"] * devices,
            [VideoSource(id, Path(id), frames=100 - place) for place, id in enumerate(ids)],
            lambda video, done, reported: frames.append((video.id, done, reported)),
        )
    )
    assert {(done, reported) for _, done, reported in frames} <= {(1, 2)}
    assert multiprocessing.active_children() == []
    assert len(found) == len(ids)
    return {result.source.id: str(result.error) for result in found}


def takers(log: Path, id: str) -> list[str]:
    return (log / id).read_text().split()


@pytest.mark.parametrize("ahead", [1, 3])
def test_each_video_is_made_once(tmp_path: Path, forked: None, ahead: int) -> None:
    ids = [f"v{number}" for number in range(9)]
    assert run(tmp_path, ids, ahead=ahead) == {id: f"made {id}" for id in ids}
    assert all(len(takers(tmp_path, id)) == 1 for id in ids)


def test_signals_to_all_processes_are_for_the_first(tmp_path: Path, forked: None) -> None:
    """A scheduler sends SIGTERM, a terminal SIGINT, to the whole group at once."""
    ids = ["v0", "signalled", "v1"]
    assert run(tmp_path, ids) == {id: f"made {id}" for id in ids}


def test_more_devices_than_videos(tmp_path: Path, forked: None) -> None:
    assert run(tmp_path, ["v"], devices=5) == {"v": "made v"}


@pytest.mark.parametrize("ahead", [1, 3])
def test_work_of_a_process_that_died_is_made_again(
    tmp_path: Path, forked: None, ahead: int
) -> None:
    ids = ["v0", "v1", "once", *(f"v{number}" for number in range(2, 8))]
    assert run(tmp_path, ids, ahead=ahead) == {id: f"made {id}" for id in ids}
    first, second = takers(tmp_path, "once")
    assert first != second


def test_a_video_that_kills_twice_is_given_up_and_nothing_else(
    tmp_path: Path, forked: None
) -> None:
    """Also not what was in hand with it."""
    ids = ["v0", "v1", "poison-1", "v2", "poison-2", *(f"v{number}" for number in range(3, 9))]
    became = run(tmp_path, ids, ahead=3)
    for id in ids:
        if id.startswith("poison"):
            assert "its worker process died twice (last: SIGKILL, perhaps because" in became[id]
            assert len(takers(tmp_path, id)) == 2
        else:
            assert became[id] == f"made {id}"


def test_a_first_video_that_kills_takes_one_of_two_processes(tmp_path: Path, forked: None) -> None:
    became = run(tmp_path, ["poison", *(f"v{number}" for number in range(5))])
    assert [id for id, what in became.items() if "died twice" in what] == ["poison"]


def test_all_processes_die(tmp_path: Path, forked: None) -> None:
    with pytest.raises(
        VadError, match=r"all worker processes died \(the last one: SIGKILL.*is kept"
    ):
        run(tmp_path, ["poison-1", "poison-2", "v"])
    assert multiprocessing.active_children() == []


def broken(device: str) -> Extractor:
    raise WeightsError(f"no weights for {device}")


def test_what_an_extractor_cannot_be_made_for_ends_the_run(tmp_path: Path, forked: None) -> None:
    with pytest.raises(WeightsError, match="no weights for cpu"):
        run(tmp_path, ["v"], make=broken)


def test_leaving_early_leaves_no_process(tmp_path: Path, forked: None) -> None:
    sources = [VideoSource(str(number), Path("x"), frames=1) for number in range(50)]
    results = extract_in_processes(
        partial(Fake, tmp_path, 1), ["cpu", "cpu"], sources, lambda *_: None
    )
    next(results)
    results.close()
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_two_real_processes_make_what_one_makes(
    videos: Path, recipe: Recipe, tmp_path: Path
) -> None:
    sources = list_sources([videos])
    one = extract_pack(sources, recipe, tmp_path / "one.h5", device="cpu")
    two = extract_pack(sources, recipe, tmp_path / "two.h5", device="cpu,cpu")
    assert (two.extracted, two.failures) == (one.extracted, one.failures)
    with FeaturePack.open(one.pack) as a, FeaturePack.open(two.pack) as b:
        assert a.content_sha256 == b.content_sha256
        np.testing.assert_array_equal(a.features("good/1"), b.features("good/1"))


def test_devices_that_do_not_go_together(videos: Path, recipe: Recipe, tmp_path: Path) -> None:
    for device in ("cpu,gpu", "cpu,", "all" if not _has_gpu() else "cuda:99,cpu"):
        with pytest.raises(InputError, match="device"):
            extract_pack(list_sources([videos]), recipe, tmp_path / "a.h5", device=device)
    assert list(tmp_path.iterdir()) == []


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
