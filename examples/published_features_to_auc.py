"""Published feature files to a frame-level AUC.

    python published_features_to_auc.py shanghaitech train-features test-features --layout sultani

The first argument is the name of a dataset (`vad manifest info`), or a folder with `train.jsonl`
and `test.jsonl`. The layout tells how the files are named and shaped (docs/interchange.md); without
it, it is recognized.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import vad_toolkit as vad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dataset", help="name of a dataset, or folder of its manifests")
    parser.add_argument("train", help="folder of the training videos' features")
    parser.add_argument("test", help="folder of the test videos' features")
    parser.add_argument("--layout", help="layout of the files")
    parser.add_argument("--method", default="sultani", help="method or config")
    parser.add_argument("--steps", type=int, default=500, help="training steps")
    parser.add_argument("--out", default="results", help="folder to write")
    arguments = parser.parse_args()
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)

    if arguments.dataset in vad.list_datasets():
        manifests = {side: vad.read_manifest(arguments.dataset, side) for side in ("train", "test")}
    else:
        folder = Path(arguments.dataset)
        manifests = {
            side: vad.read_manifest(folder / f"{side}.jsonl") for side in ("train", "test")
        }
    packs = {
        side: vad.import_features(
            files, out / f"{side}.h5", manifest=manifests[side], layout=arguments.layout
        )
        for side, files in (("train", arguments.train), ("test", arguments.test))
    }
    run = vad.train(
        packs["train"],
        manifests["train"],
        out / "run",
        config=arguments.method,
        overrides={"steps": arguments.steps},
    )
    result = vad.evaluate(run, packs["test"], manifests["test"])
    print(f"frame-level AUC {result.metrics.auc:.4f}")


if __name__ == "__main__":
    main()
