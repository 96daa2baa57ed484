"""An ablation as a whole: what it writes, what it keeps, what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vad_toolkit.errors import InputError, VadError
from vad_toolkit.evaluation.registry import METRICS
from vad_toolkit.experiments.ablation import ablate as run_module
from vad_toolkit.experiments.ablation.ablate import run_ablation
from vad_toolkit.experiments.ablation.report import Results
from vad_toolkit.experiments.ablation.source import ContextMotionSource, PackSource, Source
from vad_toolkit.experiments.ablation.tables import Row, Table
from vad_toolkit.experiments.context_motion.courses import Level, Size

QUICK = {  # a run takes a fraction of a second
    "steps": 2,
    "pairs": 2,
    "data.segments": 4,
    "tensorboard": False,
    "head.hidden": [4, 2],
}
TABLE = Table(
    (Row("one"), Row("two", {"steps": 3})),
    (("two", "one"),),
    effects={"of a step": (("two", "one"), ("one", "two"), ("two", "one"))},
)
SMALL = Size(train=16, test=16)


def ablate(source: Source, out: Path, table: Table = TABLE, **changes: Any) -> Results:
    overrides = {**QUICK, **changes.pop("overrides", {})}
    given = {"seeds": 2, "jobs": 1, "device": "cpu", "resamples": 50, **changes}
    return run_ablation(source, table, out, config="sultani", overrides=overrides, **given)


@pytest.fixture(scope="module")
def done(source: PackSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ablation") / "out"
    ablate(source, out)
    return out


def test_what_it_leaves(done: Path) -> None:
    assert sorted(path.name for path in done.iterdir()) == [
        "ablation.json",
        "evaluations",
        "plot.png",
        "results.json",
        "runs",
        "runs.csv",
        "table.csv",
        "table.md",
    ]
    stored = json.loads((done / "results.json").read_text())
    assert [row["name"] for row in stored["rows"]] == ["one", "two"]
    assert stored["rows"][1]["config"]["steps"] == 3
    assert stored["definitions"]["t"].startswith("95 % interval over seeds")
    assert stored["failures"] == {}
    assert str(done) not in json.dumps(stored)  # no place of this machine decides anything


def test_values_are_those_of_the_evaluations(done: Path) -> None:
    stored = json.loads((done / "results.json").read_text())
    for row in stored["rows"]:
        for seed, value in row["values"].items():
            folder = done / "evaluations" / row["name"] / f"seed-{seed}"
            metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
            assert value == pytest.approx(metrics["auc"], abs=1e-12)
        assert row["spread"]["mean"] == pytest.approx(np.mean(list(row["values"].values())))
    one, two = (row["values"] for row in stored["rows"])
    (comparison,) = stored["comparisons"]
    differences = [two[seed] - one[seed] for seed in one]
    assert comparison["spread"]["mean"] == pytest.approx(np.mean(differences))
    assert comparison["spread"]["std"] == pytest.approx(np.std(differences, ddof=1))
    (effect,) = stored["effects"]
    assert effect["name"] == "of a step"
    assert effect["spread"]["mean"] == pytest.approx(np.mean(differences) / 3)


def test_tables_hold_the_same(done: Path) -> None:
    stored = json.loads((done / "results.json").read_text())
    with (done / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["kind"], line["row"], line["minus"]) for line in lines] == [
        ("row", "one", ""),
        ("row", "two", ""),
        ("difference", "two", "one"),
        ("effect", "of a step", ""),
    ]
    assert float(lines[0]["mean"]) == stored["rows"][0]["spread"]["mean"]
    with (done / "runs.csv").open() as file:
        runs = list(csv.DictReader(file))
    assert [(run["row"], run["seed"]) for run in runs] == [
        ("one", "0"),
        ("one", "1"),
        ("two", "0"),
        ("two", "1"),
    ]
    assert set(METRICS) < set(runs[0])
    text = (done / "table.md").read_text()
    assert f"| one | 2 | {100 * stored['rows'][0]['spread']['mean']:.1f} ± " in text
    assert "| two - one | 2 | " in text
    assert "| of a step | 2 | " in text


def test_the_same_again_keeps_everything(source: PackSource, done: Path) -> None:
    def times() -> dict[Path, int]:
        kept = [*done.glob("runs/**/*.safetensors"), *done.glob("evaluations/**/*.npy")]
        return {path: path.stat().st_mtime_ns for path in kept}

    before, results = times(), (done / "results.json").read_bytes()
    ablate(source, done)
    assert times() == before
    assert (done / "results.json").read_bytes() == results


def test_what_was_stopped_is_done_again(source: PackSource, out: Path) -> None:
    """An evaluation without its metrics is none; one of another checkpoint is none either."""
    ablate(source, out)
    results = (out / "results.json").read_bytes()
    (out / "evaluations" / "one" / "seed-0" / "metrics.json").unlink()
    other = out / "evaluations" / "two" / "seed-1" / "metrics.json"
    changed = json.loads(other.read_text())
    changed["checkpoint"]["sha256"] = "0" * 64
    other.write_text(json.dumps(changed))
    ablate(source, out)
    assert (out / "results.json").read_bytes() == results


def test_more_seeds_and_rows_are_added(source: PackSource, done: Path) -> None:
    table = Table((*TABLE.rows, Row("three", {"steps": 4})), (("three", "one"),))
    results = ablate(source, done, table, seeds=3)
    assert [len(row.values) for row in results.rows] == [3, 3, 3]


def test_processes_give_the_same(source: PackSource, out: Path, tmp_path: Path) -> None:
    one = ablate(source, out)
    two = ablate(source, tmp_path / "other", jobs=2)
    assert one.rows == two.rows


def test_drawn_data(out: Path) -> None:
    """A dataset for each seed: seeds differ in data, rows of one seed do not."""
    drawn = ContextMotionSource(Level.NEAR, out / "data", size=SMALL)
    results = ablate(drawn, out)
    assert not results.shared_test
    packs = {(run["row"], run["seed"]): run["test_pack_sha256"] for run in results.runs}
    assert packs["one", 0] == packs["two", 0] != packs["one", 1]
    assert (out / "data" / "seed-1" / "pack.h5").is_file()
    shared = ContextMotionSource(Level.NEAR, out.parent / "b" / "data", 7, SMALL)
    results = ablate(shared, out.parent / "b")
    assert results.shared_test
    assert len({run["test_pack_sha256"] for run in results.runs}) == 1


def test_a_run_that_fails_leaves_the_others(
    source: PackSource, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = run_module.train

    def failing(pack: Path, manifest: Path, run: Path, *rest: Any, **options: Any) -> object:
        if run.parent.name == "two":
            raise VadError("step 1: the loss is nan")
        return train(pack, manifest, run, *rest, **options)

    monkeypatch.setattr(run_module, "train", failing)
    results = ablate(source, out)
    assert results.failures == {
        "two seed 0": "step 1: the loss is nan",
        "two seed 1": "step 1: the loss is nan",
    }
    assert results.rows[1].spread is None
    assert results.comparisons[0].spread is None
    assert "- two seed 0: step 1: the loss is nan" in (out / "table.md").read_text()


def test_another_dataset_in_the_folder_is_refused(done: Path, tmp_path: Path) -> None:
    other = ContextMotionSource(Level.FAR, done / "data", size=SMALL)
    with pytest.raises(InputError, match="holds an ablation with other data or settings"):
        ablate(other, done)
    (tmp_path / "something").touch()
    with pytest.raises(InputError, match="is not an empty folder"):
        ablate(other, tmp_path)


def test_other_settings_in_the_folder_are_refused(source: PackSource, out: Path) -> None:
    ablate(source, out)
    with pytest.raises(InputError, match="holds another run"):
        ablate(source, out, overrides={"optimiser.learning_rate": 0.5})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "seeds must be one or more different integers >= 0, got 0"),
        ({"seeds": [1, 1]}, r"different integers >= 0, got \[1, 1\]"),
        ({"metric": "recall"}, "unknown metric 'recall'; available: auc, ap"),
        ({"threads": 0}, "threads must be an integer >= 1, got 0"),
        ({"jobs": 0}, "jobs must be an integer >= 1, got 0"),
        ({"overrides": {"head.width": 3}}, "row one: config key head.width"),
    ],
)
def test_wrong_values_are_refused_before_anything_is_written(
    source: PackSource, out: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        ablate(source, out, **changes)
    assert not out.exists()
