from __future__ import annotations

import pytest
import torch

from vad_toolkit.models.config import TrainConfig
from vad_toolkit.models.registry import METHODS, build_model
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.step import TrainingStep

SMALL = {
    "clav-como": {"head.width": 8, "head.stream_width": 4},
    "linear": {},
    "sultani": {"head.hidden": [8, 4]},
    "rtfm": {"head.width": 4, "head.score_hidden": [6, 4]},
    "ur-dmu": {"head.width": 8, "head.heads": 2, "head.head_width": 4, "head.layers": 1},
    "mgfn": {"head.widths": [4, 6, 8], "head.depths": [1, 1, 1], "head.head_width": 2},
}


def config_of(method: str, **overrides: object) -> TrainConfig:
    return load_config(method, {**SMALL[method], **overrides})


def make(config: TrainConfig) -> TrainingStep:
    torch.manual_seed(0)
    return TrainingStep(build_model(config, 6).train(), config)


def batch() -> torch.Tensor:
    return torch.randn(4, 2, 12, 6, generator=torch.Generator().manual_seed(1)).half()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("masked", [False, True])
def test_a_step_of_every_method(method: str, precision: str, masked: bool) -> None:
    step = make(config_of(method, precision=precision))
    before = {name: p.detach().clone() for name, p in step.model.named_parameters()}
    mask = (torch.arange(12) < torch.tensor([[12], [7], [1], [12]])) if masked else None
    numbers = step(batch(), mask)
    assert list(numbers) == ["loss", *step.model.loss_weights, "gradient_norm"]
    assert all(value.ndim == 0 and torch.isfinite(value) for value in numbers.values())
    assert all(value.dtype == torch.float32 for value in numbers.values())
    after = dict(step.model.named_parameters())
    assert all(p.dtype == torch.float32 for p in after.values())
    assert any(not torch.equal(before[name], p) for name, p in after.items())


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"linear"}))  # which begins at zero
def test_mixed_precision_is_near(method: str) -> None:
    exact, mixed = (
        make(config_of(method, precision=p))(batch(), None) for p in ("float32", "bfloat16")
    )
    assert mixed["loss"].item() == pytest.approx(exact["loss"].item(), rel=0.1)
    assert mixed["loss"].item() != exact["loss"].item()


def test_the_gradient_is_clipped_and_its_norm_told_before() -> None:
    norms = {}
    for clip in (0.0, 1e-3):
        step = make(config_of("clav-como", **{"optimiser.clip_norm": clip}))
        told = step(batch(), None)["gradient_norm"].item()
        gradients = [p.grad.norm() for p in step.model.parameters() if p.grad is not None]
        norms[clip] = (told, torch.stack(gradients).norm().item())
    assert norms[0.0][0] == pytest.approx(norms[0.0][1], rel=1e-5)
    assert norms[1e-3][0] == pytest.approx(norms[0.0][0], rel=1e-5)
    assert norms[1e-3][1] == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_a_weight_without_a_gradient_decays(name: str) -> None:
    """By its share with adamw; by whole steps, however large it is, with adam."""
    rate, decay = 1e-3, 0.1
    settings = {"name": name, "learning_rate": rate, "weight_decay": decay}
    step = make(config_of("clav-como", optimiser=settings))
    weight = step.model.score[0].weight
    before = weight.detach().clone()
    weight.grad = torch.zeros_like(weight)
    step.optimiser.step()
    expected = {"adam": before - rate * before.sign(), "adamw": before * (1 - rate * decay)}
    large = before.abs() > 1e-3  # whose decay is far above Adam's epsilon
    torch.testing.assert_close(weight.detach()[large], expected[name][large])
    assert (expected["adam"] - expected["adamw"])[large].abs().min() > 1e-4


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")  # torch calls it a prototype
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_nothing_waits_for_a_gpu(gpu: str, precision: str) -> None:
    for method in METHODS:
        config = config_of(method, precision=precision)
        model = build_model(config, 6).to(gpu).train()
        step, x = TrainingStep(model, config), batch().to(gpu)
        step(x, None)
        torch.cuda.set_sync_debug_mode("error")
        try:
            step(x, None)
        finally:
            torch.cuda.set_sync_debug_mode("default")
