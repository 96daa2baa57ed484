"""The real network on real videos says what its owners say it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vad_toolkit.errors import InputError
from vad_toolkit.extraction.modalities import RgbClips
from vad_toolkit.extraction.resize import resize_frames
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.video.open import open_video
from vad_toolkit.weights.answer import known_answer
from vad_toolkit.weights.store import load_backbone

SAMPLES = {  # class and probability as published, of 64 frames; the middle ones fit
    "arm_wrestling.mp4": ("arm wrestling", 1.000),
    "v_GGSY1Qvo990.mp4": ("clean and jerk", 1.000),
    "v_ZNVhz7ctTq0.mp4": ("walking the dog", 0.940),
    "flipping_a_pancake.mkv": ("flipping pancake", 1.000),
}


def test_cricket_shot(reference: Path, real_weights: str) -> None:
    answer = known_answer("i3d-rgb-k400", reference / "i3d" / "v_CricketShot_g04_c01_rgb.gif")
    assert answer.class_name == "playing cricket"
    assert answer.class_index == 227
    assert answer.probability == pytest.approx(0.98856, abs=1e-4)
    assert answer.logit == pytest.approx(17.6404, abs=1e-3)
    assert answer.logits_norm == pytest.approx(83.2416, abs=1e-3)
    assert answer.agrees


def test_another_clip_is_no_answer(reference: Path, real_weights: str) -> None:
    with pytest.raises(InputError, match="expected 3 of 224x224"):
        known_answer("i3d-rgb-k400", reference / "video" / "samples" / "arm_wrestling.mp4")


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_give_their_classes(reference: Path, real_weights: str, name: str) -> None:
    labels = (next((reference / "i3d").glob("*.txt"))).read_text().splitlines()
    expected, probability = SAMPLES[name]
    reader = open_video(reference / "video" / "samples" / name)
    frames = np.concatenate(list(reader.chunks(64)))
    reader.close()
    frames = frames[len(frames) // 2 - 32 :][:64]
    recipe = load_recipe("i3d-rgb-center", {"snippet_frames": 64, "step": 64})
    resized = resize_frames(torch.from_numpy(frames), recipe.resize)
    (clip,) = RgbClips(recipe, torch.float32).push(resized)
    with torch.inference_mode():
        network = load_backbone(real_weights)
        answer = network.logits(clip.permute(3, 0, 1, 2)[None])[0].softmax(0)
    assert labels[int(answer.argmax())] == expected
    assert float(answer.max()) == pytest.approx(probability, abs=0.02)
