from __future__ import annotations

import re
import resource

import numpy as np
import pytest
import torch

from vad_toolkit.errors import InputError
from vad_toolkit.models.base import Output
from vad_toolkit.models.blocks import reach
from vad_toolkit.scoring import snippet_scores as scoring
from vad_toolkit.scoring.snippet_scores import score_snippets


def features(snippets: int, crops: int = 2) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.standard_normal((snippets, crops, 6), dtype=np.float32).astype(np.float16)


@pytest.mark.parametrize("method", ["clav-como", "sultani"])
@pytest.mark.parametrize("snippets", [1, 2, 3, 50])
def test_one_score_a_snippet(make_model, method, snippets) -> None:
    scores = score_snippets(make_model(method), features(snippets))
    assert scores.shape == (snippets,)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()


def test_scores_are_not_clamped(make_model, monkeypatch) -> None:
    """A method's scores need not be probabilities."""
    model = make_model("sultani")
    made = torch.linspace(-3, 7, 11)
    monkeypatch.setattr(model, "forward", lambda x: Output(made[None], x, None))
    np.testing.assert_array_equal(score_snippets(model, features(11)), made.numpy())


def test_no_snippets_no_scores(make_model) -> None:
    assert score_snippets(make_model(), features(0)).shape == (0,)


def test_crop_by_crop_is_the_same(make_model, monkeypatch) -> None:
    model = make_model()
    together = score_snippets(model, features(20, 5))
    for rows in (1, 40, 60):  # one, two and three crops at a time
        monkeypatch.setattr(scoring, "ROWS_AT_ONCE", rows)
        np.testing.assert_allclose(score_snippets(model, features(20, 5)), together, atol=1e-6)


def test_dropout_is_off_and_the_mode_is_left_as_it_was(make_model) -> None:
    model = make_model().train()
    first, second = (score_snippets(model, features(20)) for _ in range(2))
    assert model.training
    assert np.array_equal(first, second)
    assert not torch.is_inference(next(model.parameters()))


HEADS = [
    ("clav-como", {}),
    ("clav-como", {"activate": "gate", "kernel": 5, "interaction": "joint-graph"}),
    ("clav-como", {"streams": "context", "window": 9}),
    ("clav-como", {"streams": "motion", "activate": "none"}),
    ("clav-como", {"como": False}),
    ("sultani", {}),
    ("rtfm", {}),
    ("ur-dmu", {"layers": 2}),
    ("mgfn", {"depths": [2, 1, 2]}),
]
BLOCK = 30


class Recorded:
    """Features that note which parts of them are read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape = array, array.shape
        self.read: list[tuple[int, ...]] = []

    def __getitem__(self, part: tuple[slice, slice]) -> np.ndarray:
        found = self.array[part]
        self.read.append(found.shape)
        return found


def in_one_piece(model, array: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(array).transpose(0, 1)[None]
    with torch.no_grad():
        return model(x).scores[0].numpy()


@pytest.fixture
def small_blocks(monkeypatch) -> None:
    monkeypatch.setattr(scoring, "ROWS_AT_ONCE", BLOCK)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("method", "head"), HEADS)
def test_in_blocks_as_in_one_piece(make_model, stir, method, head) -> None:
    model = make_model(method, **head)
    stir(model)
    for snippets in (1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 250):
        x = features(snippets, 10 if snippets < 100 else 1)
        np.testing.assert_allclose(score_snippets(model, x), in_one_piece(model, x), atol=1e-6)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("method", ["clav-como", "rtfm", "ur-dmu", "mgfn"])
def test_margins_matter(make_model, stir, monkeypatch, method) -> None:
    """The test above would notice a model that states too little."""
    model, x = make_model(method), features(400)
    stir(model)
    monkeypatch.setattr(scoring, "reach", lambda model: 0)
    assert np.abs(score_snippets(model, x) - in_one_piece(model, x)).max() > 1e-4


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("method", "name"), [("clav-como", "clav_como.como"), ("rtfm", "rtfm"), ("mgfn", "temporal")]
)
def test_what_is_taken_over_the_whole_video_matters(
    make_model, stir, monkeypatch, method, name
) -> None:
    model, x = make_model(method), features(400)
    stir(model)
    module = f"vad_toolkit.models.{name}"
    name, of_a_block = {
        "clav_como.como": (
            "attended_mean",
            lambda a, b, mask: a.softmax(dim=2) @ b.transpose(1, 2),
        ),
        "rtfm": ("mean_product", lambda a, b, mask: a @ b.transpose(1, 2) / a.shape[2]),
        "temporal": ("every_snippet", lambda *rows: rows),
    }[name]
    monkeypatch.setattr(f"{module}.{name}", of_a_block)
    assert np.abs(score_snippets(model, x) - in_one_piece(model, x)).max() > 1e-6


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("method", ["clav-como", "sultani", "rtfm", "ur-dmu", "mgfn"])
def test_never_more_than_a_block_and_its_margins_at_once(make_model, method) -> None:
    model = make_model(method)
    for snippets, crops in ((10, 10), (40, 10), (300, 2)):
        read = Recorded(features(snippets, crops))
        score_snippets(model, read)
        assert max(n * c for n, c, _ in read.read) <= BLOCK + 2 * reach(model)
        assert {c for _, c, _ in read.read} == ({3, 1} if snippets == 10 else {1})


@pytest.mark.parametrize("method", ["clav-como", "sultani", "rtfm"])
def test_a_very_long_video_in_bounded_memory(make_model, stir, monkeypatch, method) -> None:
    """70,000 snippets (published loaders wrap at 65,535); one T x T matrix would be 19.6 GB."""
    model, x = make_model(method), features(70_000, 1)
    stir(model)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scores = score_snippets(model, x)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert scores.shape == (70_000,)
    assert grown < 100e6
    assert scores[69_000:].std() > 0
    monkeypatch.setattr(scoring, "ROWS_AT_ONCE", len(x))
    np.testing.assert_allclose(scores, score_snippets(model, x), atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 2), (4, 0, 6), (4, 2, 5)])
def test_features_that_do_not_fit(make_model, shape) -> None:
    message = f"features have shape {shape}; this model needs (snippets, crops, 6)"
    with pytest.raises(InputError, match=re.escape(message)):
        score_snippets(make_model(), np.zeros(shape, dtype=np.float16))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("snippets", "bad"), [(5, 2), (100, 71)])  # 71 is in the third block
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite(make_model, snippets, bad, value) -> None:
    model, good = make_model(), features(snippets)
    wrong = good.copy()
    wrong[bad, 1, 0] = value
    before = score_snippets(model, good)
    message = f"features of snippet {bad} are NaN or infinite; extract this video again"
    with pytest.raises(InputError, match=message):
        score_snippets(model, wrong)
    assert np.array_equal(score_snippets(model, good), before)
