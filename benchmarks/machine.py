"""A benchmark's result as a data file, the machine it was measured on, and memory in use."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vad_toolkit import __version__
from vad_toolkit.core.files import write_json

RESULTS = Path(__file__).parent / "results"


def processor() -> str:
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory_mb(name: str) -> float:
    """VmRSS (memory in use) or VmHWM (the most so far) of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 2**10


def slug(name: str) -> str:
    """A name in the form that file names have: "AMD EPYC (TM)" becomes "amd-epyc-tm"."""
    return "-".join(name.lower().replace("(", "").replace(")", "").split())


def write_result(
    path: Path,
    *,
    setting: Mapping[str, Any],
    machine: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
    **versions: str,
) -> None:
    """Print a result, and write it to `path`; the benchmark's name is the running file's.

    Args:
        setting: what was measured.
        machine: on what.
        rows: what was found, by name.
        versions: beside this toolkit's and Python's, of what the numbers depend on.
    """
    result = {
        "benchmark": Path(sys.argv[0]).stem,
        "setting": dict(setting),
        "machine": dict(machine),
        "versions": {"vad_toolkit": __version__, "python": platform.python_version(), **versions},
        "rows": dict(rows),
    }
    write_json(path, result)
    for label, row in rows.items():
        print(label.ljust(15), "  ".join(f"{key} {value}" for key, value in row.items()))
    print(f"written: {path}")
