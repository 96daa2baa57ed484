"""The machine that a result was measured on, as its data file names it."""

from __future__ import annotations

import platform
from pathlib import Path


def processor() -> str:
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def slug(name: str) -> str:
    """A name in the form that file names have: "AMD EPYC (TM)" becomes "amd-epyc-tm"."""
    return "-".join(name.lower().replace("(", "").replace(")", "").split())
