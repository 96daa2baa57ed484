"""The speed of importing, verifying and exporting packs, compared with `cp` and `cat`.

    python benchmarks/pack_io.py [--gigabytes 5] [--rounds 3] [--folder DIR] [--out DIR]

Each row is a whole command in its own process, including interpreter and imports, on the same disk:
synthetic files of layout `rtfm`, (N, 10, 2048) float32. The commands take turns. Before each, its
files are either dropped from the page cache ("cold", as when features are larger than memory) or
read into it ("warm").

- cp: `cp -r` of the feature files, which leaves the copy in memory;
- cp-synced: the same, followed by `sync`; `vad` commands also end when the pack is on the disk;
- import: `vad pack import`, which reads and hashes all bytes and writes half as many;
- import-plain: the same without early syncs (`core.files.EarlySync`);
- cat: `cat` of the pack;
- verify: `vad pack verify`;
- verify-plain: the same with one thread (`packs.pack.VERIFY_THREADS`);
- export: `vad pack export`, which writes twice the bytes that it reads.

`times_cp` is the speed of a row in feature bytes per second, divided by that of `cp-synced` in the
same state of the cache. `times_cat` is the same for pack bytes and `cat`. `times_plain` is the gain
of an optimization over the plain form; below about 1.15 it is not worth its code.
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
SNIPPETS = 420  # about 34 MB per video, the mean of UCF-Crime
MAIN = "from vad_cli.main import main; main()"
ONE_THREAD = "import vad_toolkit.packs.pack as pack; pack.VERIFY_THREADS = 1; "
NO_SYNC = "import vad_toolkit.core.files as files; files.EarlySync.wrote = lambda *_: None; "


def make_files(folder: Path, gigabytes: float) -> Path:
    """Write feature files with values like activations after ReLU; return their manifest."""
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
    """Drop files from the page cache ("cold"), or read them into it ("warm")."""
    buffer = memoryview(bytearray(1 << 20))
    for path in paths:
        with path.open("rb", buffering=0) as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if state == "warm":
                while file.readinto(buffer):
                    pass


def run(command: Sequence[str]) -> tuple[float, int]:
    """Return the seconds and the peak resident bytes of a process."""
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


def vad(*arguments: object, before: str = "") -> tuple[str, ...]:
    """Return a `vad` command that runs some Python code before it."""
    return (sys.executable, "-c", before + MAIN, *map(str, arguments))


def measure(gigabytes: float, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Return medians of seconds and the peak memory, one row per command and state of the cache."""
    # In its own process: the peak memory of a process also counts for those that it starts.
    with ProcessPoolExecutor(1, get_context("spawn")) as maker:
        manifest = maker.submit(make_files, folder, gigabytes).result()
    files = sorted((folder / "rtfm").iterdir())
    pack, kept, target = folder / "new.h5", folder / "pack.h5", folder / "target"
    copy = f"cp -r '{folder / 'rtfm'}' '{target}'"
    imported = ("pack", "import", folder / "rtfm", "--layout", "rtfm", "--manifest", manifest)
    exported = ("pack", "export", kept, "--layout", "rtfm", "--out", target)
    run(vad(*imported, "--out", kept))
    ways: dict[str, tuple[Sequence[str], Sequence[Path]]] = {
        "cp": (("sh", "-c", copy), files),
        "cp-synced": (("sh", "-c", f"{copy} && sync '{target}'/*"), files),
        "import": (vad(*imported, "--out", pack), files),
        "import-plain": (vad(*imported, "--out", pack, before=NO_SYNC), files),
        "cat": (("sh", "-c", f"cat '{kept}' > /dev/null"), [kept]),
        "verify": (vad("pack", "verify", kept), [kept]),
        "verify-plain": (vad("pack", "verify", kept, before=ONE_THREAD), [kept]),
        "export": (vad(*exported), [kept]),
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
        is_pack = way in ("cat", "verify", "verify-plain")
        size = kept.stat().st_size if is_pack else feature_bytes
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
        if f"{way}-plain-{state}" in rows:
            plain = rows[f"{way}-plain-{state}"]["seconds_median"]
            row["times_plain"] = round(plain / row["seconds_median"], 2)
            print(f"{name}: {row['times_plain']} times as fast as the plain form")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="A folder with room for four times as much.")
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
