"""Command line: `python -m vad_manifests.official DATASET ANNOTATIONS_DIR OUT_DIR`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vad_manifests.official.catalogue import BUILDERS, write_official

from vad_toolkit.errors import VadError


def main(arguments: list[str] | None = None) -> int:
    """Write the manifests and print their paths. Returns 1 after an error, which is one line."""
    parser = argparse.ArgumentParser(
        prog="python -m vad_manifests.official",
        description="Make a benchmark's manifests from its published files.",
    )
    parser.add_argument("dataset", choices=list(BUILDERS))
    parser.add_argument(
        "annotations",
        type=Path,
        help="folder of the published files (docs/benchmarks.md lists them)",
    )
    parser.add_argument("out", type=Path, help="folder to write the manifests into")
    options = parser.parse_args(arguments)
    try:
        for path in write_official(options.dataset, options.annotations, options.out):
            print(path)
    except VadError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
