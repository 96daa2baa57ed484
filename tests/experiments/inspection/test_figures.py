"""`figures` of an evaluation: what is drawn is what is written, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vad_toolkit.datasets.manifest import read_manifest, write_manifest
from vad_toolkit.errors import InputError, PackError
from vad_toolkit.evaluation.evaluate import evaluate
from vad_toolkit.experiments.inspection.figures import FigureRequest
from vad_toolkit.experiments.inspection.interaction import trace_interaction
from vad_toolkit.models.registry import build_model
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import Recipe
from vad_toolkit.training.checkpoint import (
    describe_checkpoint,
    initial_model,
    load_checkpoint,
    save_checkpoint,
)
from vad_toolkit.training.load_config import load_config

WIDTH = 8
SMALL = {
    "head.width": 8,
    "head.activate_hidden": 4,
    "head.stream_width": 6,
    "head.nodes": 3,
    "head.node_width": 4,
    "head.score_hidden": [6, 4],
}


def write_run(folder: Path, seed: int = 0, recipe: Recipe | None = None) -> Path:
    """A CLAV + CoMo checkpoint with weights of no meaning, other ones than at initialisation."""
    config = load_config("clav-como", SMALL)
    info = describe_checkpoint(
        config,
        recipe or Recipe(crops="center"),
        pack_sha256="a" * 64,
        manifest_sha256="b" * 64,
        input_dim=WIDTH,
        step=1,
        seed=seed,
        metric=None,
        validation_loss=None,
    )
    folder.mkdir(parents=True)
    torch.manual_seed(100 + seed)
    save_checkpoint(folder / "best.safetensors", build_model(config, WIDTH), info)
    return folder


@pytest.fixture
def clav(tmp_path: Path) -> Path:
    return write_run(tmp_path / "clav")


def test_what_is_written(clav: Path, pack: Path, manifest: Path) -> None:
    result = evaluate(clav, pack, manifest, plots=False, resamples=0, figures=FigureRequest())
    assert result.notes == ()
    folder = result.out / "figures"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "similarity.png",
        "similarity.json",
        "similarity.npz",
        *(f"interaction/{id}.{end}" for id in ("fight/a", "fire/a") for end in ("png", "npz")),
    }
    facts = json.loads((folder / "similarity.json").read_text())
    assert [one["network"] for one in facts["networks"]] == ["before training", "this run"]
    assert (facts["margin"], facts["top_divisor"], facts["compared_run"]) == (0.3, 10, None)
    with np.load(folder / "similarity.npz") as stored:
        values = dict(stored)
    assert values["normal_ids"].tolist() == ["normal/a", "normal/b"]
    assert values["before_training_across"].shape == values["this_run_across"].shape == (2, 2)
    assert facts["networks"][1]["median_inside"] == pytest.approx(
        np.median(values["this_run_inside"])
    )
    assert not np.array_equal(values["before_training_inside"], values["this_run_inside"])


def test_a_chosen_video_has_the_maps_of_the_network(clav: Path, pack: Path, manifest: Path) -> None:
    figures = FigureRequest(videos=("normal/b",))
    out = evaluate(clav, pack, manifest, plots=False, resamples=0, figures=figures).out
    assert [path.name for path in (out / "figures" / "interaction" / "normal").iterdir()]
    with np.load(out / "figures" / "interaction" / "normal" / "b.npz") as file:
        stored = dict(file)
    with FeaturePack.open(pack) as opened:
        features = opened.features("normal/b", "rgb")
    expected = trace_interaction(load_checkpoint(clav).model, features)
    np.testing.assert_array_equal(stored["attention_of_motion"], expected.attention["motion"])
    np.testing.assert_array_equal(stored["reading_context"], expected.reading["context"])
    np.testing.assert_array_equal(
        stored["frame_scores"], np.load(out / "scores" / "normal" / "b.npy")
    )
    assert not (out / "figures" / "interaction" / "fight").exists()


def test_equal_evaluations_draw_equal_files(clav: Path, pack: Path, manifest: Path) -> None:
    figures = FigureRequest(videos=("fire/a",))
    first, second = (
        evaluate(clav, pack, manifest, plots=False, resamples=0, figures=figures).out
        for _ in range(2)
    )
    for path in sorted((first / "figures").rglob("*.*")):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()


def test_a_run_to_compare_with(
    clav: Path, run: Path, pack: Path, manifest: Path, tmp_path: Path
) -> None:
    """Of any method, on the same recipe."""
    out = evaluate(clav, pack, manifest, plots=False, resamples=0, figures=FigureRequest(run)).out
    facts = json.loads((out / "figures" / "similarity.json").read_text())
    names = [one["network"] for one in facts["networks"]]
    assert names == ["before training", "compared run", "this run"]
    assert facts["compared_run"]["file"] == str(run / "best.safetensors")
    other = write_run(tmp_path / "other", recipe=Recipe(crops="center", resize=224))
    with pytest.raises(PackError, match="another recipe"):
        evaluate(clav, pack, manifest, figures=FigureRequest(other))


def test_seeds_are_compared_in_pairs(tmp_path: Path, pack: Path, manifest: Path) -> None:
    for name, seeds in (("a", (0, 1)), ("b", (0, 1)), ("c", (0,))):
        for seed in seeds:
            write_run(tmp_path / name / f"seed-{seed}", seed)
    figures = FigureRequest(tmp_path / "b", ("fire/a",))
    out = evaluate(tmp_path / "a", pack, manifest, plots=False, resamples=0, figures=figures).out
    facts = json.loads((out / "seed-1" / "figures" / "similarity.json").read_text())
    assert facts["compared_run"]["file"] == str(tmp_path / "b" / "seed-1" / "best.safetensors")
    with pytest.raises(InputError, match="has seed-0 but not seed-1; give the folder"):
        evaluate(tmp_path / "a", pack, manifest, figures=FigureRequest(tmp_path / "c"))


def test_a_method_without_interaction_says_so(run: Path, pack: Path, manifest: Path) -> None:
    result = evaluate(run, pack, manifest, plots=False, resamples=0, figures=FigureRequest())
    assert result.notes == ("interaction: method sultani has no interaction space",)
    assert not (result.out / "figures" / "interaction").exists()
    assert (result.out / "figures" / "similarity.png").exists()
    with pytest.raises(InputError, match=r"--video fire/a: .*no interaction space"):
        evaluate(run, pack, manifest, figures=FigureRequest(videos=("fire/a",)))


def test_a_video_that_is_not_there_is_refused(clav: Path, pack: Path, manifest: Path) -> None:
    with pytest.raises(InputError, match="--video fire/b: not in the test manifest"):
        evaluate(clav, pack, manifest, figures=FigureRequest(videos=("fire/b",)))
    assert not list(clav.glob("eval*"))


def test_one_label_gives_no_similarity(clav: Path, pack: Path, manifest: Path) -> None:
    write_manifest(manifest, read_manifest(manifest).normal)
    result = evaluate(clav, pack, manifest, plots=False, resamples=0, figures=FigureRequest())
    assert [note.split(":")[0] for note in result.notes] == ["similarity", "interaction"]
    assert not (result.out / "figures").exists()


def test_the_network_before_training_is_the_seed_s(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(write_run(tmp_path / "run", seed=3))
    state = torch.get_rng_state()
    drawn = initial_model(checkpoint)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(3)
    expected = build_model(checkpoint.config, WIDTH).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in drawn.state_dict().items())
    assert not drawn.training
