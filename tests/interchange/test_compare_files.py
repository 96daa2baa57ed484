"""Comparison of packs, folders and files, paired by their videos' names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.datasets.manifest import Manifest
from vad_toolkit.errors import InputError, PackCorrupt
from vad_toolkit.interchange.compare import compare
from vad_toolkit.interchange.importing import import_features

Features = Mapping[str, np.ndarray]
WriteFiles = Callable[..., Path]
ABUSE = "Abuse/Abuse028_x264"


@pytest.fixture
def pack(write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path) -> Path:
    root = write_files(features, folder="of the pack")
    import_features(root, tmp_path / "p.h5", layout="rtfm", manifest=manifest)
    return tmp_path / "p.h5"


@pytest.mark.parametrize("layout", ["rtfm", "ten-first", "per-crop"])
def test_a_pack_and_a_folder(
    layout: str, pack: Path, write_files: WriteFiles, features: Features
) -> None:
    root = write_files(features, layout)
    for a, b in ((pack, root), (root, pack)):
        report = compare(a, b)
        assert report.problems(0.999) == []
        assert report.cosine_lowest > 0.999
        assert report.cosine_lowest < 1  # files are float32
        assert len(report.videos) == 3
    assert compare(pack, root).videos.keys() == features.keys()


@pytest.mark.parametrize(
    ("layout", "crops"), [("video-features", 1), ("sultani", 1), ("per-crop", 1), ("rtfm", 5)]
)
def test_two_folders(layout: str, crops: int, write_files: WriteFiles, features: Features) -> None:
    few = {id: array[:, :crops] for id, array in features.items()}
    a, b = (write_files(few, layout, folder=name) for name in ("a", "b"))
    report = compare(a, b)
    assert report.problems(1.0) == []
    assert set(report.videos) == {
        "Normal_Videos_003_x264", "Abuse028_x264", "Bad.Boys.1995__#01-11-55 übel=1_label_G-B2",
    }  # fmt: skip
    streams = report.videos["Abuse028_x264"]
    assert list(streams) == (["flow", "rgb"] if layout == "video-features" else ["rgb"])


def test_two_files_of_other_names(
    write_files: WriteFiles, features: Features, tmp_path: Path
) -> None:
    root = write_files(features)
    np.save(tmp_path / "other.npy", features[ABUSE])
    report = compare(root / "Abuse028_x264_i3d.npy", tmp_path / "other.npy")
    assert report.problems(1.0) == []


def test_a_file_and_a_pack(pack: Path, write_files: WriteFiles, features: Features) -> None:
    root = write_files(features)
    report = compare(root / "Abuse028_x264_i3d.npy", pack)
    assert list(report.videos) == ["Abuse028_x264"]
    assert report.only_b == sorted(id for id in features if id != ABUSE)
    assert report.problems(0.9)[0].startswith("only in B: Films/")


def test_two_packs_are_paired_by_id_alone(
    pack: Path, write_files: WriteFiles, features: Features, tmp_path: Path
) -> None:
    from vad_toolkit.datasets.manifest import Entry

    root = write_files({ABUSE: features[ABUSE]})
    moved = Manifest((Entry(id="Other/Abuse028_x264", path="a", label=1),), "other")
    import_features(root, tmp_path / "q.h5", layout="rtfm", manifest=moved)
    with pytest.raises(InputError, match=r"no video is in both: .*p.h5 has 'Abuse/.* has 'Other/"):
        compare(pack, tmp_path / "q.h5")


def test_differences(pack: Path, write_files: WriteFiles, features: Features) -> None:
    changed = dict(features)
    normal, abuse, films = features
    changed[normal] = features[normal][:5]
    changed[abuse] = features[abuse] + np.float32(1)
    changed["x/more"] = changed.pop(films)
    report = compare(pack, write_files(changed))
    lowest = report.cosine_lowest
    assert report.problems(0.999) == [
        f"only in A: {films}",
        "only in B: more",
        f"shape: {normal}: rgb is (7, 10, 16) in A, (5, 10, 16) in B",
        f"cosine: the lowest is {lowest:.6f}, below 0.999",
    ]
    assert report.problems(lowest)[-1].startswith("shape:")


@pytest.mark.parametrize("order", ["gowtham", "deepmil", "mmaction2"])
def test_another_order_is_a_problem(
    order: str, pack: Path, write_files: WriteFiles, features: Features
) -> None:
    report = compare(pack, write_files(features, "rtfm", order))
    assert report.problems(0.999) == [f"B's crops are in the order {order}, A's in torchvision"]


def test_orders_that_both_state_are_none(
    pack: Path,
    write_files: WriteFiles,
    features: Features,
    manifest: Manifest,
    tmp_path: Path,
) -> None:
    root = write_files(features, "ten-first", "gowtham")
    import_features(root, tmp_path / "q.h5", layout="ten-first", manifest=manifest)
    report = compare(pack, tmp_path / "q.h5")
    assert report.problems(1.0) == []
    assert "compared by name" in report.crops[10].text


def test_one_name_for_two_files(pack: Path, write_files: WriteFiles, features: Features) -> None:
    root = write_files(features)
    np.save(root / "Abuse028.npy", features[ABUSE])
    with pytest.raises(InputError, match=r"'Abuse028' and 'Abuse028_x264' are both video 'Abuse/"):
        compare(pack, root)
    np.save(root / "Abuse028_i3d.npy", features[ABUSE])
    with pytest.raises(InputError, match=r"Abuse028.npy and .*Abuse028_i3d.npy are both video"):
        compare(root, pack)


@pytest.mark.parametrize(
    ("name", "content", "error", "match"),
    [
        ("x.npy", b"hello", InputError, r"x.npy is not a feature array"),
        ("x.h5", b"hello", PackCorrupt, r"x.h5 is not an HDF5 file"),
        ("x/a.md", b"hello", InputError, r"x contains no .npy, .npz, .txt files"),
    ],
)
def test_paths_without_features(
    name: str, content: bytes, error: type, match: str, pack: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(error, match=match):
        compare(pack, path if path.parent == tmp_path else path.parent)
