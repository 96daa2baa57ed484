"""Score videos as they arrive in a folder, and print their alarms.

    python scoring_loop.py run/seed-0 incoming --out scores --seconds 60

`run/seed-0` is a trained run. A file counts as complete when its size has not changed for a second.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import vad_toolkit as vad


def complete_files(folder: Path, seen: set[Path]) -> list[Path]:
    """Return the new files of `folder` that nobody is writing to any more."""
    sizes = {path: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    time.sleep(1)
    return sorted(
        path
        for path, size in sizes.items()
        if path not in seen and path.exists() and path.stat().st_size == size
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", help="trained run: the folder of one seed, or a checkpoint")
    parser.add_argument("folder", help="folder to look at")
    parser.add_argument("--out", default="scores", help="folder to write, one sub-folder per video")
    parser.add_argument("--threshold", type=float, default=0.5, help="lowest score of an alarm")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time to run")
    arguments = parser.parse_args()

    seen: set[Path] = set()
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        for path in complete_files(Path(arguments.folder), seen):
            seen.add(path)
            result = vad.predict(
                arguments.run, path, Path(arguments.out, path.name), threshold=arguments.threshold
            )
            for failure in result.failures:
                print(f"{path.name}: not scored: {failure.reason}")
            for prediction in result.predictions:
                print(f"{path.name}: highest score {prediction.max_score:.3f}")
                for alarm in prediction.alarms:
                    print(f"  frames {alarm.start} to {alarm.stop}, peak {alarm.peak:.3f}")


if __name__ == "__main__":
    main()
