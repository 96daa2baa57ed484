"""`vad ablate`: every row of a table trained over seeds, measured once on the test set, compared.

OUT/ablation.json                 which data; a folder holds the ablations of one dataset
OUT/data/                         drawn data, where the source draws them
OUT/runs/<row>/seed-N/            a run each (docs/training.md)
OUT/evaluations/<row>/seed-N/     its test metrics and scores (docs/evaluation.md)
OUT/table.md, table.csv, runs.csv, results.json, plot.png

Steps and checkpoints are chosen by each run on its validation videos; the test set is opened once a
run, by `evaluate`, and nothing is chosen by what it says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import torch

from vad_toolkit.core.device import pick_device
from vad_toolkit.core.files import claim_folder, sha256_file
from vad_toolkit.core.processes import run_tasks
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.errors import InputError, VadError
from vad_toolkit.evaluation.evaluate import evaluate
from vad_toolkit.evaluation.ground_truth import GroundTruth, load_ground_truth
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.experiments.ablation.report import (
    ComparisonResult,
    EffectResult,
    Results,
    RowResult,
    RunRow,
    write_results,
)
from vad_toolkit.experiments.ablation.source import Data, Source
from vad_toolkit.experiments.ablation.statistics import (
    METRICS,
    RESAMPLES,
    Measured,
    MetricName,
    VideoDraws,
    main_effect,
    measure,
    spread,
)
from vad_toolkit.experiments.ablation.tables import Table
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.write import creator_versions
from vad_toolkit.training.checkpoint import BEST
from vad_toolkit.training.train import train

RECORD_FILE = "ablation.json"
FORMAT = "vad-ablation"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Plan:
    """What is to be run, checked: rows with their whole configs, seeds, and how."""

    source: Source
    table: Table
    configs: Mapping[str, TrainConfig]
    seeds: tuple[int, ...]
    metric: MetricName
    device: str
    threads: int
    resamples: int


@dataclass(frozen=True)
class _Task:
    row: str
    seed: int
    data: Data
    config: TrainConfig
    run: Path
    evaluation: Path
    device: str
    threads: int


def plan_ablation(
    source: Source,
    table: Table,
    *,
    base: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = range(10),
    metric: MetricName = "auc",
    device: str = "auto",
    threads: int = 1,
    resamples: int = RESAMPLES,
) -> Plan:
    """Check everything that can be checked before anything is run.

    Args:
        base: preset or config file of the rows that name none.
        overrides: settings that all rows share; a row's own come after them.
        metric: that is compared; all others stand in runs.csv.
        threads: of each run; they decide its last bits on a CPU.
        resamples: of the bootstrap.

    Raises:
        InputError: a value that is not allowed; of a row's settings, it names the row.
    """
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise InputError(f"seeds {list(seeds)}: have to be different numbers of at least 0")
    if metric not in METRICS:
        raise InputError(f"metric {metric!r}: has to be one of {', '.join(METRICS)}")
    for name, value in (("threads", threads), ("resamples", resamples)):
        if value < 1:
            raise InputError(f"{name} {value}: has to be at least 1")
    configs = table.resolve(base, overrides or {})
    place = str(pick_device(device))
    return Plan(source, table, configs, tuple(seeds), metric, place, threads, resamples)


def default_jobs(device: str, threads: int = 1) -> int:
    """One run at a time on a GPU; on a CPU as many as its cores have room for."""
    if pick_device(device).type == "cuda":
        return 1
    return max(1, len(os.sched_getaffinity(0)) // threads)


def run_ablation(
    plan: Plan, out: Path, *, jobs: int | None = None, progress: ProgressCallback = silent
) -> Results:
    """Train, evaluate and compare, into `out`.

    What is finished in `out` is kept, what was stopped goes on: the same command again does what is
    left, and more rows or seeds are added. A run that fails is told in the results; the others go
    on.

    Args:
        jobs: runs side by side, each in a process of its own; None: `default_jobs`.

    Raises:
        InputError: `out` holds something else, or runs of other settings.
        PackError, ManifestError: data that cannot be used.
        VadError: a process was killed.
    """
    jobs = default_jobs(plan.device, plan.threads) if jobs is None else jobs
    if jobs < 1:
        raise InputError(f"jobs {jobs}: has to be at least 1")
    described = plan.source.describe()
    record = {"format": FORMAT, "format_version": FORMAT_VERSION, "data": described}
    claim_folder(out, RECORD_FILE, record, "an ablation")
    plan.source.prepare(plan.seeds, progress)
    tasks = [  # seeds outside: the first complete seed says something of all rows
        _Task(
            row.name,
            seed,
            plan.source.data(seed),
            plan.configs[row.name],
            out / "runs" / row.name / f"seed-{seed}",
            out / "evaluations" / row.name / f"seed-{seed}",
            plan.device,
            plan.threads,
        )
        for seed in plan.seeds
        for row in plan.table.rows
    ]
    failures = {}
    progress(ProgressEvent("ablate", 0, len(tasks), "runs"))
    for done, (task, failure) in enumerate(run_tasks(_run, tasks, jobs), start=1):
        if failure is not None:
            failures[task.row, task.seed] = failure
        note = f"{task.row} seed {task.seed}{' failed' if failure else ''}"
        progress(ProgressEvent("ablate", done, len(tasks), "runs", note))
    good = [task for task in tasks if (task.row, task.seed) not in failures]
    results = _compare(plan, described, good, failures, progress)
    write_results(out, results)
    return results


def _run(task: _Task) -> str | None:
    """Train and evaluate what is not there yet; why it failed, or None."""
    threads = torch.get_num_threads()
    torch.set_num_threads(task.threads)
    try:
        train(
            task.data.pack,
            task.data.train,
            task.run,
            config=task.config,
            seed=task.seed,
            device=task.device,
            threads=task.threads,
        )
        if not _is_evaluated(task):
            rmtree(task.evaluation, ignore_errors=True)
            evaluate(
                task.run,
                task.data.test_pack,
                task.data.test,
                out=task.evaluation,
                resamples=0,
                device=task.device,
                plots=False,
            )
    except InputError:
        raise  # wrong for all runs, or a folder that holds something else
    except VadError as error:
        return str(error)
    finally:
        torch.set_num_threads(threads)
    return None


def _is_evaluated(task: _Task) -> bool:
    """Whether the metrics, written last, are there and of this very checkpoint."""
    try:
        metrics = _read_metrics(task)
    except (OSError, ValueError):
        return False
    return bool(metrics["checkpoint"]["sha256"] == sha256_file(task.run / BEST))


def _read_metrics(task: _Task) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(
        (task.evaluation / "metrics.json").read_text(encoding="utf-8")
    )
    return metrics


def _compare(
    plan: Plan,
    described: Mapping[str, Any],
    tasks: Sequence[_Task],
    failures: Mapping[tuple[str, int], str],
    progress: ProgressCallback,
) -> Results:
    draws = VideoDraws(shared=plan.source.shared, resamples=plan.resamples)
    measured: dict[str, dict[int, Measured]] = {row.name: {} for row in plan.table.rows}
    runs = []
    for done, task in enumerate(tasks, start=1):
        videos = _scored(task)
        labels = np.array([video.label for video in videos])
        measured[task.row][task.seed] = measure(videos, plan.metric, draws.times(task.seed, labels))
        runs.append(_run_row(task))
        progress(ProgressEvent("compare", done, len(tasks), "runs", task.row))
    return Results(
        data=described,
        metric=plan.metric,
        resamples=plan.resamples,
        shared_test=plan.source.shared,
        device=plan.device,
        threads=plan.threads,
        versions=dict(creator_versions()),
        rows=tuple(
            RowResult(
                row.name,
                plan.configs[row.name].model_dump(mode="json"),
                {seed: one.value for seed, one in sorted(measured[row.name].items())},
                spread(measured[row.name]),
            )
            for row in plan.table.rows
        ),
        comparisons=tuple(
            ComparisonResult(
                row,
                reference,
                spread(measured[row], measured[reference]),
            )
            for row, reference in plan.table.comparisons
        ),
        effects=tuple(
            EffectResult(
                name,
                pairs,
                main_effect([(measured[row], measured[reference]) for row, reference in pairs]),
            )
            for name, pairs in plan.table.effects.items()
        ),
        runs=tuple(runs),
        failures={f"{row} seed {seed}": why for (row, seed), why in failures.items()},
    )


def _scored(task: _Task) -> list[ScoredVideo]:
    """The test videos of a run, in the order of their ids, with the scores that it gave."""
    truth, labels = _truth(task.data)
    return [
        ScoredVideo(
            id,
            labels[id],
            np.load(task.evaluation / "scores" / f"{id}.npy", allow_pickle=False),
            truth.labels[id],
        )
        for id in sorted(labels)
    ]


@lru_cache(maxsize=2)
def _truth(data: Data) -> tuple[GroundTruth, Mapping[str, int]]:
    """Ground truth of the test videos, and the label of each."""
    manifest = find_manifest(data.test)
    with FeaturePack.open(data.test_pack) as pack:
        truth = load_ground_truth(manifest, pack)
    return truth, {entry.id: entry.label for entry in manifest}


def _run_row(task: _Task) -> RunRow:
    stored = _read_metrics(task)
    trained = json.loads((task.run / "result.json").read_text(encoding="utf-8"))
    values = {
        name: value
        for name, value in stored["metrics"].items()
        if value is None or isinstance(value, int | float)
    }
    return RunRow(
        row=task.row,
        seed=task.seed,
        best_step=trained["best_step"],
        validation_auc=trained["best_auc"],
        checkpoint_sha256=stored["checkpoint"]["sha256"],
        pack_sha256=stored["checkpoint"]["pack_sha256"],
        manifest_sha256=stored["checkpoint"]["manifest_sha256"],
        test_pack_sha256=stored["inputs"]["pack_sha256"],
        test_manifest_sha256=stored["inputs"]["manifest_sha256"],
        metrics=values,
    )
