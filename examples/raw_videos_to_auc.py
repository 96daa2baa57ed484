"""Raw videos to a frame-level AUC: manifests, features, training and evaluation.

    python raw_videos_to_auc.py videos --out results

`videos` has one sub-folder per class; `normal` is the normal one. The clips are trimmed: an
abnormal clip is abnormal in all of its frames. For longer videos, give the events instead
(docs/manifests.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import vad_toolkit as vad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("videos", help="folder with one sub-folder of videos per class")
    parser.add_argument("--out", default="results", help="folder to write")
    parser.add_argument("--steps", type=int, default=500, help="training steps")
    parser.add_argument("--seeds", type=int, default=3, help="models to train")
    arguments = parser.parse_args()
    out = Path(arguments.out)

    vad.get_weights("i3d-rgb-k400")  # downloads the network once
    vad.build_manifest("folder", arguments.videos, out / "manifests", trimmed=True)
    pack = vad.extract(arguments.videos, "i3d-rgb-center", out=out / "features.h5")
    run = vad.train(
        pack,
        out / "manifests" / "train.jsonl",
        out / "run",
        config="clav-como-small",
        overrides={"steps": arguments.steps},
        seeds=arguments.seeds,
    )
    result = vad.evaluate(run, pack, out / "manifests" / "test.jsonl")
    print(f"frame-level AUC {result.metrics.auc:.4f}, mean of {len(result.results)} seeds")


if __name__ == "__main__":
    main()
