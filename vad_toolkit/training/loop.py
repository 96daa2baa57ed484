"""Training, one run or several seeds: a method gives named loss terms, the rest is shared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from vad_toolkit.device import pick_device
from vad_toolkit.errors import InputError
from vad_toolkit.progress import ProgressCallback, silent
from vad_toolkit.training.config import TrainConfig
from vad_toolkit.training.data import open_training_source, read_training_set
from vad_toolkit.training.folder import check_run_folder, check_seeds_folder
from vad_toolkit.training.plan import RunPlan
from vad_toolkit.training.result import TrainResult
from vad_toolkit.training.side_by_side import train_side_by_side

__all__ = ["TrainResult", "train", "train_seeds"]


def train(
    pack: Path,
    manifest: Path,
    out: Path,
    config: TrainConfig,
    seed: int = 0,
    device: str = "auto",
    progress: ProgressCallback = silent,
    *,
    threads: int | None = None,
) -> TrainResult:
    """Train one model and write the run folder `out`.

    A run of the same settings that was stopped goes on where its last state was written, and gives
    the same bytes as one that was not (on a CPU); a finished one is kept as it is.

    Args:
        pack: feature pack that holds every video of the manifest.
        manifest: training videos with their labels; events are not used.
        out: new or empty folder, or one that holds this run.
        config: see `training.config.load_config`.
        seed: of initialisation, dropout, pairs and validation split. On a CPU the same seed, data,
            config, torch version and number of threads give the same bytes.
        device: auto, cpu, cuda or cuda:N.
        progress: stages "read" (videos) and "train seed N" (steps, losses in the note).
        threads: that computation on a CPU uses; None: as many as torch does.

    Raises:
        InputError: `out` holds something else, or a value is not allowed.
        ManifestError: pack and manifest do not fit, or a label has no videos.
        PackError: the pack cannot be used, or lacks a stream.
        VadError: a loss is not finite; names the step and its videos. Earlier checkpoints are kept.
    """
    check_run_folder(out)
    place, threads = pick_device(device), _threads(threads, 1)
    source = open_training_source(pack, manifest, config.data)
    plan = RunPlan(source, config, seed, out, place, threads)
    if plan.reached() == "finished":
        return plan.result(reused=True)
    return plan.train(read_training_set(source, progress), progress)


def train_seeds(
    pack: Path,
    manifest: Path,
    out: Path,
    config: TrainConfig,
    seeds: Sequence[int],
    device: str = "auto",
    progress: ProgressCallback = silent,
    *,
    jobs: int = 1,
    threads: int | None = None,
) -> list[TrainResult]:
    """Train one model a seed into `out`/seed-S. Otherwise as `train`; finished seeds are kept.

    Args:
        jobs: how many seeds are trained side by side, each in a process of its own.
        threads: of each run; None: torch's number divided by `jobs`. Runs with equal `threads` are
            equal to the byte, whatever `jobs` is.
    """
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise InputError(f"seeds {list(seeds)}: have to be different numbers of at least 0")
    if jobs < 1:
        raise InputError(f"jobs {jobs}: has to be at least 1")
    check_seeds_folder(out)
    place, threads = pick_device(device), _threads(threads, jobs)
    source = open_training_source(pack, manifest, config.data)
    plans = [RunPlan(source, config, seed, out / f"seed-{seed}", place, threads) for seed in seeds]
    left = [plan for plan in plans if plan.reached() != "finished"]  # each is looked at first
    if jobs > 1 and len(left) > 1:
        if source.is_large:
            read_training_set(source, progress)  # makes the file that all of them map
        calls = {
            plan.out: (pack, manifest, plan.out, config, plan.seed, str(place)) for plan in left
        }
        train_side_by_side(train, calls, {"threads": threads}, jobs, progress)
    elif left:
        data = read_training_set(source, progress)
        for plan in left:
            plan.train(data, progress)
    return [plan.result(reused=plan not in left) for plan in plans]


def _threads(wanted: int | None, jobs: int) -> int:
    if wanted is not None and wanted < 1:
        raise InputError(f"threads {wanted}: has to be at least 1")
    return wanted or max(1, torch.get_num_threads() // jobs)
