"""How long a manifest of a million lines takes to load and check, and in how much memory.

    python benchmarks/manifest.py [--lines 1000000] [--rounds 3] [--out benchmarks/results]

Each row is a whole command in a process of its own, interpreter and imports included: the seconds
are what a user waits, `cpu_seconds` what one core needs, whatever else the machine does. Half of
the videos are abnormal, with a class and two events each.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from machine import RESULTS, processor, slug, write_result

from vad_toolkit.core.files import canonical_json

COMMANDS = {
    "check": ("check",),
    "check-json": ("check", "--json"),  # with the digest
    "info": ("info",),
}


def manifest_lines(count: int) -> Iterator[str]:
    """Lines as `vad manifest build` writes them: every second video is abnormal."""
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
    """One command: seconds on the clock and on the processor, and its peak memory in bytes."""

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
    """Medians of seconds and the highest memory, a row a command; the commands take turns."""
    path = folder / "test.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(manifest_lines(lines))
    runs: dict[str, list[Run]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, (command, *options) in COMMANDS.items():
            runs[name].append(run((command, str(path), *options)))
    return {
        name: {
            "seconds_median": round(statistics.median(one.seconds for one in done), 2),
            "seconds_max": round(max(one.seconds for one in done), 2),
            "cpu_seconds_median": round(statistics.median(one.cpu_seconds for one in done), 2),
            "peak_megabytes": round(max(one.peak for one in done) / 1e6),
            "file_megabytes": round(path.stat().st_size / 1e6),
        }
        for name, done in runs.items()
    }


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
