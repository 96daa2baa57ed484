"""What training and evaluation refuse: each one clear line, exit code 1, nothing written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from vad_cli.main import vad

from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.errors import VadError
from vad_toolkit.packs.video import VideoFeatures, VideoMeta, raw_bytes
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import load_recipe

SNIPPETS = 6
QUICK = ("steps=2", "tensorboard=false", "data.segments=4", "head.hidden=[8,4]")


def meta(snippets: int, step: int) -> VideoMeta:
    return VideoMeta(
        frames=snippets * step,
        frames_reported=snippets * step,
        frames_duplicated=0,
        fps=25.0,
        width=64,
        height=64,
        source_sha256="0" * 64,
        decoder="made by a test",
        decoder_version="1",
    )


def write(folder: Path, width: int = 4, settings: Mapping[str, object] | None = None) -> Path:
    """pack.h5, train.jsonl and test.jsonl of ten videos."""
    recipe = load_recipe("i3d-rgb-center", settings or {})
    generator = np.random.default_rng(0)
    features = generator.standard_normal((10, SNIPPETS, 1, width)).astype(np.float16)
    ids = [f"v{i}" for i in range(10)]
    video_meta = meta(SNIPPETS, recipe.step)
    folder.mkdir()
    videos = [(id, VideoFeatures(video_meta, {"rgb": features[i]})) for i, id in enumerate(ids)]
    write_pack(folder / "pack.h5", recipe, videos, dataset="test")
    train = [Entry(id=id, path=id, label=int(i >= 5)) for i, id in enumerate(ids)]
    event = (0, SNIPPETS * recipe.step // 2)
    test = [e.model_copy(update={"events": (event,) if e.label else ()}) for e in train]
    write_manifest(folder / "train.jsonl", train)
    write_manifest(folder / "test.jsonl", test)
    return folder


def train(data: Path, out: Path) -> BaseException | None:
    settings = [part for setting in QUICK for part in ("--set", setting)]
    files = ["--pack", str(data / "pack.h5"), "--manifest", str(data / "train.jsonl")]
    command = ["train", *files, "--config", "sultani", "--device", "cpu", "--out", str(out)]
    return CliRunner().invoke(vad, [*command, *settings]).exception


def evaluate(run: Path, data: Path) -> BaseException | None:
    files = ["--pack", str(data / "pack.h5"), "--manifest", str(data / "test.jsonl")]
    return CliRunner().invoke(vad, ["eval", str(run), *files, "--device", "cpu"]).exception


def check_refusal(error: BaseException | None, message: str) -> None:
    assert isinstance(error, VadError)
    assert message in str(error)
    assert "\n" not in str(error)
    assert error.exit_code == 1


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "data")


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Path:
    assert train(data, tmp_path / "run") is None
    return tmp_path / "run"


@pytest.mark.parametrize("honest", [True, False])
def test_a_pack_with_nan(data: Path, tmp_path: Path, honest: bool) -> None:
    """Whether its digest was made of the NaN or not."""
    with h5py.File(data / "pack.h5", "r+") as file:
        stored = file["videos/v3/rgb"]
        stored[2, 0, 1] = np.nan
        if honest:
            stored.attrs["sha256"] = hashlib.sha256(raw_bytes(stored[:])).hexdigest()
    reason = "rgb features hold NaN or infinity" if honest else "rgb features are damaged"
    check_refusal(train(data, tmp_path / "run"), f"video 'v3': {reason}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("label", "missing"), [(0, "abnormal"), (1, "normal")])
def test_a_manifest_of_one_class(data: Path, tmp_path: Path, label: int, missing: str) -> None:
    listed = [Entry(id=f"v{i}", path=f"v{i}", label=label) for i in range(10)]
    write_manifest(data / "train.jsonl", listed)
    message = f"train.jsonl has no {missing} videos; training needs both labels"
    check_refusal(train(data, tmp_path / "run"), message)
    assert not (tmp_path / "run").exists()


def test_a_test_pack_of_another_recipe(run: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", settings={"resize": 240})
    check_refusal(evaluate(run, other), "was made by another recipe than")
    assert not list(run.glob("eval*"))


def test_a_checkpoint_of_another_width(run: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", width=5)
    message = "video 'v0': features have shape (6, 1, 5); this model needs (snippets, crops, 4)"
    check_refusal(evaluate(run, other), message)
    assert not list(run.glob("eval*"))


def test_all_of_it_works_where_nothing_is_wrong(run: Path, data: Path) -> None:
    assert evaluate(run, data) is None
