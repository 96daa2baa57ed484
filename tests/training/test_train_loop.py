from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from vad_toolkit.core.progress import ProgressEvent
from vad_toolkit.datasets.manifest import read_manifest
from vad_toolkit.errors import InputError, VadError
from vad_toolkit.models.base import MilModel
from vad_toolkit.models.clav_como import model as head_module
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.training.checkpoint import find_runs, load_checkpoint
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.standardise import input_statistics
from vad_toolkit.training.train import train

FILES = ["best.json", "best.safetensors", "config.json", "last.json", "last.safetensors"]


def changed(config: TrainConfig, **overrides: object) -> TrainConfig:
    return type(config).model_validate({**config.model_dump(), **overrides})


def lines(run: Path, group: str) -> list[dict]:
    every = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line for line in every if line["group"] == group]


def test_a_run_holds_all_it_should(dataset, tmp_path, small_config) -> None:
    events: list[ProgressEvent] = []
    run = tmp_path / "run"
    (result,) = dataset.train(run, small_config, seed=4, progress=events.append)
    others = ["log.jsonl", "result.json", "run.json"]
    assert sorted(p.name for p in run.iterdir()) == sorted([*FILES, *others])
    assert load_config(run / "config.json") == small_config
    training = lines(run, "train")
    assert [line["step"] for line in training] == [2, 4, 6]
    wanted = {"loss", "mil", "relative_distance", "smoothness", "sparsity", "gradient_norm"}
    assert set(training[0]) == wanted | {"step", "group", "learning_rate", "tau"}
    assert [line["step"] for line in lines(run, "validation")] == [3, 6]
    assert (result.run, result.seed, result.steps, result.notice) == (run, 4, 6, None)
    assert (result.training_videos, result.validation_videos) == (16, 4)
    best, last = load_checkpoint(run), load_checkpoint(run / "last.safetensors")
    assert (best.info.step, best.info.metric, best.info.seed) == (
        result.best_step,
        result.best_auc,
        4,
    )
    assert (last.info.step, last.info.metric) == (6, result.last_auc)
    steps = [event for event in events if event.stage == "train seed 4"]
    assert [event.done for event in steps] == [2, 4, 6]
    assert "mil 0." in steps[-1].note


def test_the_logged_loss_is_the_weighted_sum(dataset, tmp_path, small_config) -> None:
    dataset.train(tmp_path / "run", small_config)
    w = small_config.losses
    for line in lines(tmp_path / "run", "train"):
        total = (
            line["mil"]
            + w.relative_distance * line["relative_distance"]
            + w.smoothness * line["smoothness"]
            + w.sparsity * line["sparsity"]
        )
        assert line["loss"] == pytest.approx(total, rel=1e-5)


def test_one_seed_gives_the_same_bytes(dataset, tmp_path, small_config) -> None:
    for name in ("first", "second"):
        dataset.train(tmp_path / name, small_config, seed=1)
        torch.rand(5)  # the global random state has no part in it
    dataset.train(tmp_path / "other", small_config, seed=2)
    for name in FILES:
        first, second, other = (
            (tmp_path / run / name).read_bytes() for run in ("first", "second", "other")
        )
        assert first == second
        assert (first == other) == (name == "config.json")


def test_the_global_random_state_is_left_alone(dataset, tmp_path, small_config) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    dataset.train(tmp_path / "run", small_config)
    assert torch.equal(torch.rand(3), expected)


def test_statistics_are_of_training_videos_only(dataset, tmp_path, small_config) -> None:
    dataset.train(tmp_path / "run", small_config)
    data = small_config.data
    ids = json.loads((tmp_path / "run" / "run.json").read_text())["training_videos"]
    assert len(ids) == 16
    rows = torch.tensor(
        [i for i, entry in enumerate(dataset.source(data).manifest) if entry.id in ids]
    )
    mean, std = input_statistics(dataset.load(data), rows)
    layer = load_checkpoint(tmp_path / "run").model.standardise
    assert torch.equal(layer.mean, mean)
    assert torch.equal(layer.std, std)


def test_inputs_stay_as_they_are_on_request(dataset, tmp_path, small_config) -> None:
    data = {**small_config.data.model_dump(), "standardise": False}
    config = changed(small_config, data=data)
    dataset.train(tmp_path / "run", config)
    layer = load_checkpoint(tmp_path / "run").model.standardise
    assert (layer.mean.unique().tolist(), layer.std.unique().tolist()) == ([0.0], [1.0])


def test_without_validation_best_is_last(dataset, tmp_path, small_config) -> None:
    config = changed(small_config, validation={"fraction": 0.0, "every": 3})
    (result,) = dataset.train(tmp_path / "run", config)
    assert (result.best_step, result.best_auc, result.validation_videos) == (6, None, 0)
    best, last = ((tmp_path / "run" / f"{n}.safetensors").read_bytes() for n in ("best", "last"))
    assert best == last
    assert lines(tmp_path / "run", "validation") == []


