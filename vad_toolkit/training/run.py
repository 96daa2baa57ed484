"""One training run: steps, log, validation, checkpoints, and the state to resume from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

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
from vad_toolkit.training.data import TrainingSet
from vad_toolkit.training.loader import Loader, PairSampler
from vad_toolkit.training.run_folder import RunLog, RunResult
from vad_toolkit.training.standardise import fit_inputs
from vad_toolkit.training.step import MeanWeights, StepWatch, TrainingStep
from vad_toolkit.training.validation import Validation, ValidationSplit, validate


class Run:
    """A run in its claimed folder, at its beginning or at the state that is saved there.

    Torch's random state belongs to the run: it is seeded here, or restored from the state.
    """

    def __init__(
        self,
        data: TrainingSet,
        split: ValidationSplit,
        out: Path,
        config: TrainConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        """Build the model. Raises VadError if the state in `out` is damaged."""
        self.source, self.split, self.out, self.config = data.source, split, out, config
        self.seed, self.device = seed, device
        row = {entry.id: i for i, entry in enumerate(data.source.entries)}
        training = torch.tensor([row[id] for id in split.training])
        self.held_out = torch.tensor([row[id] for id in split.validation], dtype=torch.int64)
        labels = data.source.labels[training]
        self.sampler = PairSampler(training[labels == 0], training[labels == 1], config.pairs, seed)
        self.step = 0  # finished steps
        self.log_bytes = 0
        self.best: Validation | None = None
        self.latest: Validation | None = None
        self.ids = [entry.id for entry in data.source.entries]
        self.watch = StepWatch(self.ids)

        torch.manual_seed(seed)
        model = build_model(config, data.source.width)
        found = state.read_state(out)
        if found is None and config.data.standardise:
            fit_inputs(model, data.videos, training)
        self.model = model.to(device)
        self.make_step = TrainingStep(self.model, config)
        ema = config.optimiser.ema
        self.mean = MeanWeights(self.model, ema) if ema else None
        self.data = data.videos.place(device)
        on_cpu = self.data.flat.device.type == "cpu"
        self.reads_ahead = on_cpu and (data.mapped or device.type == "cuda")
        if found is not None:
            self._restore(*found)

    def train(self, progress: ProgressCallback) -> None:
        """Train the remaining steps, and write the files of a finished run; the state stays."""
        config = self.config
        log = RunLog(
            self.out, tensorboard=config.tensorboard, step=self.step, keep_bytes=self.log_bytes
        )
        loader = Loader(self.data, self.sampler, self.device, ahead=self.reads_ahead)
        self.model.train()
        with log, loader:
            for step in range(self.step + 1, config.steps + 1):
                schedule = self.model.begin_step((step - 1) / config.steps)
                batch = loader.next()
                self.watch.add(step, batch.videos, self.make_step(batch.x, batch.mask))
                if self.mean is not None:
                    self.mean.add(step)
                last = step == config.steps
                if step % config.log_every == 0 or last:
                    self._log(log, step, schedule, progress)
                if len(self.held_out) and (step % config.validation.every == 0 or last):
                    self._validate(log, step)
                if step % config.checkpoint_every == 0 and not last:
                    self._save_state(log, loader, step)
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
        log.write(
            step,
            "train",
            {**means, "learning_rate": self.config.optimiser.learning_rate, **schedule},
        )
        note = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        stage = f"train seed {self.seed}"
        progress(ProgressEvent(stage, step, self.config.steps, "steps", note))

    def _validate(self, log: RunLog, step: int) -> None:
        self.watch.look()  # report a bad step before its model is measured
        batches = (
            (*self.data.gather(part, self.device), self.source.labels[part])
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
            manifest_sha256=self.source.manifest_sha256,
            input_dim=self.source.width,
            step=step,
            seed=self.seed,
            metric=None if measured is None else measured.auc,
            validation_loss=None if measured is None else measured.loss,
        )
        save_checkpoint(self.out / name, self._kept, info)

    def _finish(self) -> None:
        steps = self.config.steps
        if self.best is None:
            self._save(BEST, steps, None)
        self._save(LAST, steps, self.latest)
        RunResult(
            run=self.out,
            method=self.config.method,
            seed=self.seed,
            steps=steps,
            best_step=steps if self.best is None else self.best.step,
            best_auc=None if self.best is None else self.best.auc,
            last_auc=None if self.latest is None else self.latest.auc,
            training_videos=len(self.split.training),
            validation_videos=len(self.split.validation),
            notice=self.split.notice,
        ).write()

    def _save_state(self, log: RunLog, loader: Loader, step: int) -> None:
        sums, steps = self.watch.state()
        position = state.Position(
            step=step,
            log_bytes=log.sync(),
            sums=sums,
            steps=steps,
            best=self.best,
            latest=self.latest,
        )
        tensors = {
            **state.named("model", self.model.state_dict()),
            **state.named("optimiser", state.optimiser_tensors(self.make_step.optimiser)),
            **state.named("sampler", loader.state),
            "generator.cpu": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            tensors["generator.cuda"] = torch.cuda.get_rng_state(self.device)
        if self.mean is not None:
            tensors |= state.named("mean", self.mean.state())
        if self.best is not None:
            tensors["best"] = state.file_tensor(self.out / BEST)
        state.write_tensors(self.out / state.STATE, tensors, position.model_dump_json())

    def _restore(self, position: state.Position, tensors: Mapping[str, torch.Tensor]) -> None:
        try:
            self.model.load_state_dict(state.part(tensors, "model"))
            optimiser = state.part(tensors, "optimiser")
            state.restore_optimiser(self.make_step.optimiser, optimiser)
            self.sampler.restore(state.part(tensors, "sampler"))
            if self.mean is not None:
                self.mean.restore(state.part(tensors, "mean"))
            if position.best is not None:
                # The file may be of a later step, which will now be repeated.
                state.write_file(self.out / BEST, tensors["best"])
                write_description(self.out / BEST)
            torch.set_rng_state(tensors["generator.cpu"])
            if self.device.type == "cuda":
                torch.cuda.set_rng_state(tensors["generator.cuda"], self.device)
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            raise state.damaged(self.out) from error
        self.step, self.log_bytes = position.step, position.log_bytes
        self.best, self.latest = position.best, position.latest
        self.watch = StepWatch(self.ids, position.sums, position.steps)
