"""One training run: steps, log, validation, checkpoints, and the state to resume from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import vad_toolkit
from vad_toolkit.core.files import atomic_path
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent
from vad_toolkit.models.base import MilModel
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.models.registry import build_model
from vad_toolkit.training import state
from vad_toolkit.training.checkpoint import (
    BEST,
    LAST,
    describe_checkpoint,
    save_checkpoint,
    write_description,
)
from vad_toolkit.training.data import PairSampler, TrainingSource, VideoTensors
from vad_toolkit.training.run_folder import RunLog, RunResult, claimed, read_result
from vad_toolkit.training.standardise import fit_inputs
from vad_toolkit.training.step import MeanWeights, StepWatch, TrainingStep
from vad_toolkit.training.validation import Validation, ValidationSplit, split_videos, validate


@dataclass(frozen=True)
class RunPlan:
    """All that decides the result of one run, and the folder for it."""

    source: TrainingSource
    config: TrainConfig
    seed: int
    out: Path
    device: torch.device
    threads: int  # CPU threads; they decide the last bits of a result

    @cached_property
    def split(self) -> ValidationSplit:
        """The training and validation videos."""
        return split_videos(
            self.source.manifest.entries, self.config.validation.fraction, self.seed
        )

    @cached_property
    def description(self) -> dict[str, Any]:
        """Contents of `run.json`, which identify the run."""
        return {
            "config": self.config.canonical_fields(),
            "seed": self.seed,
            "device": str(self.device),
            "threads": self.threads,
            "versions": {"vad-toolkit": vad_toolkit.__version__, "torch": torch.__version__},
            "pack_sha256": self.source.pack_sha256,
            "manifest_sha256": self.source.manifest.sha256,
            "training_videos": list(self.split.training),
            "validation_videos": list(self.split.validation),
            "notice": self.split.notice,
        }

    def train(self, videos: VideoTensors, progress: ProgressCallback) -> None:
        """Train the run, or its remaining steps, on the videos of its source."""
        on_gpu = [self.device] if self.device.type == "cuda" else []
        threads = torch.get_num_threads()
        with claimed(self.out, self.description) as status, torch.random.fork_rng(devices=on_gpu):
            if status == "finished":  # meanwhile, by another process
                return
            torch.set_num_threads(self.threads)
            try:
                Run(self, videos).train(progress)
            finally:
                torch.set_num_threads(threads)

    def result(self, *, reused: bool) -> RunResult:
        """Return the result of the finished run, whose state is removed."""
        # Here, because a kill may come between the result and this.
        (self.out / state.STATE).unlink(missing_ok=True)
        return read_result(self.out, reused=reused)


class Run:
    """A run in its claimed folder, at its beginning or at the state that is saved there.

    Torch's random state belongs to the run: it is seeded here, or restored from the state.
    """

    def __init__(self, plan: RunPlan, videos: VideoTensors) -> None:
        """Build the model. Raises VadError if the state in the folder is damaged."""
        self.plan, self.source, self.config, self.out = plan, plan.source, plan.config, plan.out
        self.ids = [entry.id for entry in plan.source.manifest.entries]
        row = {id: i for i, id in enumerate(self.ids)}
        training = torch.tensor([row[id] for id in plan.split.training])
        self.held_out = torch.tensor([row[id] for id in plan.split.validation], dtype=torch.int64)
        labels = plan.source.labels[training]
        normal, abnormal = training[labels == 0], training[labels == 1]
        self.sampler = PairSampler(normal, abnormal, plan.config.pairs, plan.seed)
        self.step = 0  # finished steps
        self.log_bytes = 0
        self.best: Validation | None = None
        self.latest: Validation | None = None
        self.watch = StepWatch(self.ids)

        torch.manual_seed(plan.seed)
        model = build_model(plan.config, plan.source.width)
        found = state.read_state(plan.out)
        if found is None and plan.config.data.standardise:
            fit_inputs(model, videos, training)
        self.model = model.to(plan.device)
        self.make_step = TrainingStep(self.model, plan.config)
        ema = plan.config.optimiser.ema
        self.mean = MeanWeights(self.model, ema) if ema else None
        self.videos = videos.place(plan.device)
        if found is not None:
            self._restore(*found)

    def train(self, progress: ProgressCallback) -> None:
        """Train the remaining steps, and write the files of a finished run; the state stays."""
        config = self.config
        self.model.train()
        with RunLog(self.out, config.tensorboard, self.step, self.log_bytes) as log:
            for step in range(self.step + 1, config.steps + 1):
                schedule = self.model.begin_step((step - 1) / config.steps)
                chosen = self.sampler.next()
                x, mask = self.videos.gather(chosen, self.plan.device)
                self.watch.add(step, chosen, self.make_step(x, mask))
                if self.mean is not None:
                    self.mean.add(step)
                last = step == config.steps
                if step % config.log_every == 0 or last:
                    self._log(log, step, schedule, progress)
                if len(self.held_out) and (step % config.validation.every == 0 or last):
                    self._validate(log, step)
                if step % config.checkpoint_every == 0 and not last:
                    self._save_state(log, step)
            log.sync()
        self._finish()

    @property
    def _kept(self) -> MilModel:
        """The model that is validated and saved: the trained one, or the mean of its weights."""
        return self.model if self.mean is None else self.mean.model

    def _log(
        self, log: RunLog, step: int, schedule: Mapping[str, float], progress: ProgressCallback
    ) -> None:
        means = self.watch.means()
        rate = self.config.optimiser.learning_rate
        log.write(step, "train", {**means, "learning_rate": rate, **schedule})
        note = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        stage = f"train seed {self.plan.seed}"
        progress(ProgressEvent(stage, step, self.config.steps, "steps", note))

    def _validate(self, log: RunLog, step: int) -> None:
        self.watch.look()  # report a bad step before its model is measured
        batches = (
            (*self.videos.gather(part, self.plan.device), self.source.labels[part])
            for part in torch.split(self.held_out, 2 * self.config.pairs)
        )
        self.latest = validate(self._kept, batches, step)
        log.write(step, "validation", {"auc": self.latest.auc, "loss": self.latest.loss})
        if self.latest.better_than(self.best):
            self.best = self.latest
            self._save(BEST, step, self.best)

    def _save(self, name: str, step: int, measured: Validation | None) -> None:
        info = describe_checkpoint(
            self.config,
            self.source.recipe,
            pack_sha256=self.source.pack_sha256,
            manifest_sha256=self.source.manifest.sha256,
            input_dim=self.source.width,
            step=step,
            seed=self.plan.seed,
            metric=None if measured is None else measured.auc,
            validation_loss=None if measured is None else measured.loss,
            length_rule=self.source.length_rule,
        )
        save_checkpoint(self.out / name, self._kept, info)

    def _finish(self) -> None:
        steps, split = self.config.steps, self.plan.split
        if self.best is None:
            self._save(BEST, steps, None)
        self._save(LAST, steps, self.latest)
        RunResult(
            run=self.out,
            method=self.config.method,
            seed=self.plan.seed,
            steps=steps,
            best_step=steps if self.best is None else self.best.step,
            best_auc=None if self.best is None else self.best.auc,
            last_auc=None if self.latest is None else self.latest.auc,
            training_videos=len(split.training),
            validation_videos=len(split.validation),
            notice=split.notice,
        ).write()

    def _save_state(self, log: RunLog, step: int) -> None:
        sums, steps = self.watch.state()
        position = state.Position(
            step=step,
            log_bytes=log.sync(),
            sums=sums,
            steps=steps,
            best=self.best,
            latest=self.latest,
        )
        tensors: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimiser": self.make_step.optimiser.state_dict()["state"],
            "sampler": self.sampler.state(),
            "generator": {"cpu": torch.get_rng_state()},
        }
        if self.plan.device.type == "cuda":
            tensors["generator"]["cuda"] = torch.cuda.get_rng_state(self.plan.device)
        if self.mean is not None:
            tensors["mean"] = self.mean.model.state_dict()
        if self.best is not None:
            content = bytearray((self.out / BEST).read_bytes())
            tensors["best"] = torch.frombuffer(content, dtype=torch.uint8)
        path = self.out / state.STATE
        state.write_tensors(path, state.flatten(tensors), position.model_dump_json())

    def _restore(self, position: state.Position, tensors: Mapping[str, torch.Tensor]) -> None:
        try:
            self.model.load_state_dict(state.part(tensors, "model"))
            optimiser = state.part(tensors, "optimiser")
            state.restore_optimiser(self.make_step.optimiser, optimiser)
            self.sampler.restore(state.part(tensors, "sampler"))
            if self.mean is not None:
                self.mean.model.load_state_dict(state.part(tensors, "mean"))
            if position.best is not None:
                # The file may be of a later step, which will now be repeated.
                with atomic_path(self.out / BEST) as temporary:
                    temporary.write_bytes(tensors["best"].numpy().tobytes())
                write_description(self.out / BEST)
            torch.set_rng_state(tensors["generator.cpu"])
            if self.plan.device.type == "cuda":
                torch.cuda.set_rng_state(tensors["generator.cuda"], self.plan.device)
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            raise state.damaged(self.out) from error
        self.step, self.log_bytes = position.step, position.log_bytes
        self.best, self.latest = position.best, position.latest
        self.watch = StepWatch(self.ids, position.sums, position.steps)
