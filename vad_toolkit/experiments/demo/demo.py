"""The demo: every stage on a rendered dataset, through the functions that the commands call.

    OUT/dataset/                 videos and manifests (`demo.render`)
    OUT/features.h5              center-crop Inception-I3D features of all videos
    OUT/runs/<key>/seed-S/       one run per seed; the key stands for pack, manifest and config
    OUT/runs/<key>/evaluation/   metrics, scores and plots of the test videos
    OUT/runs/<key>/prediction/   two test videos, scored like new ones

A second run reuses everything that is complete.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.core.files import canonical_json, sha256_text
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.datasets.manifest import read_manifest
from vad_toolkit.errors import VadError
from vad_toolkit.evaluation.evaluate import evaluate
from vad_toolkit.evaluation.registry import METRICS
from vad_toolkit.experiments.demo.render import DATASET, render_dataset
from vad_toolkit.experiments.synthetic.video_folder import RenderedDataset
from vad_toolkit.extraction.extract import extract_pack
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.scoring.predict import predict
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.train import train
from vad_toolkit.weights.store import get_weights

WEIGHTS = "i3d-rgb-k400"
RECIPE = "i3d-rgb-center"
CONFIG = "clav-como-small"
# Chosen on a dataset of another seed: ten snippets per video are not stretched to 32 segments.
OVERRIDES = {"data.segments": 10, "optimiser.learning_rate": 3e-4}
SEEDS = (0, 1, 2)
DATASET_SEED = 2  # settings were chosen on other seeds: these test videos had not been scored

Say = Callable[[str], None]
Values = Mapping[str, float | None]  # by metric; None if it is undefined


@dataclass(frozen=True)
class DemoResult:
    """Test metrics of each seed, their mean and standard deviation, and where the plots are."""

    seeds: Mapping[int, Values]
    mean: Values
    std: Values
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
    """Run all stages: weights, videos, features, training, evaluation and prediction.

    Args:
        out: A new or empty folder, or one of an earlier demo.
        seeds: Seeds of the training runs.
        dataset_seed: Seed of the videos.
        device: "auto", "cpu", "cuda" or "cuda:N".
        progress: Called during each stage.
        say: Called with one line per stage.

    Raises:
        WeightsError: If the weights are not in the cache and cannot be downloaded.
        VadError: If a rendered video cannot be used.
        InputError: If `out` holds something else.
    """
    started = time.monotonic()
    say(f"weights: {get_weights(WEIGHTS).path}")
    dataset = render_dataset(out / "dataset", dataset_seed, progress=progress)
    say(f"videos: {dataset.rendered} rendered, {dataset.reused} reused, in {dataset.videos}")
    pack = out / "features.h5"
    _extract(dataset, pack, device, progress, say)
    config = load_config(CONFIG, OVERRIDES)
    with FeaturePack.open(pack) as opened:
        digest = opened.content_sha256
    parts = [digest, read_manifest(dataset.train).sha256, config.canonical_fields()]
    run = out / "runs" / sha256_text(canonical_json(parts))[:12]
    trained = train(
        pack, dataset.train, run, config=config, seeds=seeds, device=device, progress=progress
    )
    new = not all(result.reused for result in trained.runs)
    numbers = ", ".join(map(str, seeds))
    say(f"training: {CONFIG}, seeds {numbers}, {'' if new else 'reused, '}in {run}")

    evaluation, prediction = run / "evaluation", run / "prediction"
    if new or not (evaluation / "summary.json").is_file():
        shutil.rmtree(evaluation, ignore_errors=True)
        evaluate(run, pack, dataset.test, out=evaluation, device=device, progress=progress)
        say(f"evaluation: on {len(read_manifest(dataset.test))} test videos, in {evaluation}")
    else:
        say(f"evaluation: reused, in {evaluation}")
    if new or not prediction.is_dir():
        shutil.rmtree(prediction, ignore_errors=True)
        _predict(run / f"seed-{seeds[0]}", dataset, prediction, device, progress, say)
    else:
        say(f"prediction: reused, in {prediction}")
    summary = json.loads((evaluation / "summary.json").read_text(encoding="utf-8"))
    spread = summary["spread"]
    return DemoResult(
        seeds={row["seed"]: {name: row[name] for name in METRICS} for row in summary["runs"]},
        mean={name: spread[name]["mean"] for name in METRICS},
        std={name: spread[name]["std"] for name in METRICS},
        plots=evaluation / f"seed-{seeds[0]}" / "plots",
        prediction=prediction,
        seconds=time.monotonic() - started,
    )


def _extract(
    dataset: RenderedDataset, pack: Path, device: str, progress: ProgressCallback, say: Say
) -> None:
    entries = [entry for side in (dataset.train, dataset.test) for entry in read_manifest(side)]
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
        raise VadError(
            f"{len(summary.failures)} videos failed; the first is {first.path}: {first.reason}"
        )
    made, kept = len(summary.extracted), len(summary.reused)
    rate = f", {summary.frames / summary.seconds:.0f} frames/s" if made else ""
    say(f"features: {made} videos extracted{rate}, {kept} reused, in {pack}")


def _predict(
    run: Path,
    dataset: RenderedDataset,
    out: Path,
    device: str,
    progress: ProgressCallback,
    say: Say,
) -> None:
    """Score from its pixels, for each place, the test video with the longest event."""
    abnormal = read_manifest(dataset.test).abnormal
    by_length = sorted(abnormal, key=lambda entry: sum(b - a for a, b in entry.events or ()))
    longest = {entry.classes: dataset.videos / entry.path for entry in by_length}  # keeps the last
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for video in longest.values():
        folder = partial / video.parent.name
        result = predict(run, video, folder, device=device, progress=progress)
        if result.failures:
            raise VadError(f"{video} failed: {result.failures[0].reason}")
        alarms = [
            f"{alarm.start_seconds:.1f}-{alarm.stop_seconds:.1f} s"
            for alarm in result.predictions[0].alarms
        ]
        say(f"prediction: {video}, alarms: {', '.join(alarms) or 'none'}")
    partial.rename(out)
