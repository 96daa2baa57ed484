"""A run before it is made: everything that decides what it gives, and the folder it goes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import vad_toolkit
from vad_toolkit.progress import ProgressCallback
from vad_toolkit.training.config import TrainConfig
from vad_toolkit.training.data import TrainingSet, TrainingSource
from vad_toolkit.training.folder import Reached, check_run_folder, claimed
from vad_toolkit.training.result import TrainResult, read_result
from vad_toolkit.training.run import Run
from vad_toolkit.training.state import remove_state
from vad_toolkit.training.validation import ValidationSplit, split_videos


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
