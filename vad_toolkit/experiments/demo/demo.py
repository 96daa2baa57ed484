"""Every stage on the rendered dataset, through the functions that the commands call.

    OUT/dataset/                 videos and manifests (`demo.render`)
    OUT/features.h5              centre-crop Inception-I3D features of all videos
    OUT/runs/<key>/seed-S/       a checkpoint a seed; the key stands for pack, manifest and config
    OUT/runs/<key>/evaluation/   metrics, scores and plots of the test videos
    OUT/runs/<key>/prediction/   two test videos, scored as new ones would be

A second run uses again what is there and whole.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.files import canonical_json, fsync_folder, sha256_text
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.manifest import read_manifest
from vad_toolkit.errors import VadError
from vad_toolkit.evaluation.evaluate import evaluate
from vad_toolkit.evaluation.registry import METRICS
from vad_toolkit.experiments.demo.render import DATASET, DemoDataset, render_dataset
from vad_toolkit.extraction.extract import extract_pack
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.scoring.predict import predict
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.train import train
from vad_toolkit.weights.store import get_weights

WEIGHTS = "i3d-rgb-k400"
RECIPE = "i3d-rgb-center"
CONFIG = "clav-como-small"
# Chosen on a dataset of another seed: ten snippets a video are not stretched to 32 segments.
OVERRIDES = {"data.segments": 10, "optimiser.learning_rate": 3e-4}
SEEDS = (0, 1, 2)
DATASET_SEED = 2  # settings were chosen on other seeds: these test videos were never scored before

Say = Callable[[str], None]


@dataclass(frozen=True)
class SeedMetrics:
    """Test metrics of one seed's checkpoint; None where one is not defined."""

    seed: int
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class DemoResult:
    """What the demo came to, and where to look at it."""

    seeds: tuple[SeedMetrics, ...]
    mean: dict[str, float | None]
    std: dict[str, float | None]
    plots: Path
    prediction: Path
    seconds: float


def run_demo(
    out: Path,
    *,
    seeds: Sequence[int] = SEEDS,
    dataset_seed: int = DATASET_SEED,
    device: str = "auto",
    progress: ProgressCallback = silent,
    say: Say = lambda line: None,
) -> DemoResult:
    """Weights, videos, features, training, evaluation and prediction, into `out`.

    `say` is told a line a stage.

    Raises:
        WeightsError: the weights are not in the cache and cannot be brought.
        VadError: a video that was rendered here cannot be used.
        InputError: `out` holds something else.
    """
    started = time.monotonic()
    say(f"weights: {get_weights(WEIGHTS).path}")
    dataset = render_dataset(out / "dataset", dataset_seed, progress=progress)
    say(f"videos: {dataset.rendered} rendered, {dataset.reused} reused, in {dataset.videos}")
    pack = _extract(dataset, out / "features.h5", device, progress, say)
    config = load_config(CONFIG, OVERRIDES)
    run = out / "runs" / _key(pack, dataset, config)
    _train(run, pack, dataset, config, seeds, device, progress, say)
    evaluation = _evaluate(run, pack, dataset, device, progress, say)
    prediction = _predict(run, seeds[0], dataset, device, progress, say)
    summary = json.loads((evaluation / "summary.json").read_text(encoding="utf-8"))
    return DemoResult(
        seeds=tuple(
            SeedMetrics(row["seed"], {name: row[name] for name in METRICS})
            for row in summary["runs"]
        ),
        mean={name: summary["spread"][name]["mean"] for name in METRICS},
        std={name: summary["spread"][name]["std"] for name in METRICS},
        plots=evaluation / f"seed-{seeds[0]}" / "plots",
        prediction=prediction,
        seconds=time.monotonic() - started,
    )


def _extract(
    dataset: DemoDataset, pack: Path, device: str, progress: ProgressCallback, say: Say
) -> Path:
    manifests = (dataset.train_manifest, dataset.test_manifest)
    entries = [entry for manifest in manifests for entry in read_manifest(manifest)]
    summary = extract_pack(
        [VideoSource(entry.id, dataset.videos / entry.path) for entry in entries],
        load_recipe(RECIPE),
        pack,
        dataset=DATASET,
        license="CC0-1.0",
        device=device,
        progress=progress,
    )
    if summary.failures:
        first = summary.failures[0]
        raise VadError(f"{len(summary.failures)} videos failed, as {first.path}: {first.reason}")
    made, kept = len(summary.extracted), len(summary.reused)
    rate = f", {summary.frames / summary.seconds:.0f} frames/s" if made else ""
    say(f"features: {made} videos extracted{rate}, {kept} reused, in {pack}")
    return pack


def _key(pack: Path, dataset: DemoDataset, config: TrainConfig) -> str:
    """A name for everything that decides what training gives."""
    with FeaturePack.open(pack) as opened:
        digest = opened.content_sha256
    parts = [digest, read_manifest(dataset.train_manifest).sha256, config.canonical_fields()]
    return sha256_text(canonical_json(parts))[:12]


def _train(
    run: Path,
    pack: Path,
    dataset: DemoDataset,
    config: TrainConfig,
    seeds: Sequence[int],
    device: str,
    progress: ProgressCallback,
    say: Say,
) -> None:
    names = ", ".join(map(str, seeds))
    if all((run / f"seed-{seed}").is_dir() for seed in seeds):
        say(f"training: seeds {names} reused, in {run}")
        return
    partial = run.with_name(f"{run.name}.partial")
    for leftover in (run, partial):
        shutil.rmtree(leftover, ignore_errors=True)
    train(
        pack,
        dataset.train_manifest,
        partial,
        config=config,
        seeds=seeds,
        device=device,
        progress=progress,
    )
    partial.rename(run)
    fsync_folder(run.parent)
    say(f"training: {CONFIG}, seeds {names}, in {run}")


def _evaluate(
    run: Path, pack: Path, dataset: DemoDataset, device: str, progress: ProgressCallback, say: Say
) -> Path:
    out = run / "evaluation"
    if (out / "summary.json").is_file():
        say(f"evaluation: reused, in {out}")
        return out
    shutil.rmtree(out, ignore_errors=True)
    evaluate(run, pack, dataset.test_manifest, out=out, device=device, progress=progress)
    say(f"evaluation: on {len(read_manifest(dataset.test_manifest))} test videos, in {out}")
    return out


def _predict(
    run: Path,
    seed: int,
    dataset: DemoDataset,
    device: str,
    progress: ProgressCallback,
    say: Say,
) -> Path:
    """Score a test video of each surrounding from its pixels: the one with the longest event."""
    out = run / "prediction"
    if out.is_dir():
        say(f"prediction: reused, in {out}")
        return out
    abnormal = read_manifest(dataset.test_manifest).abnormal
    by_length = sorted(abnormal, key=lambda entry: sum(b - a for a, b in entry.events or ()))
    longest = {entry.classes: dataset.videos / entry.path for entry in by_length}  # the last stays
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for video in longest.values():
        folder = partial / video.parent.name
        summary = predict(run / f"seed-{seed}", [video], folder, device=device, progress=progress)
        if summary.failures:
            raise VadError(f"{video} failed: {summary.failures[0].reason}")
        alarms = [
            f"{alarm.start_seconds:.1f}-{alarm.stop_seconds:.1f} s"
            for alarm in summary.predictions[0].alarms
        ]
        say(f"prediction: {video}, alarms: {', '.join(alarms) or 'none'}")
    partial.rename(out)
    return out
