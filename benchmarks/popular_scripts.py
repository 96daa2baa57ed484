"""Ten-crop features as popular scripts make them: the baseline of `benchmarks/extract.py`.

Every frame goes to a JPEG on disk; each of ten passes, one a crop, reads all JPEGs again, resizes
them with Pillow, scales them in float64 and runs the network eagerly: float32, contiguous, batch
norm apart (`plain_inception_i3d.py`). Frames lie channels last in numpy, as in those scripts, and
so, without anybody's asking, do the network's tensors.

    python benchmarks/popular_scripts.py VIDEO BATCH DEVICE     prints the seconds that it took

In a process of its own, since `vad extract` changes how its process gets memory.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from plain_inception_i3d import unfolded

from vad_toolkit.weights.store import get_weights, load_backbone

SIZE = (340, 256)
CROP = 224
SNIPPET = 16
PLACES = ((0, 0), (0, 116), (16, 58), (32, 0), (32, 116))  # row and column of the five crops
JPEG_QUALITY = 95


def extract(
    video: Path, folder: Path, network: Callable[[torch.Tensor], torch.Tensor], batch: int
) -> NDArray[np.float32]:
    """Features (N, 10, D) of a video; whole snippets only.

    Args:
        video: to be read.
        folder: empty; one JPEG a frame is left in it.
        network: clips (n, 3, 16, 224, 224) in [-1, 1] to features (n, D).
        batch: snippets a pass.
    """
    files = write_frames(video, folder)
    starts = range(0, len(files) - SNIPPET + 1, SNIPPET)
    crops = []
    for mirrored in (False, True):
        for top, left in PLACES:
            features = []
            for first in range(0, len(starts), batch):
                clips = np.stack(
                    [
                        read_snippet(files[start : start + SNIPPET], top, left, mirrored)
                        for start in starts[first : first + batch]
                    ]
                )
                clips = clips.transpose(0, 4, 1, 2, 3)
                with torch.no_grad():
                    features.append(network(torch.from_numpy(clips).float()).numpy())
            crops.append(np.concatenate(features))
    return np.stack(crops, axis=1)


def write_frames(video: Path, folder: Path) -> list[Path]:
    """Each frame as a JPEG."""
    files = []
    with av.open(str(video)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            files.append(folder / f"{index:06d}.jpg")
            frame.to_image().save(files[-1], quality=JPEG_QUALITY)
    return files


def read_snippet(files: list[Path], top: int, left: int, mirrored: bool) -> NDArray[np.float64]:
    """One crop of one snippet, (frames, 224, 224, 3) in [-1, 1]."""
    frames = []
    for file in files:
        pixels = np.array(Image.open(file).resize(SIZE, Image.Resampling.LANCZOS)).astype(float)
        if mirrored:
            pixels = pixels[:, ::-1]
        frames.append(pixels[top : top + CROP, left : left + CROP] * 2 / 255 - 1)
    return np.stack(frames)


def main() -> None:
    video, batch, device = Path(sys.argv[1]), int(sys.argv[2]), torch.device(sys.argv[3])
    sha256 = get_weights("i3d-rgb-random").published_sha256
    plain = unfolded(load_backbone(sha256)).to(device)

    def network(clips: torch.Tensor) -> torch.Tensor:
        return plain(clips.to(device)).cpu()

    with torch.no_grad():
        network(torch.zeros(1, 3, SNIPPET, CROP, CROP))  # warm up
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        extract(video, Path(folder), network, batch)
        print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
