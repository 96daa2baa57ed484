"""Classification of DeepMind's clip: arrays of the right modality and size only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.weights import answer
from vad_toolkit.weights.catalogue import CATALOGUE, KnownAnswer
from vad_toolkit.weights.store import get_weights


@pytest.fixture
def flow(cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Random flow weights with a known answer in the catalog."""
    name = "i3d-flow-random"
    entry = replace(CATALOGUE[name], known_answer=KnownAnswer(1, "a class", 0.5, 1.0))
    monkeypatch.setattr(answer, "find_entry", lambda _: entry)
    return get_weights(name).name


def save(path: Path, shape: tuple[int, ...]) -> Path:
    np.save(path, np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape))
    return path


def test_flow_has_an_array(flow: str, tmp_path: Path) -> None:
    found = answer.known_answer(flow, save(tmp_path / "flow.npy", (1, 9, 224, 224, 2)))
    assert found.logits_norm > 0
    assert not found.agrees  # made-up numbers against a made-up answer


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 9, 224, 224, 3), "has 3 channels of 224x224, expected 2 of 224x224"),
        ((1, 9, 64, 80, 2), "2 channels of 80x64"),
        ((9, 224, 2), r"is \(9, 224, 2\) float32, expected \(1, T, 224, 224, channels\)"),
    ],
)
def test_another_array_is_no_answer(
    flow: str, tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        answer.known_answer(flow, save(tmp_path / "clip.npy", shape))


def test_what_is_no_array_of_numbers_is_not_read(flow: str, tmp_path: Path) -> None:
    clip = tmp_path / "clip.npy"
    with clip.open("wb") as file:
        np.savez(file, a=np.zeros(3))
    archive = clip.read_bytes()
    np.save(clip, np.array([{}], dtype=object))
    for content in (clip.read_bytes(), archive, archive[:60], b""):
        clip.write_bytes(content)
        with pytest.raises(InputError, match=r"not a readable \.npy of numbers"):
            answer.known_answer(flow, clip)
