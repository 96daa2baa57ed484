"""Memory that scoring a long video needs, in blocks and in one piece, and the difference of scores.

    python benchmarks/evaluate_memory.py [--rows ROW ...] [--threads 2] [--folder DIR] [--out DIR]

Random features are written into packs, block by block: 6,750 snippets of ten crops and 2,048
dimensions, for every method with its default widths, and 70,000 snippets of one crop and 1,024
dimensions for CLAV + CoMo. Weights are random and moved away from their initial values, so that
every part of a network has an effect. Each row is measured in two processes:

- `blocks`: as `vad eval` reads a video of more than 256 MB: the digest is verified in blocks, and
  features are read as they are needed;
- `whole`: the features are read into memory, and all crops pass through the network at once.

`peak_mb` is the peak memory of the process above that with libraries, network and an open pack;
`largest_difference` is that between the scores of the two ways, `score_std` the standard deviation
of the scores over snippets. Rows that are not selected keep their values in the file.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import RESULTS, memory_mb, processor, slug, write_result
from synthetic import video_meta

from vad_toolkit.models.base import MilModel
from vad_toolkit.models.early_fusion import PackFeatures
from vad_toolkit.models.registry import METHODS, build_model
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import SnippetBlocks, StreamedVideo, block_snippets
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe
from vad_toolkit.scoring.snippet_scores import ROWS_AT_ONCE, score_snippets
from vad_toolkit.training.load_config import load_config

VIDEO = "video"
Shape = tuple[int, int, int]  # snippets, crops, numbers
WIDE: Shape = (6_750, 10, 2_048)
LONG: Shape = (70_000, 1, 1_024)
ROWS = {method: (method, WIDE) for method in METHODS} | {"clav-como-long": ("clav-como", LONG)}


def make_pack(folder: Path, shape: Shape) -> Path:
    """A pack of one video, its features like activations after ReLU."""
    snippets, crops, width = shape
    recipe = Recipe(crops="ten" if crops == 10 else "center")
    generator = np.random.default_rng(0)
    rows = block_snippets(crops, width)

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, snippets, rows):
            size = (min(rows, snippets - start), crops, width)
            yield generator.standard_exponential(size, np.float32).astype(np.float16)

    meta = video_meta(recipe.step * snippets)
    video = StreamedVideo({"rgb": SnippetBlocks(shape, blocks())}, lambda: meta)
    path = folder / f"{'x'.join(map(str, shape))}.h5"
    write_pack(path, recipe, [(VIDEO, video)], dataset="synthetic")
    return path


def make_model(method: str, width: int) -> MilModel:
    """A network in which nothing is as it begins: some parts begin at zero."""
    torch.manual_seed(0)
    model = build_model(load_config(method), width).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return model


def in_blocks(model: MilModel, pack: FeaturePack) -> np.ndarray:
    """As `vad eval` scores a video."""
    pack.check(VIDEO)
    return score_snippets(model, PackFeatures(pack, VIDEO, "rgb"))


def in_one_piece(model: MilModel, pack: FeaturePack) -> np.ndarray:
    """Everything at once."""
    x = torch.from_numpy(pack.features(VIDEO).swapaxes(0, 1)[None])
    with torch.inference_mode():
        return model(x).scores[0].numpy()


def measure(method: str, path: Path, way: str, threads: int) -> tuple[np.ndarray, float]:
    """Scores, and the peak above what stood in memory before; for a process of its own."""
    torch.set_num_threads(threads)
    with FeaturePack.open(path) as pack:
        model = make_model(method, pack.shape(VIDEO)[2])
        before = memory_mb("VmRSS")
        scores = {"blocks": in_blocks, "whole": in_one_piece}[way](model, pack)
        return scores, memory_mb("VmHWM") - before


def compare(method: str, path: Path, shape: Shape, threads: int) -> dict[str, Any]:
    """A row."""
    context = multiprocessing.get_context("spawn")
    found = {}
    for way in ("blocks", "whole"):
        with context.Pool(1) as pool:
            found[way] = pool.apply(measure, (method, path, way, threads))
    scores = found["blocks"][0].astype(np.float64)
    return {
        "snippets": shape[0],
        "crops": shape[1],
        "width": shape[2],
        "features_mb": round(2 * np.prod(shape) / 2**20),
        **{f"peak_mb_{way}": round(peak) for way, (_, peak) in found.items()},
        "largest_difference": float(np.abs(scores - found["whole"][0]).max()),
        "score_std": round(float(scores.std()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=tuple(ROWS))
    parser.add_argument("--folder", type=Path, help="for the packs, 420 MB; default: the system's")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    path = options.out / (
        f"evaluate_memory-float32-{slug(processor())}-{options.threads}threads.json"
    )
    kept = json.loads(path.read_text())["rows"] if path.is_file() else {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        wanted = {ROWS[name][1] for name in options.rows}
        packs = {shape: make_pack(Path(folder), shape) for shape in wanted}
        for name in options.rows:
            method, shape = ROWS[name]
            kept[name] = compare(method, packs[shape], shape, options.threads)
            write_result(
                path,
                setting={"precision": "float32", "rows_at_once": ROWS_AT_ONCE},
                machine={"device": processor(), "threads": options.threads},
                rows={name: kept[name] for name in ROWS if name in kept},
                torch=torch.__version__,
            )


if __name__ == "__main__":
    main()
