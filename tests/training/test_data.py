from __future__ import annotations

from pathlib import Path

import pytest
import torch
from h5py import File

from vad_toolkit.core.progress import ProgressEvent
from vad_toolkit.datasets.length_rule import learn_length
from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.errors import ManifestError, PackError
from vad_toolkit.models.config import DataConfig
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.training.data import segment_means


def manifest(path: Path, *videos: tuple[str, int]) -> Path:
    write_manifest(path, [Entry(id=id, path=id, label=label) for id, label in videos])
    return path


def test_all_videos_in_the_manifests_order(dataset) -> None:
    events: list[ProgressEvent] = []
    source = dataset.source(DataConfig(segments=5))
    data = dataset.load(DataConfig(segments=5), events.append)
    assert data.even.shape == (20, 1, 5, 8)
    assert data.flat.dtype == torch.float16
    assert source.labels.tolist() == [0] * 10 + [1] * 10
    assert (source.width, source.crops, source.is_large) == (8, 1, False)
    with FeaturePack.open(dataset.pack) as pack:
        expected = segment_means(pack.features("abnormal/a3"), 5)
        assert source.pack_sha256 == pack.content_sha256
    found = data.video(13)[0].float()
    torch.testing.assert_close(found, torch.from_numpy(expected[:, 0]), atol=2e-3, rtol=1e-3)
    assert (events[-1].done, events[-1].total, events[-1].unit) == (20, 20, "videos")


def test_the_relation_of_length_and_label(dataset) -> None:
    with FeaturePack.open(dataset.pack) as pack:
        frames = [row["frames"] for row in pack.table()]
        labels = [int(id.startswith("abnormal")) for id in pack.ids]
    rule = learn_length(frames, labels)
    assert rule is not None
    assert dataset.source(DataConfig()).length_rule == rule


def test_float32_storage_rounds_nothing(dataset) -> None:
    config = DataConfig(segments=5, storage="float32")
    data = dataset.load(config)
    with FeaturePack.open(dataset.pack) as pack:
        expected = segment_means(pack.features("normal/n0"), 5)
    assert torch.equal(data.video(0)[0], torch.from_numpy(expected[:, 0]))


@pytest.mark.parametrize(("label", "missing"), [(0, "abnormal"), (1, "normal")])
def test_both_kinds_are_needed(dataset, tmp_path, label, missing) -> None:
    id = "normal/n0"
    with pytest.raises(
        ManifestError, match=f"m.jsonl has no {missing} videos; training needs both labels"
    ):
        dataset.load(DataConfig(), manifest=manifest(tmp_path / "m.jsonl", (id, label)))


def test_a_video_that_the_pack_lacks(dataset, tmp_path) -> None:
    path = manifest(tmp_path / "m.jsonl", ("normal/n0", 0), ("gone/a", 1), ("gone/b", 1))
    with pytest.raises(
        ManifestError, match=r"'gone/a': in the manifest, but not .* \(and 1 more\)"
    ):
        dataset.load(DataConfig(), manifest=path)


def test_a_damaged_video_is_not_trained_on(dataset, tmp_path) -> None:
    damaged = tmp_path / "pack.h5"
    damaged.write_bytes(dataset.pack.read_bytes())
    with File(damaged, "r+") as file:
        file["videos/normal/n1/rgb"][0, 0, 0] = 5.0
    with pytest.raises(PackError, match="'normal/n1'"):
        dataset.load(DataConfig(), pack=damaged)


@pytest.mark.parametrize("streams", ["flow", "both"])
def test_a_pack_without_the_stream(dataset, streams: str) -> None:
    config = DataConfig.model_validate({"streams": streams})
    message = f"has no modality 'flow', which data.streams={streams} needs; it has rgb$"
    with pytest.raises(PackError, match=message):
        dataset.load(config)
