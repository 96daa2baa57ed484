"""Splitting a pack: parts within the limit, all or none, that merge to the same content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from vad_toolkit.errors import InputError, PackCorrupt, PackError
from vad_toolkit.packs import split as split_module
from vad_toolkit.packs.merge import merge_packs
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.split import FILE_BYTES, estimated_bytes, parse_size, split_pack
from vad_toolkit.packs.video import VideoFeatures
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe, load_recipe

MakeVideo = Callable[..., VideoFeatures]


@pytest.fixture
def pack(tmp_path: Path, recipe: Recipe, make_video: MakeVideo) -> Path:
    """Thirty videos of 1 to 300 snippets of 64 numbers, in folders."""
    draw = np.random.default_rng(0)
    path = tmp_path / "features.h5"
    videos = (
        (f"f{index % 3}/v{index:02d}", make_video(16 * int(draw.integers(1, 300)), index, width=64))
        for index in range(30)
    )
    write_pack(path, recipe, videos, dataset="made-up", license="CC0-1.0")
    return path


@pytest.mark.parametrize("limit", [70_000, 100_000, 1 << 20])
def test_parts_are_whole_packs_within_the_limit(pack: Path, tmp_path: Path, limit: int) -> None:
    before = pack.read_bytes()
    parts = split_pack(pack, tmp_path / "new" / "parts", limit)
    assert len(parts) == {70_000: 25, 100_000: 15, 1 << 20: 1}[limit]
    assert [part.name for part in parts] == [
        f"features-{index:03d}-of-{len(parts):03d}.h5" for index in range(1, len(parts) + 1)
    ]
    assert sorted((tmp_path / "new" / "parts").iterdir()) == parts
    ids: list[str] = []
    for part in parts:
        assert part.stat().st_size <= limit
        with FeaturePack.open(part) as opened:
            assert opened.verify() == []
            assert (opened.dataset, opened.license) == ("made-up", "CC0-1.0")
            ids += opened.ids
    out = tmp_path / "again.h5"
    merge_packs(parts[::-1], out)
    with FeaturePack.open(pack) as one, FeaturePack.open(out) as other:
        assert tuple(ids) == one.ids == other.ids
        assert other.content_sha256 == one.content_sha256
        assert [one.meta(id) for id in ids] == [other.meta(id) for id in ids]
    assert pack.read_bytes() == before


def test_a_video_that_is_too_large_is_named_before_anything_is_written(
    pack: Path, tmp_path: Path
) -> None:
    with FeaturePack.open(pack) as opened:
        sizes = {id: FILE_BYTES + estimated_bytes(opened, id) for id in opened.ids}
    large = max(sizes, key=sizes.__getitem__)
    match = rf"--max-size must be at least {sizes[large]:,} bytes for video '{large}', got 50,000"
    with pytest.raises(InputError, match=match):
        split_pack(pack, tmp_path / "parts", 50_000)
    assert not (tmp_path / "parts").exists()


def test_old_parts_are_not_mixed_with_new_ones(pack: Path, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "features-of-mine.h5").touch()
    (folder / "other-001-of-002.h5").touch()
    parts = split_pack(pack, folder, 1 << 20)
    with pytest.raises(InputError, match=r"features-001-of-001\.h5 already exists; .* --out-dir"):
        split_pack(pack, folder, 100_000)
    assert len(list(folder.iterdir())) == 2 + len(parts)


def test_all_parts_or_none(pack: Path, tmp_path: Path) -> None:
    with h5py.File(pack, "r+") as file:
        file["videos/f2/v29/rgb"][0, 0, 0] = 99
    with pytest.raises(PackCorrupt, match=r"video 'f2/v29': rgb features are damaged"):
        split_pack(pack, tmp_path / "parts", 100_000)
    assert list((tmp_path / "parts").iterdir()) == []


def test_a_name_that_cannot_be_had_takes_the_others_back(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "parts"
    write = split_module._write_parts

    def write_and_block(*arguments: object) -> list[Path]:
        parts = write(*arguments)  # type: ignore[arg-type]
        (folder / f"features-003-of-{len(parts):03d}.h5").mkdir()
        return parts

    monkeypatch.setattr(split_module, "_write_parts", write_and_block)
    with pytest.raises(PackError, match=r"parts cannot be written: Is a directory"):
        split_pack(pack, folder, 100_000)
    assert [path.name for path in folder.iterdir()] == ["features-003-of-015.h5"]


def test_a_part_that_grows_too_large_is_told(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split_module, "estimated_bytes", lambda pack, id: 100)
    with pytest.raises(PackError, match=r"the part from 'f0/v00' to 'f2/v29' has .* bytes, more"):
        split_pack(pack, tmp_path / "parts", 100_000)
    assert list((tmp_path / "parts").iterdir()) == []


def test_a_folder_that_cannot_be_made(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--out-dir .*file/x: Not a directory; choose another"):
        split_pack(pack, tmp_path / "file" / "x", 1 << 20)


@pytest.mark.parametrize(
    ("ids", "snippets", "crops", "clips"),
    [
        (["a"], 1, "center", 0),
        ([f"{index:04d}" for index in range(120)], 1, "center", 0),
        (["/".join(["d" * 30] * 32)], 1, "ten", 0),
        ([f"{'n' * 500}/{index}" for index in range(60)], 2, "five", 300),
        (["long", "longer"], 20_000, "center", 5),
    ],
)
def test_estimates_are_bounds_and_not_far_off(
    tmp_path: Path, make_video: MakeVideo, ids: list[str], snippets: int, crops: str, clips: int
) -> None:
    from dataclasses import replace

    recipe = load_recipe("i3d-rgb-center", {"crops": crops})
    video = make_video(16 * snippets, recipe=recipe)
    meta = replace(video.meta, clips=tuple(f"fight/clip{index:04d}" for index in range(clips)))
    path = tmp_path / "p.h5"
    write_pack(path, recipe, ((id, replace(video, meta=meta)) for id in ids), dataset="x")
    with FeaturePack.open(path) as pack:
        bound = FILE_BYTES + sum(estimated_bytes(pack, id) for id in ids)
        features = sum(2 * int(np.prod(pack.shape(id))) for id in ids)
    assert features < path.stat().st_size <= bound
    assert bound - path.stat().st_size < 0.5 * features + 100_000 * len(ids)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1B", 1),
        ("500MB", 500_000_000),
        ("2 GB", 2_000_000_000),
        ("1.5GiB", 3 << 29),
        ("1.5gib", 3 << 29),
        ("10kb", 10_000),
        ("3KiB", 3072),
        (" 1TB ", 10**12),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "5", "-1GB", "1e3MB", "nanMB", "1,5GB", "5 pounds", "0GB", "0.1B", "٣MB"]
)
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(
        InputError, match=r"size must be a number with a unit \(B, kB, MB, GB, TB, KiB"
    ):
        parse_size(text)
