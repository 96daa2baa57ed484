"""`vad pack merge`, `split` and `card`: output, files and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from vad_cli.pack import pack

from vad_toolkit.errors import InputError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import load_recipe


def write(path: Path, *ids: str, license: str = "CC0-1.0") -> Path:
    """A pack of videos of three snippets; a video's features depend on its id."""
    recipe = load_recipe("i3d-rgb-center")
    meta = VideoMeta(40, 40, 0, 25.0, 320, 240, "ab" * 32, "decord", "0.6.0")
    videos = (
        (id, VideoFeatures(meta, {"rgb": np.full((3, 1, 8), ord(id[-1]), np.float16)}))
        for id in ids
    )
    write_pack(path, recipe, videos, dataset="made-up", license=license)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(pack, [str(argument) for argument in arguments])


def content(path: Path) -> str:
    with FeaturePack.open(path) as opened:
        return opened.content_sha256


def test_merge(tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    packs = write(tmp_path / "p.h5", "x/a", "b"), write(tmp_path / "q.h5", "b", "c")
    result = run("merge", *packs, "--out", out)
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["pack", str(out)],
        ["videos", "3"],
        ["taken", "once", "1"],
    ]
    assert "video 'b': in several packs with the same features; taken once\n" in result.stderr
    assert content(out) == content(write(tmp_path / "whole.h5", "b", "c", "x/a"))


def test_merge_as_json(tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    result = run("merge", write(tmp_path / "p.h5", "a"), "--out", out, "--json")
    assert json.loads(result.stdout) == {"pack": str(out), "videos": 1, "taken_once": []}


def test_merge_asks_which_licence(tmp_path: Path) -> None:
    packs = write(tmp_path / "p.h5", "a"), write(tmp_path / "q.h5", "b", license="MIT")
    result = run("merge", *packs, "--out", tmp_path / "out.h5")
    assert isinstance(result.exception, InputError)
    assert "choose with --license" in str(result.exception)
    result = run("merge", *packs, "--out", tmp_path / "out.h5", "--license", "MIT")
    assert result.exit_code == 0


def test_split_and_merge_again(tmp_path: Path) -> None:
    whole = write(tmp_path / "p.h5", "a", "b", "c")
    result = run("split", whole, "--max-size", "30kB", "--out-dir", tmp_path / "parts")
    assert result.exit_code == 0
    parts = [Path(line) for line in result.stdout.splitlines()]
    assert [part.name for part in parts] == [
        "p-001-of-003.h5",
        "p-002-of-003.h5",
        "p-003-of-003.h5",
    ]
    assert run("merge", *parts, "--out", tmp_path / "out.h5").exit_code == 0
    assert content(tmp_path / "out.h5") == content(whole)


def test_split_as_json(tmp_path: Path) -> None:
    whole = write(tmp_path / "p.h5", "a", "b")
    out = tmp_path / "parts"
    result = run("split", whole, "--max-size", "1MB", "--out-dir", out, "--json")
    (part,) = json.loads(result.stdout)
    assert part["pack"] == str(out / "p-001-of-001.h5")
    assert part["bytes"] == Path(part["pack"]).stat().st_size


@pytest.mark.parametrize(
    ("size", "match"),
    [("plenty", "size must be a number with a unit"), ("1kB", "--max-size must be at least")],
)
def test_split_refuses_sizes(tmp_path: Path, size: str, match: str) -> None:
    whole = write(tmp_path / "p.h5", "a")
    result = run("split", whole, "--max-size", size, "--out-dir", tmp_path / "parts")
    assert isinstance(result.exception, InputError)
    assert match in str(result.exception)
    assert not (tmp_path / "parts").exists()


def test_card(tmp_path: Path) -> None:
    packs = write(tmp_path / "p.h5", "a"), write(tmp_path / "q.h5", "b")
    result = run("card", *packs)
    assert result.exit_code == 0
    names = ["README.md", "videos.csv", "croissant.json", "SHA256SUMS"]
    assert result.stdout.splitlines() == [str(tmp_path / name) for name in names]
    assert "not stated: where they will be published (--url)" in result.stderr
    assert "into one folder" not in result.stderr
    assert "q.h5" in (tmp_path / "README.md").read_text()
    result = run("card", *packs)
    assert isinstance(result.exception, InputError)
    assert "README.md already exists" in str(result.exception)


def test_card_in_another_folder_as_json(tmp_path: Path) -> None:
    pack, out = write(tmp_path / "p.h5", "a"), tmp_path / "card"
    options = ("--url", "https://example.org", "--creator", "A", "--published", "2026-01-31")
    result = run("card", pack, "--out", out, *options, "--license", "MIT", "--json")
    assert json.loads(result.stdout) == {
        "files": [
            str(out / n) for n in ("README.md", "videos.csv", "croissant.json", "SHA256SUMS")
        ],
        "notes": [f"put the card and the packs of {tmp_path} into one folder to share them"],
    }
    assert f"put the card and the packs of {tmp_path} into one folder" in result.stderr
    metadata = json.loads((out / "croissant.json").read_text())
    assert metadata["datePublished"] == "2026-01-31"


def test_card_refuses_an_invalid_date(tmp_path: Path) -> None:
    result = run("card", write(tmp_path / "p.h5", "a"), "--published", "31 January")
    assert isinstance(result.exception, InputError)
    assert "published must be a date YYYY-MM-DD, got '31 January'" in str(result.exception)
    assert not (tmp_path / "README.md").exists()
