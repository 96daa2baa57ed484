"""How fast published features become a pack and a pack becomes files, against `cp` and `cat`.

    python benchmarks/pack_io.py [--gigabytes 5] [--rounds 3] [--folder DIR] [--out DIR]

Every row is a whole command in a process of its own, interpreter and imports included, and all of
them work on the same disk: synthetic files of layout `rtfm`, (N, 10, 2048) float32. The ways take
turns. Before each, files are either dropped from the page cache ("cold", as features come that are
larger than memory) or read into it ("warm").

- cp: `cp -r` of the feature files, which leaves what it wrote in memory;
- cp-synced: the same, and `sync` of what it wrote, as `vad` commands end: a pack that is there has
  reached the disk;
- import: `vad pack import`, which reads and hashes all bytes and writes half as many;
- cat: `cat` of the pack; verify: `vad pack verify`;
- export: `vad pack export`, which writes twice the bytes that it reads.

`times_cp` is a row's speed in feature bytes a second over that of `cp-synced` in the same state of
the cache, `times_cat` over that of `cat` in pack bytes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from machine import RESULTS, processor, slug, write_result

from vad_toolkit.core.files import canonical_json

CROPS, WIDTH = 10, 2048
SNIPPETS = 420  # about 34 MB a video, the mean of UCF-Crime's
VAD = (sys.executable, "-c", "from vad_cli.main import main; main()")


def make_files(folder: Path, gigabytes: float) -> Path:
    """Feature files like activations after ReLU, of different lengths; gives their manifest."""
    generator = np.random.default_rng(0)
    base = generator.gamma(0.5, 0.4, (2 * SNIPPETS, CROPS, WIDTH)).astype(np.float32)
    lines, written = [], 0
    while written < gigabytes * 1e9:
        video = f"video{len(lines):04d}"
        snippets = int(generator.integers(SNIPPETS // 2, 3 * SNIPPETS // 2))
        start = int(generator.integers(0, 2 * SNIPPETS - snippets))
        path = folder / "rtfm" / f"{video}_i3d.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, base[start : start + snippets])
        written += path.stat().st_size
        entry = {"id": video, "path": f"{video}.mp4", "label": 0, "frames": 16 * snippets}
        lines.append(canonical_json(entry))
    manifest = folder / "test.jsonl"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def set_cache(paths: Sequence[Path], state: str) -> None:
    """Drop files from the page cache, or read them into it."""
    buffer = memoryview(bytearray(1 << 20))
    for path in paths:
        with path.open("rb", buffering=0) as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if state == "warm":
                while file.readinto(buffer):
                    pass


def run(command: Sequence[str]) -> tuple[float, int]:
    """Seconds and peak resident bytes of one process."""
    silent = os.open(os.devnull, os.O_WRONLY)
    start = time.perf_counter()
    process = os.posix_spawnp(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, silent, 1), (os.POSIX_SPAWN_DUP2, silent, 2)],
    )
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - start
    os.close(silent)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    return seconds, usage.ru_maxrss * 1024


def measure(gigabytes: float, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Medians of seconds and the highest memory, a row a way and state of the cache."""
    # In a process of its own: what a process peaks at counts for those that it starts, too.
    with ProcessPoolExecutor(1, get_context("spawn")) as maker:
        manifest = maker.submit(make_files, folder, gigabytes).result()
    files = sorted((folder / "rtfm").iterdir())
    pack, kept, target = folder / "new.h5", folder / "pack.h5", folder / "target"
    copy = f"cp -r '{folder / 'rtfm'}' '{target}'"
    options = ("--layout", "rtfm", "--manifest", str(manifest))
    imported = (*VAD, "pack", "import", str(folder / "rtfm"), *options, "--out")
    run((*imported, str(kept)))
    ways: dict[str, tuple[Sequence[str], Sequence[Path]]] = {
        "cp": (("sh", "-c", copy), files),
        "cp-synced": (("sh", "-c", f"{copy} && sync '{target}'/*"), files),
        "import": ((*imported, str(pack)), files),
        "cat": (("sh", "-c", f"cat '{kept}' > /dev/null"), [kept]),
        "verify": ((*VAD, "pack", "verify", str(kept)), [kept]),
        "export": (
            (*VAD, "pack", "export", str(kept), "--layout", "rtfm", "--out", str(target)),
            [kept],
        ),
    }
    runs: dict[str, list[tuple[float, int]]] = {}
    for _ in range(rounds):
        for state in ("cold", "warm"):
            for name, (command, sources) in ways.items():
                set_cache(sources, state)
                runs.setdefault(f"{name}-{state}", []).append(run(command))
                pack.unlink(missing_ok=True)
                shutil.rmtree(target, ignore_errors=True)
    feature_bytes = sum(path.stat().st_size for path in files)
    rows = {}
    for name, done in runs.items():
        way, _, state = name.rpartition("-")
        size = kept.stat().st_size if way in ("cat", "verify") else feature_bytes
        seconds = statistics.median(time for time, _ in done)
        rows[name] = {
            "seconds_median": round(seconds, 2),
            "seconds_min": round(min(time for time, _ in done), 2),
            "seconds_max": round(max(time for time, _ in done), 2),
            "gigabytes_per_second": round(size / seconds / 1e9, 3),
            "peak_megabytes": round(max(memory for _, memory in done) / 1e6),
        }
    for name, row in rows.items():
        way, _, state = name.rpartition("-")
        other = {"import": "cp", "export": "cp", "verify": "cat"}.get(way)
        if other is not None:
            reference = rows[f"{'cp-synced' if other == 'cp' else other}-{state}"]
            ratio = row["gigabytes_per_second"] / reference["gigabytes_per_second"]
            row[f"times_{other}"] = round(ratio, 2)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="For files, four times as large.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = measure(options.gigabytes, options.rounds, Path(folder))
    write_result(
        options.out / f"pack-io-{options.gigabytes:g}-gb-{slug(processor())}.json",
        setting={
            "gigabytes": options.gigabytes,
            "layout": "rtfm",
            "shape": ["N", CROPS, WIDTH],
            "rounds": options.rounds,
        },
        machine={"device": processor(), "cores": os.cpu_count()},
        rows=rows,
    )


if __name__ == "__main__":
    main()
