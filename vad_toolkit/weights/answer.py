"""Comparison of a network's output with the published classification of DeepMind's clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vad_toolkit.core.files import AnyPath
from vad_toolkit.errors import InputError
from vad_toolkit.video.open import open_video
from vad_toolkit.weights.catalogue import find_entry
from vad_toolkit.weights.store import check_weights, load_backbone

TOLERANCE = 1e-3  # of logit and norm: float32 against four published decimals
SIZE = 224  # pixels


@dataclass(frozen=True)
class Answer:
    """A network's classification of the clip: the class with the largest logit."""

    class_index: int
    class_name: str | None  # None if it is not the expected class
    probability: float
    logit: float
    logits_norm: float  # of all logits
    agrees: bool  # class, logit and norm agree with the catalog


def known_answer(name: str, clip: AnyPath) -> Answer:
    """Classify DeepMind's preview clip with cached weights, in float32 on the CPU.

    Args:
        name: The name of the weights.
        clip: A video of its frames, or DeepMind's .npy array of it, (1, 79, 224, 224, channels) in
            [-1, 1]; for flow, only the array exists.

    Raises:
        WeightsError: If the weights are not in the cache or damaged.
        InputError: If no answer is known for these weights, or the clip has another modality or
            size.
        DecodeError: If the clip cannot be decoded.
    """
    clip = Path(clip)
    expected = find_entry(name).known_answer
    if expected is None:
        raise InputError(f"no answer is known for the weights {name!r}; omit --clip")
    network = load_backbone(check_weights(name).published_sha256)
    clips = _read_array(clip) if clip.suffix == ".npy" else _read_video(clip)
    if clips.shape[1] != network.channels or clips.shape[3:] != (SIZE, SIZE):
        found = f"{clips.shape[1]} channels of {clips.shape[4]}x{clips.shape[3]}"
        raise InputError(f"{clip} has {found}, expected {network.channels} of {SIZE}x{SIZE}")
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
    """Return the frames of a video, (1, 3, T, height, width) in [-1, 1]."""
    reader = open_video(clip)
    try:
        frames = np.concatenate(list(reader.chunks(64)))  # (T, height, width, 3)
    finally:
        reader.close()
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() * 2 / 255 - 1


def _read_array(clip: Path) -> Tensor:
    """Return an array (1, T, height, width, channels) as (1, channels, T, height, width)."""
    try:
        array = np.lib.format.open_memmap(clip, mode="r")  # refuses archives and pickles
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputError(f"{clip} is not a readable .npy of numbers: {error}") from error
    if array.ndim != 5 or array.dtype.kind not in "fiu":
        expected = f"(1, T, {SIZE}, {SIZE}, channels) of numbers"
        raise InputError(f"{clip} is {array.shape} {array.dtype}, expected {expected}")
    return torch.from_numpy(np.array(array)).permute(0, 4, 1, 2, 3).float()
