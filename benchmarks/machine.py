"""Result files of benchmarks, and facts about the machine and the process."""

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
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory_mb(name: str) -> float:
    """Return VmRSS (memory in use) or VmHWM (peak memory) of this process in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 2**10


def slug(name: str) -> str:
    """Return a name for use in file names: "AMD EPYC (TM)" becomes "amd-epyc-tm"."""
    return "-".join(name.lower().replace("(", "").replace(")", "").split())


def write_result(
    path: Path,
    *,
    setting: Mapping[str, Any],
    machine: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
    **versions: str,
) -> None:
    """Print a result and write it to `path` as JSON, with the name of the running program.

    Args:
        path: The JSON file.
        setting: The options of the measurement.
        machine: Facts about the machine.
        rows: Results by name.
        versions: Versions of libraries, in addition to those of this toolkit and Python.
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
