"""Time and memory to load and check a manifest of a million lines.

    python benchmarks/manifest.py [--lines 1000000] [--rounds 3] [--out benchmarks/results]

A row is a whole command in its own process, including interpreter and imports. `seconds` is the
time that a user waits; `cpu_seconds` does not depend on other load on the machine. Half of the
videos are abnormal, with one class and two events each. The last row is the time to read the file
with the garbage collector running, divided by the time with the collector paused, as it is.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from machine import RESULTS, processor, slug, write_result

import vad_toolkit.datasets.manifest
from vad_toolkit.core.files import canonical_json

COMMANDS = {
    "check": ("check",),
    "check-json": ("check", "--json"),  # with the digest
    "info": ("info",),
}


def manifest_lines(count: int) -> Iterator[str]:
    """Yield lines as `vad manifest build` writes them: every second video is abnormal."""
    draw = random.Random(0)
    for index in range(count):
        frames = draw.randint(200, 9000)
        video = f"camera{index % 1000:03d}/clip{index:07d}"
        fields: dict[str, object] = {
            "id": video,
            "path": f"{video}.mp4",
            "label": index % 2,
            "frames": frames,
            "container_frames": frames + 1,
            "fps": 25.0,
            "source": f"recording{index // 4}",
        }
        if index % 2:
            start = draw.randint(0, 50)
            fields["classes"] = ["fight"]
            fields["events"] = [[start, start + 40], [start + 50, start + 90]]
        yield canonical_json(fields) + "\n"


@dataclass(frozen=True)
class Run:
    """One command: wall time and processor time in seconds, and peak memory in bytes."""

    seconds: float
    cpu_seconds: float
    peak: int


def run(arguments: tuple[str, ...]) -> Run:
    """Run one `vad manifest` command."""
    command = [sys.executable, "-c", "from vad_cli.main import main; main()", "manifest"]
    silent = os.open(os.devnull, os.O_WRONLY)
    start = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        [*command, *arguments],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, silent, 1), (os.POSIX_SPAWN_DUP2, silent, 2)],
    )
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - start
    os.close(silent)
    if status:
        raise SystemExit(f"vad manifest {' '.join(arguments)} ended with status {status}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def measure(lines: int, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Return median times and the highest memory, one row per command; the commands take turns."""
    path = folder / "test.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(manifest_lines(lines))
    runs: dict[str, list[Run]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, (command, *options) in COMMANDS.items():
            runs[name].append(run((command, str(path), *options)))
    rows = {
        name: {
            "seconds_median": round(statistics.median(one.seconds for one in done), 2),
            "seconds_max": round(max(one.seconds for one in done), 2),
            "cpu_seconds_median": round(statistics.median(one.cpu_seconds for one in done), 2),
            "peak_megabytes": round(max(one.peak for one in done) / 1e6),
            "file_megabytes": round(path.stat().st_size / 1e6),
        }
        for name, done in runs.items()
    }
    return rows | {"collector": {"running_over_paused": round(collector_ratio(path, rounds), 2)}}


def collector_ratio(path: Path, rounds: int) -> float:
    """Return the processor time to read a manifest with a running collector over a paused one."""
    module = vad_toolkit.datasets.manifest
    paused = module._collector_paused
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(rounds):
        for running in seconds:
            module._collector_paused = nullcontext if running else paused
            gc.collect()
            start = time.process_time()
            module.read_manifest(path)
            seconds[running].append(time.process_time() - start)
    module._collector_paused = paused
    return statistics.median(seconds[True]) / statistics.median(seconds[False])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(options.lines, options.rounds, Path(folder))
    write_result(
        options.out / f"manifest-{options.lines}-lines-{slug(processor())}.json",
        setting={"lines": options.lines, "rounds": options.rounds},
        machine={
            "device": processor(),
            "cores": os.cpu_count(),
            "load_before": round(load, 1),  # processes that wanted a core in the minute before
        },
        rows=rows,
    )


if __name__ == "__main__":
    main()
