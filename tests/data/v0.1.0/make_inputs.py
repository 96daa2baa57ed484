"""Make what the fixtures start from: videos of moving shapes, and features of a seeded formula.

Usage: python make_inputs.py FOLDER. Uses PyAV and NumPy alone, so that it does not depend on the
version of the toolkit.
"""

from __future__ import annotations

import csv
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH, FPS = 72, 96, 12

# id, split, frames, events; a shape walks to the right, and in an event it runs and grows.
Video = tuple[str, str, int, tuple[tuple[int, int], ...]]
VIDEOS: tuple[Video, ...] = (
    ("normal/n1", "train", 40, ()),
    ("normal/n2", "train", 45, ()),
    ("abnormal/a1", "train", 48, ((8, 30),)),
    ("abnormal/a2", "train", 43, ((20, 43),)),
    ("normal/n3", "test", 48, ()),
    ("abnormal/a3", "test", 64, ((5, 14), (34, 60))),
)
CLASSES = {"abnormal/a1": "growing"}  # the others: running

SNIPPET, CROPS, NUMBERS = 16, 5, 8


def write_videos(folder: Path) -> None:
    """Write `videos/` and `videos.csv`; training videos are listed without their events."""
    with (folder / "videos.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("path", "label", "split", "classes", "events", "source"))
        for number, (id, split, frames, events) in enumerate(VIDEOS):
            path = folder / "videos" / f"{id}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            encode(path, shapes(number, frames, events))
            listed = ";".join(f"{a}-{b}" for a, b in events) if split == "test" else ""
            classes = CLASSES.get(id, "running") if events else "normal"
            source = f"camera-{number}"
            table.writerow((f"{id}.mp4", int(bool(events)), split, classes, listed, source))


def shapes(seed: int, frames: int, events: tuple[tuple[int, int], ...]) -> list[NDArray[np.uint8]]:
    """Draw one bright square on a smooth ground of its own."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    slopes = rng.uniform(-0.6, 0.6, (2, 3))
    ground = 100 + rows[..., None] * slopes[0] + columns[..., None] * slopes[1]
    colour = rng.integers(150, 256, 3)
    place, top, drawn = float(rng.integers(0, WIDTH)), int(rng.integers(10, 36)), []
    for frame in range(frames):
        runs = any(a <= frame < b for a, b in events)
        place += 7.0 if runs else 1.5
        size = 26 if runs else 12
        inside = (rows >= top) & (rows < top + size) & ((columns - int(place)) % WIDTH < size)
        drawn.append(np.where(inside[..., None], colour, ground).clip(0, 255).astype(np.uint8))
    return drawn


def encode(path: Path, images: list[NDArray[np.uint8]]) -> None:
    """Write an H.264 file without B-frames, times or version strings."""
    options = {"crf": "30", "preset": "veryfast", "bf": "0", "threads": "1"}
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS), options=options)
        stream.pix_fmt, stream.height, stream.width = "yuv420p", HEIGHT, WIDTH
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def write_features(folder: Path) -> None:
    """Write `imported/`: .npy files as RTFM's, five videos for training and four for test."""
    out = folder / "imported"
    rng = np.random.default_rng(7)
    entries: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    for number in range(9):
        side = "train" if number < 5 else "test"
        label = number % 2
        snippets = 5 + number % 4
        frames = SNIPPET * snippets - number % 5
        id = f"{('calm', 'fire', 'calm', 'fight')[number % 4]}/v{number:02}"
        start = SNIPPET * (number % 3) + 5
        event = (start, min(frames, start + 30 + number))
        entry: dict[str, Any] = {"id": id, "path": f"{id}.mp4", "label": label}
        entry["classes"] = [id.partition("/")[0]] if label else []
        entry |= {"frames": frames, "container_frames": frames + number % 2, "fps": 24.5}
        entry["source"] = f"source-{number:02}"
        if side == "test":
            entry["events"] = [list(event)] if label else []
        if number == 7:  # two classes, each with its own events
            entry["classes"] = ["fire", "fight"]
            middle = (event[0] + event[1]) // 2
            entry["class_events"] = {"fire": [[event[0], middle]], "fight": [[middle, event[1]]]}
        if number == 8:  # a snippet more than the rule gives, as the published array has it
            snippets += 1
            entry["label_counts"] = {"rtfm": SNIPPET * snippets}
        entries[side].append(entry)
        x = rng.standard_normal((snippets, CROPS, NUMBERS)).astype(np.float32)
        for snippet in range(snippets):
            first = SNIPPET * snippet
            shared = max(0, min(event[1], first + SNIPPET) - max(event[0], first))
            x[snippet, :, :4] += label * 1.5 * shared / SNIPPET
        path = out / side / f"{id}_i3d.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, x)
    for side, lines in entries.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (out / f"{side}.jsonl").write_text(text, encoding="utf-8")
    (out / "dataset.toml").write_text(
        'name = "made-up-features"\ntitle = "Features of a seeded formula"\n'
        'citation = "none"\nhomepage = "not known"\nlicense = "CC0-1.0"\n'
        'frame_rate = "24.5"\nframe_size = "not known"\nnotes = "For tests of formats only."\n'
        'traps = ["fight/v07 has two classes."]\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    write_videos(Path(sys.argv[1]))
    write_features(Path(sys.argv[1]))
