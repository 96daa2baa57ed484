"""`vad extract` on folders of frames, from the command to the pack."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from vad_cli.main import vad

from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.errors import InputError, WeightsError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.weights.store import get_weights

SMALL = ("weights=i3d-rgb-random", "resize=64", "crop_size=64")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders of frames, of which the second lacks one, and random weights."""
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    get_weights("i3d-rgb-random")
    for name in ("01_0014", "01_0015"):
        folder = tmp_path / "testing" / "frames" / name
        folder.mkdir(parents=True)
        for index in range(17):
            pixels = np.full((64, 80, 3), 10 * index, np.uint8)
            Image.fromarray(pixels).save(folder / f"{index:03}.jpg")
    (folder / "007.jpg").unlink()
    return tmp_path / "testing"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(vad, ["extract", *map(str, arguments)], catch_exceptions=False)


def extract(*arguments: str | Path) -> Result:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    return run(*arguments, "--recipe", "i3d-rgb-center", *settings)


def test_folders_of_frames_become_a_pack(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    done = extract(root, "--out", out, "--json")
    assert done.exit_code == 1
    assert "failed: frames/01_0015: " in done.stderr
    assert "frame 7 is missing, between '006.jpg' and '008.jpg'" in done.stderr
    values = json.loads(done.stdout)
    assert (values["videos_extracted"], values["videos_failed"], values["frames"]) == (1, 1, 17)
    with FeaturePack.open(out) as pack:
        assert pack.ids == ("frames/01_0014",)
        assert (pack.meta("frames/01_0014").frames, pack.meta("frames/01_0014").fps) == (17, 0.0)
        digest = pack.digest("frames/01_0014")

    done = extract(root / "frames" / "01_0014", "--out", tmp_path / "b.h5")
    assert done.exit_code == 0
    with FeaturePack.open(tmp_path / "b.h5") as pack:
        assert (pack.ids, pack.dataset) == (("01_0014",), "01_0014")
        assert pack.digest("01_0014") == digest

    manifest = tmp_path / "test.jsonl"
    write_manifest(manifest, [Entry(id="testing/01_0014", path="frames/01_0014", label=0)])
    done = extract("--manifest", manifest, "--root", root, "--out", tmp_path / "c.h5")
    assert done.exit_code == 0
    with FeaturePack.open(tmp_path / "c.h5") as pack:
        assert pack.digest("testing/01_0014") == digest


def test_a_decoder_of_files_is_refused(root: Path, tmp_path: Path) -> None:
    folder = root / "frames" / "01_0014"
    done = extract(folder, "--decoder", "pyav", "--out", tmp_path / "a.h5")
    assert done.exit_code == 1
    assert "is a folder, which decoder pyav does not read; use decoder auto" in done.stderr


def test_the_recipe_of_a_pack_is_repeated(root: Path, tmp_path: Path) -> None:
    video, first, second = root / "frames" / "01_0014", tmp_path / "a.h5", tmp_path / "b.h5"
    extract(video, "--out", first)
    assert run(video, "--like", first, "--out", second).exit_code == 0
    with FeaturePack.open(first) as one, FeaturePack.open(second) as two:
        assert one.recipe_sha256 == two.recipe_sha256
        assert one.content_sha256 == two.content_sha256
    third = tmp_path / "c.h5"
    smaller = ("--set", "tail=drop", "--set", "resize=32", "--set", "crop_size=32")
    done = run(video, "--like", first, *smaller, "--precision", "bfloat16", "--out", third)
    assert done.exit_code == 0
    with FeaturePack.open(third) as pack:
        assert (pack.recipe.tail, pack.recipe.precision) == ("drop", "bfloat16")
    with pytest.raises(InputError, match="give either a recipe or a pack"):
        run(video, "--like", first, "--recipe", "i3d-rgb-center", "--out", tmp_path / "d.h5")


def test_imported_features_have_no_recipe_to_repeat(root: Path, tmp_path: Path) -> None:
    imported = tmp_path / "imported.h5"
    meta = VideoMeta(32, 32, 0, 25.0, 320, 240, "0" * 64, "not known", "not known")
    features = VideoFeatures(meta, {"rgb": np.ones((2, 1, 8), np.float16)})
    made_by = ImportedRecipe(layout="rtfm", crop_order=("center",))
    write_pack(imported, made_by, [("a", features)], dataset="x", license="not stated")
    with pytest.raises(InputError, match=r"imported features \(rtfm\), whose recipe is not known"):
        run(root / "frames" / "01_0014", "--like", imported, "--out", tmp_path / "a.h5")


def test_presets_whose_weights_are_not_here(root: Path, tmp_path: Path) -> None:
    for recipe in ("rtfm", "deepmil", "xd-violence"):
        with pytest.raises(WeightsError, match="run `vad weights import FILE --as i3d-"):
            run(root, "--recipe", recipe, "--out", tmp_path / "a.h5")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_the_cost_beforehand_writes_nothing(root: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    told = extract(root, "--out", tmp_path / "a.h5", "--dry-run", "--json")
    assert told.exit_code == 0
    facts = json.loads(told.stdout)
    assert (facts["videos"], facts["videos_done_already"], facts["snippets"]) == (2, 0, 2 + 1)
    assert (facts["videos_counted_by_container"], facts["videos_counted_by_bytes"]) == (1, 1)
    assert facts["clips"] == facts["snippets"]
    assert (facts["device"], facts["devices"]) == ("cpu", 1)
    assert facts["flop"] > 1e9
    table = extract(root, "--out", tmp_path / "a.h5", "--dry-run", "--shard", "2/2").stdout
    assert f"pack            {tmp_path / 'a.2-of-2.h5'}" in table
    assert "videos          1 to do, 0 done already" in table
    assert table.splitlines()[-3].split() == ["share", "videos", "frames"]
    assert files(tmp_path) == before


def test_the_cost_of_what_is_done_is_nothing(root: Path, tmp_path: Path) -> None:
    video, out = root / "frames" / "01_0014", tmp_path / "a.h5"
    assert extract(video, "--out", out).exit_code == 0
    told = extract(video, "--out", out, "--dry-run")
    assert "videos          0 to do, 1 done already" in told.stdout
    assert "rate            not measured" in told.stdout
    with pytest.raises(InputError, match="choose another --out"):
        extract(video, "--out", out, "--dry-run", "--set", "step=8")


def test_shards(root: Path, tmp_path: Path) -> None:
    video, out = root / "frames" / "01_0014", tmp_path / "a.h5"
    done = extract(video, "--out", out, "--shard", "1/2")
    assert done.exit_code == 0
    assert f"vad pack merge {tmp_path / 'a'}.*-of-2.h5 --out {out}" in done.stdout
    empty = extract(video, "--out", out, "--shard", "2/2")
    assert empty.exit_code == 0
    assert "videos extracted                0" in empty.stdout
    assert "Note: share 2/2 is empty: there are only 1 videos" in empty.stderr
    assert (tmp_path / "a.1-of-2.h5").exists()
    assert not (tmp_path / "a.2-of-2.h5").exists()
    other = root / "frames" / "01_0015"
    waits = extract(video, other, "--out", tmp_path / "b.h5", "--shard", "1/2", "--json")
    assert json.loads(waits.stdout)["videos_of_other_shares_to_come"] == 1
    assert "to_merge" not in json.loads(waits.stdout)


def test_shards_and_addresses_that_are_none(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    with pytest.raises(InputError, match="shard must be I/N"):
        extract(root, "--out", out, "--shard", "0/2")
    with pytest.raises(InputError, match="an address is only for the engine ray"):
        extract(root, "--out", out, "--address", "localhost:1")
    with pytest.raises(InputError, match="start one with `ray start --head`"):
        extract(root, "--out", out, "--engine", "ray")
    assert not out.exists()
