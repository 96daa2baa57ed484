"""The known answer: what a network says of a clip whose classification its owners published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vad_toolkit.errors import InputError
from vad_toolkit.video.open import open_video
from vad_toolkit.weights.catalogue import find_entry
from vad_toolkit.weights.store import check_weights, load_backbone

TOLERANCE = 1e-3  # of logit and norm, float32 against the published four decimals
SIZE = 224


@dataclass(frozen=True)
class Answer:
    """The network's answer, and whether it agrees with the catalogue's."""

    class_index: int
    class_name: str | None
    probability: float
    logit: float
    logits_norm: float
    agrees: bool


def known_answer(name: str, clip: Path) -> Answer:
    """Classify DeepMind's preview clip with cached weights, in float32 on the CPU.

    `clip` is a video of its frames, or its array as DeepMind gives it out: an .npy of
    (1, 79, 224, 224, channels) in [-1, 1], the only form that flow has.

    Raises:
        WeightsError: the weights are not in the cache, or damaged.
        InputError: no answer is known for these weights, or the clip is not one of their stream at
            224x224.
        DecodeError: the clip cannot be decoded.
    """
    expected = find_entry(name).known_answer
    if expected is None:
        raise InputError(f"no known answer for {name!r}: leave out --clip")
    network = load_backbone(check_weights(name).published_sha256)
    clips = _read_array(clip) if clip.suffix == ".npy" else _read_video(clip)
    if clips.shape[1] != network.channels or clips.shape[3:] != (SIZE, SIZE):
        found = f"{clips.shape[1]} channels of {clips.shape[4]}x{clips.shape[3]}"
        raise InputError(
            f"{clip} has {found}: the clip is {SIZE}x{SIZE}, with {network.channels} channels"
        )
    with torch.inference_mode():
        logits = network.logits(clips)[0]
    index = int(logits.argmax())
    logit, norm = float(logits[index]), float(logits.norm())
    return Answer(
        class_index=index,
        class_name=expected.class_name if index == expected.class_index else None,
        probability=float(logits.softmax(0)[index]),
        logit=logit,
        logits_norm=norm,
        agrees=index == expected.class_index
        and abs(logit - expected.logit) <= TOLERANCE
        and abs(norm - expected.logits_norm) <= TOLERANCE,
    )


def _read_video(clip: Path) -> Tensor:
    """Frames of a video, (1, 3, T, height, width) in [-1, 1]."""
    reader = open_video(clip)
    try:
        frames = np.concatenate(list(reader.chunks(64)))  # (T, height, width, 3)
    finally:
        reader.close()
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() * 2 / 255 - 1


def _read_array(clip: Path) -> Tensor:
    """An array (1, T, height, width, channels), channels first: (1, channels, T, height, width)."""
    try:
        array = np.lib.format.open_memmap(clip, mode="r")  # no archive, no pickle
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputError(f"{clip} is not a readable .npy of numbers: {error}") from error
    if array.ndim != 5 or array.dtype.kind not in "fiu":
        raise InputError(
            f"{clip} is {array.shape} {array.dtype}: expected (1, T, {SIZE}, {SIZE}, C)"
        )
    return torch.from_numpy(np.array(array)).permute(0, 4, 1, 2, 3).float()
