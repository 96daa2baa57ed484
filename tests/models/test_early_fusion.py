from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vad_toolkit.datasets.manifest import Entry, read_manifest, write_manifest
from vad_toolkit.errors import PackError
from vad_toolkit.evaluation.evaluate import evaluate
from vad_toolkit.models.config import DataConfig, Streams
from vad_toolkit.models.early_fusion import PackFeatures, join
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.scoring.snippet_scores import score_snippets
from vad_toolkit.training.checkpoint import load_checkpoint
from vad_toolkit.training.data import open_training_source, read_training_set
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.train import train

RGB, FLOW, SNIPPETS = 4, 3, 6


@pytest.fixture(scope="module")
def two_streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack with rgb and flow, and train.jsonl beside it."""
    folder = tmp_path_factory.mktemp("streams")
    recipe = ImportedRecipe(layout="test", crop_order=("center",), streams=("rgb", "flow"))
    generator = np.random.default_rng(0)
    meta = VideoMeta(
        frames=16 * SNIPPETS,
        frames_reported=16 * SNIPPETS,
        frames_duplicated=0,
        fps=25.0,
        width=0,
        height=0,
        source_sha256="0" * 64,
        decoder="made by a test",
        decoder_version="1",
    )
    listed = [Entry(id=f"v{i}", path=f"v{i}", label=int(i >= 5)) for i in range(10)]

    def features(width: int) -> NDArray[np.float16]:
        return generator.standard_normal((SNIPPETS, 1, width)).astype(np.float16)

    videos = [
        (e.id, VideoFeatures(meta, {"rgb": features(RGB), "flow": features(FLOW)})) for e in listed
    ]
    write_pack(folder / "pack.h5", recipe, videos, dataset="test")
    write_manifest(folder / "train.jsonl", listed)
    return folder


def test_streams_are_joined_rgb_first() -> None:
    arrays = {"flow": np.full((2, 1, 3), 2, np.float16), "rgb": np.ones((2, 1, 4), np.float16)}
    assert join(arrays, "both")[0, 0].tolist() == [1, 1, 1, 1, 2, 2, 2]
    assert join(arrays, "flow") is arrays["flow"]


@pytest.mark.parametrize("streams", ["rgb", "flow", "both"])
def test_parts_are_read_from_the_pack(two_streams: Path, streams: Streams) -> None:
    with FeaturePack.open(two_streams / "pack.h5") as pack:
        whole = join(pack.video("v7").streams, streams)
        features = PackFeatures(pack, "v7", streams)
        assert features.shape == whole.shape
        for part in (slice(0, SNIPPETS), slice(2, 5)):
            np.testing.assert_array_equal(features[part, slice(0, 1)], whole[part])
        with pytest.raises(PackError, match="has no video 'v99'"):
            PackFeatures(pack, "v99", streams)[slice(0, 1), slice(0, 1)]


@pytest.mark.parametrize(("streams", "width"), [("rgb", RGB), ("flow", FLOW), ("both", RGB + FLOW)])
def test_a_set_of_each(two_streams: Path, streams: str, width: int) -> None:
    config = DataConfig.model_validate({"segments": SNIPPETS, "streams": streams})
    listed = read_manifest(two_streams / "train.jsonl")
    source = open_training_source(two_streams / "pack.h5", listed, config)
    data = read_training_set(source)
    assert source.width == data.width == width
    with FeaturePack.open(two_streams / "pack.h5") as pack:
        expected = join(pack.video("v7").streams, config.streams)
    found = data.video(7).transpose(0, 1)
    assert torch.equal(found, torch.from_numpy(expected))  # one snippet a segment


def test_a_head_on_both(two_streams: Path, tmp_path: Path) -> None:
    config = load_config("sultani", {"steps": 2, "tensorboard": False, "data.streams": "both"})
    train(
        two_streams / "pack.h5", two_streams / "train.jsonl", tmp_path, config=config, device="cpu"
    )
    assert load_checkpoint(tmp_path).info.input_dim == RGB + FLOW


def test_a_head_is_evaluated_on_the_streams_it_was_trained_on(
    two_streams: Path, tmp_path: Path
) -> None:
    """RGB and flow often have one width, so that the wrong stream would go unseen."""
    scored = []
    for streams in ("rgb", "flow", "both"):
        config = load_config("sultani", {"steps": 2, "tensorboard": False, "data.streams": streams})
        run, test = tmp_path / streams, tmp_path / "test.jsonl"
        train(
            two_streams / "pack.h5", two_streams / "train.jsonl", run, config=config, device="cpu"
        )
        if not test.exists():
            entries = read_manifest(two_streams / "train.jsonl")
            write_manifest(
                test,
                [
                    e.model_copy(
                        update={"frames": 16 * SNIPPETS, "events": ((0, 16),) if e.label else None}
                    )
                    for e in entries
                ],
            )
        result = evaluate(run, two_streams / "pack.h5", test, plots=False, device="cpu")
        scores = np.load(result.out / "scores" / "v7.npy")[::16]
        with FeaturePack.open(two_streams / "pack.h5") as pack:
            features = join(pack.video("v7").streams, config.data.streams)
        np.testing.assert_array_equal(scores, score_snippets(load_checkpoint(run).model, features))
        scored.append(scores)
    assert not np.array_equal(scored[0], scored[1])
