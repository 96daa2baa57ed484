"""Training of one run or of several seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vad_toolkit.core.device import pick_device
from vad_toolkit.core.files import AnyPath
from vad_toolkit.core.processes import run_tasks
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.datasets.manifest import Manifest
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.errors import InputError
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.training.data import open_training_source, read_training_set
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.run import RunPlan
from vad_toolkit.training.run_folder import (
    LOG,
    RESULT,
    RunResult,
    check_run_folder,
    check_seeds_folder,
)


@dataclass(frozen=True)
class TrainResult:
    """The result of `train`, which can be used as the path of its run or runs."""

    path: Path  # the run folder; with several seeds, the folder of their run folders
    runs: tuple[RunResult, ...]  # one per seed

    def __fspath__(self) -> str:
        return str(self.path)


def train(
    pack: AnyPath,
    manifest: AnyPath | Manifest,
    out: AnyPath,
    *,
    config: AnyPath | Mapping[str, Any] | TrainConfig | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
    seeds: int | Sequence[int] | None = None,
    jobs: int = 1,
    threads: int | None = None,
    device: str = "auto",
    progress: ProgressCallback = silent,
) -> TrainResult:
    """Train a model, or one per seed, and write the run folder.

    The same call resumes a run that was stopped from its last saved state, and gives the same bytes
    as a run that was not stopped (on a CPU). Finished runs are kept.

    Args:
        pack: The feature pack, which must hold every video of the manifest.
        manifest: The training manifest or its file, or the name of a dataset, whose training side
            is used. Only video labels are used, no events.
        out: The run folder: new, empty, or of this run. With `seeds`, the folder of the run folders
            `seed-0`, `seed-1` and so on.
        config: A name, file, mapping or config, as for `load_config`. If None, "clav-como".
        overrides: Config values by dotted key, such as {"steps": 500}. If None, nothing is changed.
        seed: The seed of initialization, dropout, pairs and validation split. If None, 0. On a CPU
            the same seed, data, config, torch version and `threads` give the same bytes.
        seeds: Several seeds: a number N for 0 to N - 1, or the seeds themselves. If None, one run.
        jobs: The number of seeds that are trained in parallel, each in its own process. It does not
            change results if `threads` is given.
        threads: CPU threads of each run. If None, torch's number divided by `jobs`.
        device: "auto", "cpu", "cuda" or "cuda:N".
        progress: Is called in the stages "read" (videos) and "train seed N" (steps), or "train"
            (seeds) with several jobs.

    Raises:
        InputError: If a value is not allowed, or `out` has other contents.
        ManifestError: If manifest and pack do not fit, or a label has no videos.
        PackError: If the pack is damaged or lacks a modality.
        VadError: If a loss is not finite; the message names the step and its videos. Earlier
            checkpoints are kept.

    Example:
        >>> quick = {"steps": 2, "pairs": 2, "tensorboard": False}
        >>> files = ("features.h5", "manifests/train.jsonl", "runs")
        >>> result = train(*files, config="sultani", overrides=quick, seeds=2)
        >>> [run.run.name for run in result.runs]
        ['seed-0', 'seed-1']
    """
    pack, out, config = Path(pack), Path(out), load_config(config, overrides)
    manifest = find_manifest(manifest, "train")
    folders = _run_folders(out, seed, seeds, jobs)
    if threads is not None and threads < 1:
        raise InputError(f"threads must be an integer >= 1, got {threads}")
    threads = threads or max(1, torch.get_num_threads() // jobs)
    place = pick_device(device)
    source = open_training_source(pack, manifest, config.data)
    plans = [RunPlan(source, config, s, folder, place, threads) for s, folder in folders.items()]
    # This checks all folders before any run starts.
    left = [p for p in plans if check_run_folder(p.out, p.description) != "finished"]
    if jobs > 1 and len(left) > 1:
        if source.is_large:
            read_training_set(source, progress)  # writes the file that all processes map
        _train_in_processes(left, jobs, progress)
    elif left:
        data = read_training_set(source, progress)
        for plan in left:
            plan.train(data, progress)
    return TrainResult(out, tuple(plan.result(reused=plan not in left) for plan in plans))


def _run_folders(
    out: Path, seed: int | None, seeds: int | Sequence[int] | None, jobs: int
) -> dict[int, Path]:
    """Return the run folder of each seed, after a check of `out` and of the values."""
    if jobs < 1:
        raise InputError(f"jobs must be an integer >= 1, got {jobs}")
    if seeds is None:
        if jobs > 1:
            raise InputError(f"jobs is for several seeds, got jobs {jobs} for one; give seeds too")
        if seed is not None and seed < 0:
            raise InputError(f"seed must be an integer >= 0, got {seed}")
        check_run_folder(out)
        return {seed or 0: out}
    if seed is not None:
        raise InputError("seed is for one run and seeds for several; give only one of them")
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not numbers or len(set(numbers)) != len(numbers) or min(numbers) < 0:
        raise InputError(f"seeds must be one or more different integers >= 0, got {seeds!r}")
    check_seeds_folder(out)
    return {number: out / f"seed-{number}" for number in numbers}


def _train_in_processes(plans: Sequence[RunPlan], jobs: int, progress: ProgressCallback) -> None:
    """Train runs in worker processes; progress is read from their logs.

    When one run fails the others are stopped; their work is kept, as after a kill.
    """

    def report(running: Sequence[tuple[int, Path]]) -> None:
        finished = sum((plan.out / RESULT).is_file() for plan in plans)
        note = "; ".join(filter(None, (_last_loss(out) for _, out in running)))
        progress(ProgressEvent("train", finished, len(plans), "seeds", note))

    one = plans[0]
    call = partial(
        _train_seed,
        pack=one.source.pack,
        manifest=one.source.manifest,
        config=one.config.model_dump(mode="json"),  # a plugin's class may not be picklable
        threads=one.threads,
        device=str(one.device),
    )
    for _ in run_tasks(call, [(plan.seed, plan.out) for plan in plans], jobs, report):
        pass


def _train_seed(task: tuple[int, Path], **arguments: Any) -> None:
    train(seed=task[0], out=task[1], **arguments)


def _last_loss(out: Path) -> str:
    """Return, for example, "seed-3 step 500 loss 0.512"; empty if no step was logged yet."""
    with suppress(OSError, ValueError, IndexError):
        logged = (out / LOG).read_text(encoding="utf-8").splitlines()
        last = json.loads([line for line in logged if '"group": "train"' in line][-1])
        return f"{out.name} step {last['step']} loss {last['loss']:.3f}"
    return ""
