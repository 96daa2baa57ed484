"""A script for test_parts.py: a run that writes a pack of random features, killed repeatedly.

    killed_run.py PACK steps     kill one run at its first file operation, the next at its second...
    killed_run.py PACK moments   kill runs at ten random moments

Killed runs are followed by one that is left alone. All are forked, so that none pays for imports.
Prints the pack's content digest for each time that it was finished.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np

from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.parts import PartStore
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.recipes.recipe import load_recipe

RECIPE = load_recipe("i3d-rgb-center")
VIDEOS = {"a/one": 40, "a/two": 16, "b": 300}
FIRST_RUN = ("a/one", "b")  # made into a pack first, so that later runs have to carry videos over
FILE_OPERATIONS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "fcntl.flock"}
)


def make(id: str) -> VideoFeatures:
    frames = VIDEOS[id]
    shape = (RECIPE.snippet_count(frames), 1, 8)
    features = np.random.default_rng(frames).standard_normal(shape).astype(np.float16)
    meta = VideoMeta(frames, frames, 0, 25.0, 320, 240, f"{frames:064x}", "decord", "0.6.0")
    return VideoFeatures(meta, {"rgb": features})


def run(pack: Path) -> None:
    for ids in (FIRST_RUN, tuple(VIDEOS)):
        with PartStore(pack, RECIPE, dataset="made-up") as store:
            for id in ids:
                if id not in store.completed:
                    store.add(id, make(id))
            store.finish()


def die_at(pack: Path, operation: int) -> None:
    """Kill this process before its file operation of that number, counted from 1."""
    seen = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event == "fcntl.flock" or (
            event in FILE_OPERATIONS and str(arguments[0]).startswith(str(pack.parent))
        ):
            seen += 1
            if seen == operation:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def fork_run(pack: Path, operation: int = 0, seconds: float | None = None) -> bool:
    """One run in a process of its own; whether it came to its end."""
    child = os.fork()
    if not child:
        try:
            if operation:
                die_at(pack, operation)
            run(pack)
        except BaseException as error:
            print(f"a run failed: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code == 0


def check(pack: Path) -> None:
    left = sorted(path.name for path in pack.parent.iterdir())
    assert left == [pack.name], left
    with FeaturePack.open(pack) as finished:
        assert finished.verify() == []
        print(finished.content_sha256, flush=True)


def start_anew(pack: Path) -> None:
    shutil.rmtree(pack.parent)
    pack.parent.mkdir()


def main(pack: Path, how: str) -> None:
    os.fsync = lambda descriptor: None  # costs the time, and only a power cut tells the difference
    started = time.monotonic()
    assert fork_run(pack)
    seconds = time.monotonic() - started
    check(pack)
    if how == "steps":
        operation = 1
        finished = False
        while not finished:
            start_anew(pack)
            finished = fork_run(pack, operation)
            assert fork_run(pack)
            check(pack)
            operation += 1
        print(f"{operation - 2} kills", file=sys.stderr)
    else:
        chance = random.Random(0)
        start_anew(pack)
        for _ in range(10):
            if fork_run(pack, seconds=chance.uniform(0, seconds)):
                check(pack)
                start_anew(pack)
        assert fork_run(pack)
        check(pack)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
