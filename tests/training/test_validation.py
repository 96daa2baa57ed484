from __future__ import annotations

import pytest
import torch

from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.errors import VadError
from vad_toolkit.models.base import MilModel
from vad_toolkit.models.registry import build_model
from vad_toolkit.models.sultani import SultaniConfig
from vad_toolkit.training.validation import Validation, split_videos, validate


def video(name: str, label: int, source: str | None = None) -> Entry:
    return Entry(id=name, path=name, label=label, source=source)


def labels(ids: tuple[str, ...]) -> set[str]:
    return {id[0] for id in ids}


def test_a_fifth_of_each_label_is_held_out() -> None:
    listed = [video(f"n{i}", 0) for i in range(50)] + [video(f"a{i}", 1) for i in range(10)]
    split = split_videos(listed, 0.2, seed=0)
    assert split.notice is None
    assert sum(id[0] == "n" for id in split.validation) == 10
    assert sum(id[0] == "a" for id in split.validation) == 2
    assert sorted(split.training + split.validation) == sorted(e.id for e in listed)
    assert split == split_videos(listed, 0.2, seed=0)
    assert split != split_videos(listed, 0.2, seed=1)


def test_a_source_is_never_divided() -> None:
    listed = [
        video(f"{k}{s}{i}", int(k == "a"), f"s{s}")
        for s in range(8)
        for k in "na"
        for i in range(3)
    ]
    split = split_videos(listed, 0.25, seed=3)
    source = {entry.id: entry.source for entry in listed}
    assert not {source[i] for i in split.training} & {source[i] for i in split.validation}
    assert labels(split.validation) == labels(split.training) == {"n", "a"}
    assert split.notice is None


def test_too_few_sources_divide_videos_and_say_so() -> None:
    listed = [video(f"n{i}", 0, "camera") for i in range(5)] + [video(f"a{i}", 1) for i in range(5)]
    split = split_videos(listed, 0.2, seed=0)
    assert labels(split.validation) == {"n", "a"}
    assert split.notice is not None
    assert "share sources with training videos" in split.notice


def test_a_single_video_of_a_label_leaves_nothing_to_hold_out() -> None:
    listed = [video(f"n{i}", 0) for i in range(5)] + [video("a0", 1)]
    split = split_videos(listed, 0.2, seed=0)
    assert split.validation == ()
    assert len(split.training) == 6
    assert split.notice is not None
    assert split.notice.startswith("no validation, so that best is last")


def test_no_fraction_no_validation() -> None:
    split = split_videos([video("n0", 0), video("a0", 1)], 0.0, seed=0)
    assert (split.validation, split.notice) == ((), None)


def result_of(auc: float, loss: float) -> Validation:
    return Validation(step=3, auc=auc, loss=loss)


def test_the_rule_that_chooses_the_best_step() -> None:
    base = result_of(0.8, 0.5)
    assert base.better_than(None)
    assert result_of(0.9, 0.7).better_than(base)
    assert not result_of(0.7, 0.1).better_than(base)
    assert result_of(0.8, 0.4).better_than(base)
    assert not result_of(0.8, 0.6).better_than(base)
    assert result_of(0.8, 0.5).better_than(base)  # a draw: the later step


@pytest.fixture
def model() -> MilModel:
    torch.manual_seed(0)
    return build_model(SultaniConfig(), 4)


def test_measures_are_of_videos(model: MilModel) -> None:
    x = torch.randn(6, 2, 20, 4, generator=torch.Generator().manual_seed(0))
    scores = model.eval()(x).scores.topk(2, dim=1).values.mean(dim=1)
    truth = (scores > scores.median()).long()  # whom this model scores higher
    model.train()
    result = validate(model, [(x[:4], None, truth[:4]), (x[4:], None, truth[4:])], 3)
    assert result.auc == 1.0
    assert validate(model, [(x, None, 1 - truth)], 3).auc == 0.0
    expected = torch.nn.functional.binary_cross_entropy(scores, truth.float())
    assert result.loss == pytest.approx(expected.item(), rel=1e-5)
    assert model.training


def test_scores_that_are_not_finite(model: MilModel) -> None:
    x = torch.full((2, 1, 4, 4), torch.nan)
    with pytest.raises(VadError, match="not finite; lower optimiser"):
        validate(model, [(x, None, torch.tensor([0, 1]))], 3)


def test_padding_changes_nothing(model: MilModel) -> None:
    x = torch.randn(2, 1, 12, 4, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([x, torch.full((2, 1, 3, 4), 5.0)], dim=2)
    mask = (torch.arange(15) < 12).expand(2, 15)
    labels = torch.tensor([0, 1])
    plain = validate(model, [(x, None, labels)], 3)
    masked = validate(model, [(padded, mask, labels)], 3)
    assert masked.auc == plain.auc
    assert masked.loss == pytest.approx(plain.loss, rel=1e-5)
