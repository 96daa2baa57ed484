"""Training, one run or several seeds: a method gives named loss terms, the rest is shared."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import vad_toolkit
from vad_toolkit.core.device import pick_device
from vad_toolkit.core.processes import worker_processes
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.errors import InputError
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.training.data import (
    TrainingSet,
    TrainingSource,
    open_training_source,
    read_training_set,
)
from vad_toolkit.training.run import Run
from vad_toolkit.training.run_folder import (
    LOG,
    RESULT,
    Reached,
    TrainResult,
    check_run_folder,
    check_seeds_folder,
    claimed,
    read_result,
)
from vad_toolkit.training.state import remove_state
from vad_toolkit.training.validation import ValidationSplit, split_videos

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


# A run before it is made: everything that decides what it gives, and the folder it goes to.


@dataclass(frozen=True)
class RunPlan:
    """One run. `threads` is what computation on a CPU uses: it decides the last bits there."""

    source: TrainingSource
    config: TrainConfig
    seed: int
    out: Path
    device: torch.device
    threads: int

    @cached_property
    def split(self) -> ValidationSplit:
        """Who is held out."""
        return split_videos(self.source.entries, self.config.validation.fraction, self.seed)

    @cached_property
    def description(self) -> dict[str, Any]:
        """What `run.json` says: runs with the same are one run."""
        return {
            "config": self.config.model_dump(mode="json"),
            "seed": self.seed,
            "device": str(self.device),
            "threads": self.threads,
            "versions": {"vad-toolkit": vad_toolkit.__version__, "torch": torch.__version__},
            "pack_sha256": self.source.pack_sha256,
            "manifest_sha256": self.source.manifest_sha256,
            "training_videos": list(self.split.training),
            "validation_videos": list(self.split.validation),
            "notice": self.split.notice,
        }

    def reached(self) -> Reached:
        """How far it is. Raises InputError where its folder holds something else."""
        return check_run_folder(self.out, self.description)

    def train(self, data: TrainingSet, progress: ProgressCallback) -> TrainResult:
        """Make the run, or what is left of it."""
        on_gpu = [self.device] if self.device.type == "cuda" else []
        with claimed(self.out, self.description) as reached:
            if reached == "finished":  # by another process, meanwhile
                return self.result(reused=True)
            with _cpu_threads(self.threads), torch.random.fork_rng(devices=on_gpu):
                run = Run(data, self.split, self.out, self.config, self.seed, self.device)
                run.train(progress)
        return self.result(reused=False)

    def result(self, *, reused: bool) -> TrainResult:
        """What the finished run came to; `reused`: it was finished before."""
        remove_state(self.out)  # here, since a kill may come between the result and this
        return read_result(self.out, reused=reused)


@contextmanager
def _cpu_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# Runs side by side, each in a process of its own; their logs tell how far they are.

LOOK_SECONDS = 1.0  # between two looks at the logs
TAIL_BYTES = 4_096  # of a log, in which its last line lies


def train_side_by_side(
    train: Callable[..., object],
    calls: Mapping[Path, tuple[Any, ...]],
    options: Mapping[str, Any],
    jobs: int,
    progress: ProgressCallback,
) -> None:
    """Call `train(*arguments, **options)` for each run folder, `jobs` at a time.

    When one fails the others are stopped; what they did is kept, as after a kill.

    Args:
        train: a function of a module.
        calls: arguments by run folder.

    Raises:
        VadError: what the first failing run raised, or that its process was killed.
    """
    with worker_processes(min(jobs, len(calls))) as submit:
        futures = {submit(train, *arguments, **options): out for out, arguments in calls.items()}
        _follow(futures, progress)


def _follow(futures: Mapping[Future[object], Path], progress: ProgressCallback) -> None:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=LOOK_SECONDS, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        finished = sum((out / RESULT).is_file() for out in futures.values())
        notes = [_last_loss(out) for future, out in futures.items() if future in pending]
        note = "; ".join(filter(None, notes))
        progress(ProgressEvent("train", finished, len(futures), "seeds", note))


def _last_loss(out: Path) -> str:
    """ "seed-3 step 500 loss 0.512", or nothing where no line was written yet."""
    with suppress(OSError, ValueError, KeyError, IndexError):
        with (out / LOG).open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
            lines = [json.loads(line) for line in log.read().splitlines() if line[:1] == b"{"]
        last = [line for line in lines if line["group"] == "train"][-1]
        return f"{out.name} step {last['step']} loss {last['loss']:.3f}"
    return ""
