from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vad_toolkit.errors import InputError
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.models.registry import build_model
from vad_toolkit.training.checkpoint import load_checkpoint
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.step import MeanWeights, TrainingStep


def config_of(method: str = "clav-como", **overrides: object) -> TrainConfig:
    small = {
        "clav-como": {"head.width": 8, "head.stream_width": 4, "head.activate_hidden": 4},
        "mgfn": {"head.widths": [4, 6, 8], "head.depths": [1, 1, 1], "head.head_width": 2},
    }
    return load_config(method, {**small[method], "optimiser.learning_rate": 1e-2, **overrides})


def batch(seed: int = 1) -> Tensor:
    return torch.randn(4, 2, 12, 6, generator=torch.Generator().manual_seed(seed)).half()


def test_the_mean_is_that_of_all_weights_so_far() -> None:
    torch.manual_seed(0)
    step = TrainingStep(build_model(config_of(), 6).train(), config_of())
    mean = MeanWeights(step.model, 0.6)
    expected = {name: p.detach().double() for name, p in step.model.named_parameters()}
    for number in range(1, 21):
        step(batch(number), None)
        mean.add(number)
        share = min(0.6, number / (number + 10))  # 1/11 first: nearly all of it the newest
        for name, p in step.model.named_parameters():
            expected[name] = share * expected[name] + (1 - share) * p.detach().double()
    for name, p in mean.model.named_parameters():
        torch.testing.assert_close(p.double(), expected[name], atol=1e-6, rtol=1e-5)
        assert not p.requires_grad
    latest = dict(step.model.named_parameters())
    assert any((p - latest[name]).abs().max() > 1e-4 for name, p in mean.model.named_parameters())


def test_what_is_no_weight_is_that_of_the_last_step() -> None:
    torch.manual_seed(0)
    step = TrainingStep(build_model(config_of("mgfn"), 6).train(), config_of("mgfn"))
    mean = MeanWeights(step.model, 0.9)
    before = {name: b.clone() for name, b in step.model.named_buffers()}
    step(batch(), None)
    mean.add(1)
    latest = dict(step.model.named_buffers())
    assert any(not torch.equal(b, before[name]) for name, b in latest.items())  # batch norm's
    for name, b in mean.model.named_buffers():
        torch.testing.assert_close(b, latest[name], atol=0, rtol=0)


def test_the_mean_is_what_is_validated_and_kept(dataset, tmp_path) -> None:
    settings = {
        "steps": 12,
        "pairs": 3,
        "validation.every": 4,
        "tensorboard": False,
        "data.segments": 6,
    }
    runs = {
        ema: dataset.train(tmp_path / f"{ema}", config_of(**settings, **{"optimiser.ema": ema}))[
            0
        ].run
        for ema in (0.0, 1e-9, 0.9)
    }
    weights = {
        ema: dict(load_checkpoint(run / "last.safetensors").model.named_parameters())
        for ema, run in runs.items()
    }
    for name, latest in weights[0.0].items():  # training itself is the same
        torch.testing.assert_close(weights[1e-9][name], latest, atol=1e-6, rtol=1e-5)
    assert any(
        (weights[0.9][name] - latest).abs().max() > 1e-4 for name, latest in weights[0.0].items()
    )
    logs = {ema: (run / "log.jsonl").read_text().splitlines() for ema, run in runs.items()}
    trained = {ema: [x for x in log if '"train"' in x] for ema, log in logs.items()}
    validated = {ema: [x for x in log if '"validation"' in x] for ema, log in logs.items()}
    assert trained[0.9] == trained[0.0]
    assert validated[0.9] != validated[0.0]


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InputError, match=r"optimiser\.ema"):
        config_of(**{"optimiser.ema": share})
