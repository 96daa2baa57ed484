"""Training: one loop for every method. A method gives named loss terms; the loop does the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vad_toolkit.device import pick_device
from vad_toolkit.errors import InputError, VadError
from vad_toolkit.files import write_json
from vad_toolkit.models.base import MilModel
from vad_toolkit.models.registry import build_model
from vad_toolkit.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.training.checkpoint import (
    BEST,
    LAST,
    describe_checkpoint,
    save_checkpoint,
)
from vad_toolkit.training.config import OptimiserConfig, TrainConfig
from vad_toolkit.training.data import TrainingSet, gather, load_training_set, place
from vad_toolkit.training.log import RunLog, check_run_folder
from vad_toolkit.training.sampler import PairSampler
from vad_toolkit.training.standardise import input_statistics
from vad_toolkit.training.validation import (
    ValidationResult,
    ValidationSplit,
    split_videos,
    validate,
)


@dataclass(frozen=True)
class TrainResult:
    """What one run came to. AUCs are video-level, on validation videos; None without validation."""

    run: Path
    method: str
    seed: int
    steps: int
    best_step: int
    best_auc: float | None
    last_auc: float | None
    training_videos: int
    validation_videos: int
    notice: str | None  # where the validation split is not what was asked for


def train(
    pack: Path,
    manifest: Path,
    out: Path,
    config: TrainConfig,
    seed: int = 0,
    device: str = "auto",
    progress: ProgressCallback = silent,
) -> TrainResult:
    """Train one model and write the run folder `out`.

    Args:
        pack: feature pack that holds every video of the manifest.
        manifest: training videos with their labels; events are not used.
        out: new or empty folder.
        config: see `training.config.load_config`.
        seed: of initialisation, dropout, pairs and validation split. On a CPU the same seed, data,
            config, torch version and number of threads give the same bytes.
        device: auto, cpu, cuda or cuda:N.
        progress: stages "read" (videos) and "train seed N" (steps, losses in the note).

    Raises:
        InputError: `out` is not empty, a label has no videos, or the device does not exist.
        ManifestError, PackError: the data cannot be used or do not fit one another.
        VadError: the loss stopped being finite; names the step and the videos in hand.
    """
    check_run_folder(out)
    chosen = pick_device(device)
    data = load_training_set(pack, manifest, config.data, progress)
    return _train_one(data, out, config, seed, chosen, progress)


def train_seeds(
    pack: Path,
    manifest: Path,
    out: Path,
    config: TrainConfig,
    seeds: Sequence[int],
    device: str = "auto",
    progress: ProgressCallback = silent,
) -> list[TrainResult]:
    """Train one model a seed into `out`/seed-S, the data read once. Otherwise as `train`."""
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise InputError(f"seeds {list(seeds)}: have to be different numbers of at least 0")
    check_run_folder(out)
    chosen = pick_device(device)
    data = load_training_set(pack, manifest, config.data, progress)
    return [
        _train_one(data, out / f"seed-{seed}", config, seed, chosen, progress) for seed in seeds
    ]


def _train_one(
    data: TrainingSet,
    out: Path,
    config: TrainConfig,
    seed: int,
    device: torch.device,
    progress: ProgressCallback,
) -> TrainResult:
    split = split_videos(data.entries, config.validation.fraction, seed)
    with RunLog(out, config.tensorboard) as log:
        _write_settings(out, config, data, split, seed, device)
        on_gpu = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=on_gpu):
            torch.manual_seed(seed)
            run = _Run(data, split, out, config, seed, device, log)
            return run.train(progress)


def _write_settings(
    out: Path,
    config: TrainConfig,
    data: TrainingSet,
    split: ValidationSplit,
    seed: int,
    device: torch.device,
) -> None:
    write_json(out / "config.json", config.model_dump(mode="json"))
    run = {
        "seed": seed,
        "device": str(device),
        "pack_sha256": data.pack_sha256,
        "manifest_sha256": data.manifest_sha256,
        "training_videos": list(split.training),
        "validation_videos": list(split.validation),
        "notice": split.notice,
    }
    write_json(out / "run.json", run)


class _Run:
    """One model in training; torch's random state is seeded before it is made."""

    def __init__(
        self,
        data: TrainingSet,
        split: ValidationSplit,
        out: Path,
        config: TrainConfig,
        seed: int,
        device: torch.device,
        log: RunLog,
    ) -> None:
        self.set, self.split, self.out, self.config = data, split, out, config
        self.seed, self.device, self.log = seed, device, log
        row = {entry.id: i for i, entry in enumerate(data.entries)}
        training = torch.tensor([row[id] for id in split.training])
        self.held_out = torch.tensor([row[id] for id in split.validation], dtype=torch.int64)
        labels = data.labels[training]
        self.sampler = PairSampler(training[labels == 0], training[labels == 1], config.pairs, seed)
        model = build_model(config, data.input_dim)
        if config.data.standardise:
            model.standardise.fit(*input_statistics(data.data, training))
        self.model = model.to(device)
        self.optimiser = build_optimiser(self.model, config.optimiser)
        self.data = place(data.data, device)
        self.best: ValidationResult | None = None
        self.best_step = 0

    def train(self, progress: ProgressCallback) -> TrainResult:
        config = self.config
        totals: dict[str, Tensor] = {}
        counted = 0
        validation: ValidationResult | None = None
        self.model.train()
        for step in range(1, config.steps + 1):
            schedule = self.model.begin_step((step - 1) / config.steps)
            for name, value in self._step(step).items():
                totals[name] = totals.get(name, 0) + value  # stays on the device until it is logged
            counted += 1
            last = step == config.steps
            if step % config.log_every == 0 or last:
                means = {name: total.item() / counted for name, total in totals.items()}
                rates = {"learning_rate": config.optimiser.learning_rate, **schedule}
                self.log.write(step, "train", {**means, **rates})
                note = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
                progress(
                    ProgressEvent(f"train seed {self.seed}", step, config.steps, "steps", note)
                )
                totals, counted = {}, 0
            if len(self.held_out) and (step % config.validation.every == 0 or last):
                validation = self._validate(step)
        self._save(LAST, config.steps, validation)
        if self.best is None:
            self.best_step = config.steps
            self._save(BEST, config.steps, None)
        return TrainResult(
            run=self.out,
            method=config.method,
            seed=self.seed,
            steps=config.steps,
            best_step=self.best_step,
            best_auc=None if self.best is None else self.best.auc,
            last_auc=None if validation is None else validation.auc,
            training_videos=len(self.split.training),
            validation_videos=len(self.split.validation),
            notice=self.split.notice,
        )

    def _step(self, step: int) -> dict[str, Tensor]:
        videos = self.sampler.next()
        output = self.model(gather(self.data, videos, self.device))
        terms = self.model.losses(output)
        weights = self.model.loss_weights
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.config.optimiser.clip_norm or math.inf
        )
        if not math.isfinite((loss.detach() + norm).item()):
            ids = ", ".join(self.set.entries[i].id for i in videos.tolist())
            raise VadError(
                f"step {step}: the loss is {loss.item()}, its gradient's norm {norm.item()}; lower "
                f"optimiser.learning_rate or look for what is wrong in one of these videos: {ids}"
            )
        self.optimiser.step()
        parts = {name: term.detach() for name, term in terms.items()}
        return {"loss": loss.detach(), **parts, "gradient_norm": norm.detach()}

    def _validate(self, step: int) -> ValidationResult:
        batches = (
            (gather(self.data, part, self.device), self.set.labels[part])
            for part in torch.split(self.held_out, 2 * self.config.pairs)
        )
        result = validate(self.model, batches)
        self.log.write(step, "validation", {"auc": result.auc, "loss": result.loss})
        if result.better_than(self.best):
            self.best, self.best_step = result, step
            self._save(BEST, step, result)
        return result

    def _save(self, name: str, step: int, validation: ValidationResult | None) -> None:
        info = describe_checkpoint(
            self.config,
            self.set.recipe,
            pack_sha256=self.set.pack_sha256,
            manifest_sha256=self.set.manifest_sha256,
            input_dim=self.set.input_dim,
            step=step,
            seed=self.seed,
            metric=None if validation is None else validation.auc,
            validation_loss=None if validation is None else validation.loss,
        )
        save_checkpoint(self.out / name, self.model, info)


def build_optimiser(model: MilModel, config: OptimiserConfig) -> torch.optim.Optimizer:
    """The optimiser that `config.name` names, over all parameters of the model."""
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.Adagrad
    return kind(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
