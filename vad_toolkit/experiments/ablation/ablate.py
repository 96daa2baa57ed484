"""Ablation: every row of a table trained over seeds, tested once per run, and compared in pairs.

OUT/ablation.json                 the data; a folder holds the ablations of one dataset
OUT/data/                         drawn data, if the source draws them
OUT/runs/<row>/seed-N/            one run each (docs/training.md)
OUT/evaluations/<row>/seed-N/     its test metrics and scores (docs/evaluation.md)
OUT/table.md, table.csv, runs.csv, results.json, plot.png

Each run chooses its step and checkpoint on its validation videos. The test set is scored once per
run, by `evaluate`, and nothing is chosen by its results.
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
from vad_toolkit.evaluation.ground_truth import load_ground_truth
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.experiments.ablation.report import (
    ComparisonResult,
    EffectResult,
    Results,
    RowResult,
    write_results,
)
from vad_toolkit.experiments.ablation.source import Data, Source
from vad_toolkit.experiments.ablation.statistics import (
    METRICS,
    RESAMPLES,
    Measured,
    MetricName,
    differences,
    draw_videos,
    measure,
    spread,
)
from vad_toolkit.experiments.ablation.tables import Pair, Table, load_table
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.write import creator_versions
from vad_toolkit.training.checkpoint import BEST
from vad_toolkit.training.train import train

RECORD_FILE = "ablation.json"
FORMAT = "vad-ablation"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class _Task:
    row: str
    seed: int
    data: Data
    config: TrainConfig
    out: Path
    device: str
    threads: int

    @property
    def run(self) -> Path:
        return self.out / "runs" / self.row / f"seed-{self.seed}"

    @property
    def evaluation(self) -> Path:
        return self.out / "evaluations" / self.row / f"seed-{self.seed}"


def run_ablation(
    source: Source,
    table: str | Table,
    out: Path,
    *,
    config: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 10,
    metric: MetricName = "auc",
    device: str = "auto",
    threads: int = 1,
    jobs: int | None = None,
    resamples: int = RESAMPLES,
    progress: ProgressCallback = silent,
) -> Results:
    """Train, evaluate and compare the rows of a table, and write everything into `out`.

    The same call keeps finished runs and resumes a stopped one; rows and seeds can be added. A run
    that fails is listed in the results, and the others are still done.

    Args:
        source: The data.
        table: Name of a built-in table, a table file, or a table.
        out: A new or empty folder, or one with an ablation of the same data.
        config: Preset or config file of the rows that name none. If None, "clav-como".
        overrides: Config values by dotted key for all rows; a row's own settings replace them.
        seeds: A number N for seeds 0 to N - 1, or the seeds themselves.
        metric: The metric that is compared, "auc" or "ap"; runs.csv holds all metrics.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: CPU threads of each run; they decide the last bits of its result on a CPU.
        jobs: Number of runs in parallel, each in its own process. If None, `default_jobs`.
        resamples: Number of bootstrap resamples.
        progress: Called with the number of runs done.

    Raises:
        InputError: If a value is not allowed (of a row's settings, the message names the row), or
            `out` holds something else, or runs of other settings.
        PackError, ManifestError: If the data cannot be used.
        VadError: If a worker process was killed.
    """
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not numbers or len(set(numbers)) != len(numbers) or min(numbers) < 0:
        raise InputError(f"seeds must be one or more different integers >= 0, got {seeds!r}")
    if metric not in METRICS:
        raise InputError(f"unknown metric {metric!r}; available: {', '.join(METRICS)}")
    jobs = default_jobs(device, threads) if jobs is None else jobs
    for name, value in (("threads", threads), ("resamples", resamples), ("jobs", jobs)):
        if value < 1:
            raise InputError(f"{name} must be an integer >= 1, got {value}")
    if isinstance(table, str):
        table = load_table(table)
    configs = table.resolve(config, overrides or {})
    place = str(pick_device(device))
    described = source.describe()
    record = {"format": FORMAT, "format_version": FORMAT_VERSION, "data": described}
    claim_folder(out, RECORD_FILE, record, "an ablation")
    data = {seed: source.data(seed, progress) for seed in numbers}
    tasks = [  # seeds in the outer loop, so that a stopped ablation has complete seeds
        _Task(row.name, seed, data[seed], configs[row.name], out, place, threads)
        for seed in numbers
        for row in table.rows
    ]
    failures = _run_all(tasks, jobs, progress)
    good = [task for task in tasks if (task.row, task.seed) not in failures]
    measured: dict[str, dict[int, Measured]] = {row.name: {} for row in table.rows}
    for done, task in enumerate(good, start=1):
        videos = _scored(task)
        labels = np.array([video.label for video in videos])
        times = draw_videos(labels, resamples, None if source.shared else task.seed)
        measured[task.row][task.seed] = measure(videos, metric, times)
        progress(ProgressEvent("compare", done, len(good), "runs", task.row))
    results = Results(
        data=described,
        metric=metric,
        resamples=resamples,
        shared_test=source.shared,
        device=place,
        threads=threads,
        versions=dict(creator_versions()),
        rows=tuple(
            RowResult(
                name,
                configs[name].model_dump(mode="json"),
                {seed: runs[seed].value for seed in sorted(runs)},
                spread(runs),
            )
            for name, runs in measured.items()
        ),
        comparisons=tuple(
            ComparisonResult(*pair, spread(_difference(measured, [pair])))
            for pair in table.comparisons
        ),
        effects=tuple(
            EffectResult(name, pairs, spread(_difference(measured, pairs)))
            for name, pairs in table.effects.items()
        ),
        runs=tuple(map(_run_facts, sorted(good, key=lambda task: (task.row, task.seed)))),
        failures={f"{row} seed {seed}": reason for (row, seed), reason in failures.items()},
    )
    write_results(out, results)
    return results


def default_jobs(device: str, threads: int = 1) -> int:
    """Return the default number of parallel runs: 1 on a GPU, else as many as fit on the cores."""
    if pick_device(device).type == "cuda":
        return 1
    return max(1, len(os.sched_getaffinity(0)) // max(1, threads))


def _run_all(
    tasks: Sequence[_Task], jobs: int, progress: ProgressCallback
) -> dict[tuple[str, int], str]:
    """Run all tasks, and return the reasons of those that failed by row and seed."""
    failures = {}
    progress(ProgressEvent("ablate", 0, len(tasks), "runs"))
    for done, (task, failure) in enumerate(run_tasks(_run, tasks, jobs), start=1):
        if failure is not None:
            failures[task.row, task.seed] = failure
        note = f"{task.row} seed {task.seed}{' failed' if failure else ''}"
        progress(ProgressEvent("ablate", done, len(tasks), "runs", note))
    return failures


def _run(task: _Task) -> str | None:
    """Train and evaluate unless it is done, and return the reason of a failure, or None."""
    threads = torch.get_num_threads()
    torch.set_num_threads(task.threads)
    data, device = task.data, task.device
    try:
        train(
            data.pack,
            data.train,
            task.run,
            config=task.config,
            seed=task.seed,
            device=device,
            threads=task.threads,
        )
        if not _is_evaluated(task):
            out = task.evaluation
            rmtree(out, ignore_errors=True)
            evaluate(
                task.run,
                data.test_pack,
                data.test,
                out=out,
                resamples=0,
                device=device,
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
    """Return whether the metrics, which are written last, exist for this very checkpoint."""
    try:
        metrics = _read_json(task.evaluation / "metrics.json")
    except (OSError, ValueError):
        return False
    return bool(metrics["checkpoint"]["sha256"] == sha256_file(task.run / BEST))


def _read_json(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


def _scored(task: _Task) -> list[ScoredVideo]:
    """Return the test videos of a run with its scores, in the order of their ids."""
    return [
        ScoredVideo(id, label, np.load(task.evaluation / "scores" / f"{id}.npy"), truth)
        for id, label, truth in _truth(task.data)
    ]


@lru_cache(maxsize=2)
def _truth(data: Data) -> list[tuple[str, int, Any]]:
    """Return id, label and frame labels of the test videos, in the order of their ids."""
    manifest = find_manifest(data.test)
    with FeaturePack.open(data.test_pack) as pack:
        truth = load_ground_truth(manifest, pack)
    return sorted(
        ((entry.id, entry.label, truth.labels[entry.id]) for entry in manifest),
        key=lambda video: video[0],
    )


def _difference(
    measured: Mapping[str, Mapping[int, Measured]], pairs: Sequence[Pair]
) -> dict[int, Measured]:
    return differences([(measured[row], measured[reference]) for row, reference in pairs])


def _run_facts(task: _Task) -> dict[str, Any]:
    """Return the choices on validation, the digests and the test metrics of a run."""
    stored = _read_json(task.evaluation / "metrics.json")
    trained = _read_json(task.run / "result.json")
    checkpoint, inputs = stored["checkpoint"], stored["inputs"]
    return {
        "row": task.row,
        "seed": task.seed,
        "best_step": trained["best_step"],
        "validation_auc": trained["best_auc"],
        "checkpoint_sha256": checkpoint["sha256"],
        "pack_sha256": checkpoint["pack_sha256"],
        "manifest_sha256": checkpoint["manifest_sha256"],
        "test_pack_sha256": inputs["pack_sha256"],
        "test_manifest_sha256": inputs["manifest_sha256"],
        "metrics": {
            name: value
            for name, value in stored["metrics"].items()
            if value is None or isinstance(value, int | float)
        },
    }