def test_it_learns_what_stands_out(dataset, tmp_path, small_config) -> None:
    head = {**small_config.head.model_dump(), "dropout": 0.0, "embed_dropout": 0.0}
    validation = {"fraction": 0.2, "every": 20}
    faster = {**small_config.optimiser.model_dump(), "learning_rate": 0.01}
    config = changed(
        small_config, steps=60, pairs=8, head=head, validation=validation, optimiser=faster
    )
    (result,) = dataset.train(tmp_path / "run", config)
    assert result.best_auc == 1.0
    training = lines(tmp_path / "run", "train")
    assert training[-1]["mil"] < 0.7 * training[0]["mil"]


@pytest.mark.parametrize(
    "overrides",
    [
        {"head.activate": "gate", "head.interaction": "joint-graph"},
        {"head.activate": "none", "head.como": False, "losses.relative_distance": 0},
        {"head.streams": "motion", "losses.select": "magnitude"},
        {"method": "sultani", "head.hidden": [8, 4]},
    ],
    ids=str,
)
def test_every_method_and_switch_trains(dataset, tmp_path, overrides) -> None:
    plain = {"steps": 3, "pairs": 3, "tensorboard": False, "data.segments": 8}
    narrow = {} if "method" in overrides else {"head.width": 8, "head.stream_width": 4}
    config = load_config(None, {**plain, **narrow, **overrides})
    dataset.train(tmp_path / "run", config)
    assert load_checkpoint(tmp_path / "run").config == config


def test_seeds_go_into_folders_of_their_own(dataset, tmp_path, small_config) -> None:
    out = tmp_path / "runs"
    results = dataset.train(out, small_config, seeds=range(2))
    assert [result.run for result in results] == [out / "seed-0", out / "seed-1"]
    (alone,) = dataset.train(tmp_path / "alone", small_config, seed=1)
    for name in FILES:
        assert (out / "seed-1" / name).read_bytes() == (alone.run / name).read_bytes()
    with pytest.raises(
        InputError, match=r"seeds must be one or more different integers >= 0, got \[1, 1\]"
    ):
        dataset.train(tmp_path / "x", small_config, seeds=[1, 1])


@pytest.mark.parametrize("given", [None, "file", "mapping", "object"])
def test_a_config_is_given_in_any_form(dataset, tmp_path, given: str | None) -> None:
    overrides = {"steps": 2, "tensorboard": False, "data.segments": 6, "head.hidden": [4, 2]}
    named = load_config("sultani")
    file = tmp_path / "sultani.json"
    file.write_text(named.model_dump_json())
    forms = {None: "sultani", "file": file, "mapping": {"method": "sultani"}, "object": named}
    files = (str(dataset.pack), str(dataset.manifest), str(tmp_path / "run"))
    result = train(*files, config=forms[given], overrides=overrides, device="cpu")
    assert Path(result) == Path(result.runs[0]) == result.path == tmp_path / "run"
    assert load_checkpoint(result).config == load_config("sultani", overrides)


def test_several_seeds_are_a_path_too(dataset, tmp_path, small_config) -> None:
    manifest = read_manifest(dataset.manifest)
    result = train(dataset.pack, manifest, tmp_path, config=small_config, seeds=2, device="cpu")
    assert find_runs(result) == [tmp_path / "seed-0", tmp_path / "seed-1"]
    assert [run.seed for run in result.runs] == [0, 1]


def test_a_run_is_never_overwritten(dataset, tmp_path, small_config) -> None:
    (tmp_path / "notes.txt").touch()
    for options in ({}, {"seeds": [0]}):
        with pytest.raises(InputError, match="not an empty folder; choose another --out"):
            dataset.train(tmp_path, small_config, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_nothing_is_written_before_the_data_are_found_good(dataset, tmp_path, small_config) -> None:
    with pytest.raises(VadError):
        train(tmp_path / "no.h5", dataset.manifest, tmp_path / "run", config=small_config)
    with pytest.raises(InputError, match="device must be auto, cpu, cuda or cuda:N, got 'tpu'"):
        dataset.train(tmp_path / "run", small_config, device="tpu")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops(dataset, tmp_path, small_config, monkeypatch) -> None:
    steps = []

    def broken(self: MilModel, output: object) -> dict[str, torch.Tensor]:
        steps.append(1)
        terms = losses(self, output)
        return {**terms, "mil": terms["mil"] * (float("nan") if len(steps) == 4 else 1.0)}

    losses = head_module.ClavComo.losses
    monkeypatch.setattr(head_module.ClavComo, "losses", broken)
    with pytest.raises(VadError, match=r"step 4: the loss is nan") as caught:
        dataset.train(tmp_path / "run", small_config)
    named = re.findall(r"(?:ab)?normal/\w+", str(caught.value))
    assert [name.startswith("normal") for name in named] == [True] * 3 + [False] * 3
    best = load_checkpoint(tmp_path / "run")  # what was good before is kept, whole
    assert best.info.step == 3


@pytest.mark.gpu
def test_training_on_a_gpu(dataset, tmp_path, small_config, gpu: str) -> None:
    (result,) = dataset.train(tmp_path / "run", small_config, device=gpu)
    assert load_checkpoint(result.run, "cpu").info.step == result.best_step
