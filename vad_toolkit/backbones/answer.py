"""The known answer: what a network says of a clip whose classification its owners published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vad_toolkit.backbones.catalogue import find_entry
from vad_toolkit.backbones.store import check_weights, load_backbone
from vad_toolkit.errors import InputError
from vad_toolkit.video.reader import open_video

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

    Raises:
        WeightsError: the weights are not in the cache, or damaged.
        InputError: no answer is known for these weights, or the clip is not 224x224.
        DecodeError: the clip cannot be decoded.
    """
    expected = find_entry(name).known_answer
    if expected is None:
        raise InputError(f"no known answer for {name!r}: leave out --clip")
    network = load_backbone(check_weights(name).published_sha256)
    reader = open_video(clip)
    try:
        frames = np.concatenate(list(reader.chunks(64)))  # (T, 224, 224, 3)
    finally:
        reader.close()
    if frames.shape[1:3] != (SIZE, SIZE):
        raise InputError(
            f"{clip} is {frames.shape[2]}x{frames.shape[1]}: the clip is {SIZE}x{SIZE}"
        )
    clips = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() * 2 / 255 - 1
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
