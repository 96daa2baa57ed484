"""Each command that reads packs refuses hostile ones: one line, exit code 1, nothing opened.

All kinds of hostile packs are tested in test_pack_reading.py, by `FeaturePack.open`.
"""

from __future__ import annotations

import ast
import re
import signal
from pathlib import Path

import pytest

import vad_toolkit
from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.models.registry import build_model
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.training.checkpoint import describe_checkpoint, save_checkpoint
from vad_toolkit.training.load_config import load_config

COMMANDS = {
    "pack info": ("pack", "info", "PACK"),
    "pack verify": ("pack", "verify", "PACK", "--json"),
    "pack merge": ("pack", "merge", "PACK", "--out", "OUT"),
    "pack split": ("pack", "split", "PACK", "--max-size", "1GB", "--out-dir", "OUT"),
    "pack card": ("pack", "card", "PACK", "--out", "OUT"),
    "pack export": ("pack", "export", "PACK", "--layout", "rtfm", "--out", "OUT"),
    "pack compare": ("pack", "compare", "PACK", "PACK"),
    "manifest check": ("manifest", "check", "MANIFEST", "--pack", "PACK"),
    "compose": ("compose", "--pack", "PACK", "--manifest", "MANIFEST", "--out", "OUT"),
    "extract": ("extract", "MANIFEST", "--out", "PACK"),  # refused before any video is opened
    "train": ("train", "--pack", "PACK", "--manifest", "MANIFEST", "--out", "OUT"),
    "ablate": (
        "ablate",
        "--pack",
        "PACK",
        "--manifest",
        "MANIFEST",
        "--test",
        "MANIFEST",
        "--out",
        "OUT",
    ),
    "eval": ("eval", "CHECKPOINT", "--pack", "PACK", "--manifest", "MANIFEST", "--out", "OUT"),
    "gt export": ("gt", "export", "MANIFEST", "--rule", "frames", "--pack", "PACK", "--out", "OUT"),
}


@pytest.fixture(scope="module")
def real_inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A good manifest and a good checkpoint, so that only the pack is a reason to fail."""
    folder = tmp_path_factory.mktemp("inputs")
    manifest = folder / "test.jsonl"
    write_manifest(
        manifest,
        [
            Entry(id="one", path="one.mp4", label=1, events=((0, 16),)),
            Entry(id="two", path="two.mp4", label=0, events=()),
        ],
    )
    config = load_config("sultani", {"head.hidden": [4, 2]})
    info = describe_checkpoint(
        config,
        load_recipe("i3d-rgb-center"),
        pack_sha256="a" * 64,
        manifest_sha256="b" * 64,
        input_dim=8,
        step=1,
        seed=0,
        metric=None,
        validation_loss=None,
    )
    checkpoint = folder / "best.safetensors"
    save_checkpoint(checkpoint, build_model(config, 8), info)
    return {"MANIFEST": manifest, "CHECKPOINT": checkpoint}


@pytest.mark.parametrize(
    "hostile_pack", ["external_link_for_features", "virtual_dataset"], indirect=True
)
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_refuse_hostile_packs(
    hostile_pack: tuple[Path, str],
    real_inputs: dict[str, Path],
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from vad_cli.main import main

    path, match = hostile_pack
    places = {"PACK": path, "OUT": tmp_path / "out", **real_inputs}
    arguments = [str(places.get(item, item)) for item in COMMANDS[command]]
    monkeypatch.setattr("sys.argv", ["vad", *arguments])
    monkeypatch.setattr(signal, "signal", lambda *handler: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"Error: {path}: ")
    assert re.search(match, err)
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_only_one_module_opens_hdf5_files() -> None:
    root = Path(vad_toolkit.__file__).parent
    found = []
    for path in root.rglob("*.py"):
        if "h5py" in (text := path.read_text(encoding="utf-8")):
            calls = (node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
            if {"h5py.File", "h5f.open", "h5f.create"} & set(map(ast.unparse, calls)):
                found.append(path.relative_to(root).as_posix())
    assert found == ["packs/hdf5.py"]
