"""The files of a dataset card: their statements are true, and their code runs."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from vad_toolkit.core.files import sha256_file
from vad_toolkit.errors import InputError, PackCorrupt, PackError
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.sharing.card import NAMES, render_checksums, write_card
from vad_toolkit.sharing.facts import read_facts

MakePack = Callable[..., Path]
IMPORTED = ImportedRecipe(
    layout="per-crop",
    features="Inception-I3D, 1024-d",
    rule="xdviodet",
    crop_order=("center", "top-left", "top-right", "bottom-left", "bottom-right"),
    streams=("rgb", "flow"),
)


def loading_lines(readme: str) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    return str(code)


def run_loading_lines(folder: Path) -> list[str]:
    """Run the code of the card as printed, next to the packs, and return its output."""
    code = loading_lines((folder / "README.md").read_text(encoding="utf-8"))
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    assert "vad_toolkit" not in code
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_the_code_of_the_card_loads_the_features(make_pack: MakePack, tmp_path: Path) -> None:
    pack = make_pack("p.h5", "fight/one", 'a "b", #=漢字/two')
    write_card([pack], tmp_path)
    assert run_loading_lines(tmp_path) == ['a "b", #=漢字/two (3, 1, 8)', "fight/one (3, 1, 8)"]


def test_several_packs_of_two_streams_load_too(make_pack: MakePack, tmp_path: Path) -> None:
    packs = [make_pack(f"p-{i}.h5", f"v{i}", by=IMPORTED) for i in (2, 1)]
    write_card(packs, tmp_path)
    assert run_loading_lines(tmp_path) == ["v1 (3, 5, 8)", "v2 (3, 5, 8)"]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum on this machine")
def test_sha256sum_reads_the_checksums(make_pack: MakePack, tmp_path: Path) -> None:
    packs = [make_pack("p one.h5", "a"), make_pack("q\\x.h5", "b")]
    write_card(packs, tmp_path)

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sha256sum", "-c", "--strict", "SHA256SUMS"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    done = check()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK\n") == 5
    assert "p one.h5: OK\n" in done.stdout
    packs[0].write_bytes(packs[0].read_bytes() + b"x")
    done = check()
    assert done.returncode == 1
    assert "p one.h5: FAILED\n" in done.stdout


def test_checksums_are_digest_two_spaces_name() -> None:
    text = render_checksums({"a b.h5": "1" * 64, "c\\d": "2" * 64})
    assert text == f"{'1' * 64}  a b.h5\n\\{'2' * 64}  c\\\\d\n"


def test_the_list_of_videos(make_pack: MakePack, tmp_path: Path) -> None:
    packs = [make_pack("q.h5", "b", by=IMPORTED), make_pack("p.h5", "x", by=IMPORTED)]
    write_card(packs, tmp_path)
    with (tmp_path / "videos.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert [(row["id"], row["file"], row["snippets"], row["frames"]) for row in rows] == [
        ("b", "q.h5", "3", "40"),
        ("x", "p.h5", "3", "40"),
    ]
    assert (rows[0]["fps"], rows[0]["width"], rows[0]["height"]) == ("", "", "")
    with h5py.File(packs[0]) as file:
        for stream in ("rgb", "flow"):
            assert rows[0][f"sha256_{stream}"] == file[f"videos/b/{stream}"].attrs["sha256"]


def test_no_file_names_a_folder(make_pack: MakePack, tmp_path: Path) -> None:
    card = write_card(make_pack("p.h5", "a"), tmp_path / "card")
    assert [path.name for path in card.files] == list(NAMES)
    assert card.notes[-1].startswith(f"put the card and the packs of {tmp_path} into one folder")
    for path in card.files:
        assert str(tmp_path) not in path.read_text(encoding="utf-8")


def test_equal_packs_give_equal_cards(make_pack: MakePack, tmp_path: Path) -> None:
    packs = [make_pack("p.h5", "a"), make_pack("q.h5", "b")]
    for name, order in (("one", packs), ("other", packs[::-1])):
        write_card(order, tmp_path / name)
    for name in NAMES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_overwritten(make_pack: MakePack, tmp_path: Path, name: str) -> None:
    pack = make_pack("p.h5", "a")
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"{name} already exists; choose another --out"):
        write_card(pack, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"p.h5", name}
    assert (tmp_path / name).read_text() == "mine"


def test_paths_that_cannot_be_a_folder(make_pack: MakePack, tmp_path: Path) -> None:
    pack = make_pack("p.h5", "a")
    with pytest.raises(InputError, match=r"p\.h5 is not a folder; choose another --out"):
        write_card(pack, pack)
    with pytest.raises(InputError, match=r"p\.h5/x: Not a directory; choose another --out"):
        write_card(pack, pack / "x")
    with pytest.raises(InputError, match="no packs to describe; give at least one"):
        write_card([], tmp_path)


def test_a_damaged_pack_is_not_described(make_pack: MakePack) -> None:
    pack = make_pack("p.h5", "a", "b")
    with h5py.File(pack, "r+") as file:
        file["videos/b/rgb"][2, 0, 7] = 9
    with pytest.raises(
        PackCorrupt, match=r"p\.h5: video 'b': rgb features are damaged: .*; damaged pac"
    ):
        read_facts([pack])


def test_packs_that_do_not_belong_together(make_pack: MakePack, tmp_path: Path) -> None:
    pack = make_pack("p.h5", "a", license="MIT")
    (tmp_path / "sub").mkdir()
    for other, match in (
        (make_pack("sub/q.h5", "b"), "the packs are in 2 folders; move them into one"),
        (make_pack("q.h5", "a"), r"video 'a' is in .*p\.h5 and in .*q\.h5; share each video once"),
        (
            make_pack("r.h5", "b", by=load_recipe("i3d-rgb-center", {"crop_size": 112})),
            "another recipe than .*: crop_size 112, not 224",
        ),
        (make_pack("s.h5", "b", dataset="other"), "the packs have 2 datasets"),
        (make_pack("t.h5", "b", license="CC0-1.0"), "2 licenses: .*; choose with --license"),
    ):
        with pytest.raises(InputError, match=match):
            read_facts([pack, other])
    facts = read_facts([pack, tmp_path / "t.h5"], license="CC-BY-4.0")
    assert facts.license == "CC-BY-4.0"
    with pytest.raises(PackError, match="no file"):
        read_facts([tmp_path / "none.h5"])


def test_file_names_that_no_text_can_hold(make_pack: MakePack, tmp_path: Path) -> None:
    pack = make_pack("p.h5", "a")
    for name in ("p\n.h5", os.fsdecode(b"p\xff.h5")):
        with pytest.raises(PackError, match=r"the pack's file name 'p.*': control characters are"):
            read_facts([pack.rename(tmp_path / name)])
        pack = (tmp_path / name).rename(tmp_path / "p.h5")


def test_facts_of_a_shipped_dataset(make_pack: MakePack) -> None:
    pack = make_pack("p.h5", "Abuse/Abuse028_x264", dataset="ucf-crime")
    facts = read_facts([pack], manifest="ucf-crime")
    assert facts.title == "UCF-Crime: snippet features"
    assert facts.info is not None
    assert "Sultani" in facts.info.citation
    assert read_facts([pack]).title == "ucf-crime: snippet features"
    with pytest.raises(InputError, match="--manifest tad: none of the packs' videos is in it"):
        read_facts([pack], manifest="tad")
    with pytest.raises(InputError, match="no manifest 'nothing'; give a file"):
        read_facts([pack], manifest="nothing")


def test_facts_of_a_manifest_file(make_pack: MakePack, tmp_path: Path) -> None:
    manifest = tmp_path / "test.jsonl"
    manifest.write_text('{"id":"a","path":"a.mp4","label":0}\n')
    (tmp_path / "dataset.toml").write_text('name = "mine"\ntitle = "My videos"\n')
    facts = read_facts([make_pack("p.h5", "a")], manifest=str(manifest))
    assert facts.title == "My videos: snippet features"


def test_notes_name_facts_that_are_not_stated(make_pack: MakePack) -> None:
    pack = make_pack("p.h5", "a")
    assert read_facts([pack]).notes() == [
        "not stated: the license of the features (--license)",
        "not stated: where they will be published (--url)",
        "not stated: who publishes them (--creator)",
        "not stated: the day of publication (--published)",
    ]
    facts = read_facts(
        [pack], license="MIT", url="https://x.org", creator="A. Person", published="2026-01-31"
    )
    assert facts.notes() == []


def test_metadata_names_files_as_they_are(make_pack: MakePack, tmp_path: Path) -> None:
    pack = make_pack("p one.h5", "a", license="MIT")
    write_card([pack], tmp_path)
    metadata = json.loads((tmp_path / "croissant.json").read_text(encoding="utf-8"))
    for entry in metadata["distribution"]:
        path = tmp_path / entry["name"]
        assert entry["sha256"] == sha256_file(path)
        assert entry["contentSize"] == f"{path.stat().st_size} B"
    assert [entry["contentUrl"] for entry in metadata["distribution"]] == [
        "videos.csv",
        "p%20one.h5",
    ]
