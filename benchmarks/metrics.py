"""Time to compute all metrics of a test set, compared with scikit-learn's AUC and AP alone.

    python benchmarks/metrics.py [--rounds 5] [--out benchmarks/results]

Every row is measured in one run, our metrics and scikit-learn's alternating, so that the ratio is
meaningful on a busy machine. `compute` is everything that `video_metrics` computes, with 13
classes; `scikit-learn` is `roc_auc_score` and `average_precision_score` over all frames: two of the
eight metrics and no class. Sets:

- ten-million: 10 million frames in 800 videos, one score per snippet of 16 frames, as usual;
- ten-million-distinct: the same with a distinct score per frame, the worst case;
- ucf-crime: as many frames and videos as the test set of UCF-Crime, one score per snippet; the row
  `bootstrap` adds the intervals of 1,000 resamples.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sklearn
from machine import RESULTS, processor, slug, write_result
from sklearn.metrics import average_precision_score, roc_auc_score

from vad_toolkit.evaluation.metrics import video_metrics
from vad_toolkit.evaluation.pools import ScoredVideo

CLASSES = 13
SNIPPET = 16
RESAMPLES = 1000
SETS = {  # frames, videos, frames per score
    "ten-million": (10_000_000, 800, SNIPPET),
    "ten-million-distinct": (10_000_000, 290, 1),
    "ucf-crime": (1_111_808, 290, SNIPPET),
}


def scored_videos(frames: int, videos: int, step: int) -> list[ScoredVideo]:
    """Return videos with lengths that vary as in benchmarks; every second one is abnormal."""
    rng = np.random.default_rng(0)
    shares = rng.lognormal(sigma=1.0, size=videos)
    lengths = np.maximum(SNIPPET, np.floor(shares / shares.sum() * frames)).astype(int)
    lengths[-1] += frames - lengths.sum()
    made = []
    for number, length in enumerate(lengths.tolist()):
        label = number % 2
        truth = np.zeros(length, np.uint8)
        if label:
            start = int(rng.integers(length // 2))
            truth[start : start + length // 6 + 1] = 1
        scores = np.repeat(rng.random(-(-length // step)), step)[:length]
        scores += 0.2 * truth
        classes = (f"class {number // 2 % CLASSES}",) if label else ()
        made.append(ScoredVideo(f"{number}", label, scores.astype(np.float32), truth, classes))
    return made


def timed(function: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(name: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return medians and quartiles of the seconds for one set, one row per way."""
    videos = scored_videos(*SETS[name])
    labels = np.concatenate([video.labels for video in videos])
    scores = np.concatenate([video.scores for video in videos])
    ways: dict[str, Callable[[], object]] = {
        "compute": lambda: video_metrics(videos),
        "scikit-learn": lambda: (
            roc_auc_score(labels, scores),
            average_precision_score(labels, scores),
        ),
    }
    if name == "ucf-crime":
        ways["bootstrap"] = lambda: video_metrics(videos, resamples=RESAMPLES)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, call in ways.items():
            seconds[way].append(timed(call))
    rows = {}
    for way, done in seconds.items():
        low, middle, high = statistics.quantiles(done, n=4)
        rows[way] = {
            "seconds_median": round(middle, 3),
            "seconds_quartile_1": round(low, 3),
            "seconds_quartile_3": round(high, 3),
        }
    speed = rows["scikit-learn"]["seconds_median"] / rows["compute"]["seconds_median"]
    rows["compute"]["times_scikit_learn"] = round(speed, 2)
    metrics = video_metrics(videos)
    rows["compute"]["auc_difference"] = abs((metrics.auc or 0) - roc_auc_score(labels, scores))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = {name: measure(name, options.rounds) for name in SETS}
    write_result(
        options.out / f"metrics-{CLASSES}-classes-{slug(processor())}.json",
        setting={"classes": CLASSES, "resamples": RESAMPLES, "rounds": options.rounds},
        machine={"device": processor()},
        rows=rows,
        numpy=np.__version__,
        scikit_learn=sklearn.__version__,
    )


if __name__ == "__main__":
    main()
