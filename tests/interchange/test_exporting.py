"""Exports: files, lists and labels that published code can read, and exact round trips.

The readers below imitate the loaders of three published repositories in a few lines: how they split
lists into abnormal and normal videos, and how they align scores with labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.core.crops import ORDER_NAMES, crop_index, crop_order
from vad_toolkit.datasets.manifest import Entry, Manifest, write_manifest
from vad_toolkit.errors import InputError, ManifestError, PackCorrupt
from vad_toolkit.interchange.exporting import export_features, usual_rule
from vad_toolkit.interchange.importing import import_features
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import load_recipe

Features = Mapping[str, np.ndarray]
WriteFiles = Callable[..., Path]
LAYOUT_CASES = [
    ("rtfm", 10),
    ("rtfm", 5),
    ("per-crop", 10),
    ("per-crop", 5),
    ("per-crop", 1),
    ("ten-first", 10),
    ("video-features", 1),
    ("sultani", 1),
]


def lines_of(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as file:
        return list(file)


class RtfmReader:
    """RTFM, and MGFN on UCF-Crime: one line per video; the first ones are abnormal in training."""

    def __init__(self, path: Path) -> None:
        self.lines = lines_of(path)

    def load(self, line: str) -> np.ndarray:
        return np.array(np.load(line.strip("\n")), dtype=np.float32)  # (N, 10, D)

    def train(self, abnormal: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Abnormal and normal videos, each (10, 32 segments would follow, D)."""
        cut = [self.load(line).transpose(1, 0, 2) for line in self.lines]
        return cut[:abnormal], cut[abnormal:]

    def test_scores(self) -> np.ndarray:
        """A score a frame, from a stand-in for the network: the mean feature of each snippet."""
        scores = [self.load(line).transpose(1, 0, 2).mean((0, 2)) for line in self.lines]
        return np.repeat(np.concatenate(scores), 16)


class UrDmuReader:
    """UR-DMU, and MGFN on XD-Violence: one line per crop; crops of a video are adjacent."""

    def __init__(self, path: Path, crops: int) -> None:
        self.lines = [line.split()[0] for line in lines_of(path)]
        self.crops = crops

    def load(self, line: str) -> np.ndarray:
        return np.load(line).astype(np.float32)  # (N, D)

    def train(self, abnormal: int) -> tuple[list[str], list[str]]:
        return self.lines[:abnormal], self.lines[abnormal:]

    def is_abnormal(self, line: str) -> bool:
        return "Normal" not in line.split("/")[-1]

    def test_scores(self) -> np.ndarray:
        scores, waiting = [], []
        for number, line in enumerate(self.lines, start=1):
            waiting.append(self.load(line).mean(1))
            if number % self.crops == 0:
                scores.append(np.stack(waiting).mean(0))
                waiting = []
        return np.repeat(np.concatenate(scores), 16)


@pytest.fixture
def pack_of(tmp_path: Path, write_files: WriteFiles, manifest: Manifest) -> Callable[..., Path]:
    """Write features as files, import them, and give the pack's path."""

    def make(features: Features, layout: str = "rtfm", rule: str | None = None) -> Path:
        root = write_files(features, layout)
        import_features(root, tmp_path / "p.h5", layout=layout, manifest=manifest, rule=rule)
        return tmp_path / "p.h5"

    return make


def expected_scores(features: Features, ids: Sequence[str]) -> np.ndarray:
    """As the readers' stand-in for a network scores: mean over crops and numbers, 16 times each."""
    means = [features[id].astype(np.float16).astype(np.float32).mean((1, 2)) for id in ids]
    return np.repeat(np.concatenate(means), 16)


def test_rtfm_reads_it(
    pack_of: Callable[..., Path], features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    ids = [entry.id for entry in manifest]
    with FeaturePack.open(pack_of(features)) as pack:
        report = export_features(
            pack, tmp_path / "out", layout="rtfm", manifest={"train": manifest, "test": manifest}
        )
    assert report.problems == []
    assert report.lists == {"train-rgb.list": (3, 2), "test-rgb.list": (3, 2)}

    abnormal, normal = RtfmReader(tmp_path / "out/train-rgb.list").train(2)
    assert [array.shape for array in abnormal] == [(10, 89, 16), (10, 22, 16)]
    assert [array.shape for array in normal] == [(10, 7, 16)]

    scores = RtfmReader(tmp_path / "out/test-rgb.list").test_scores()
    np.testing.assert_allclose(scores, expected_scores(features, ids), rtol=1e-5)
    labels = np.load(tmp_path / "out/gt-test.npy")
    assert labels.dtype == np.float64
    assert labels.shape == scores.shape
    want = np.zeros(len(labels))
    want[7 * 16 + 165 : 7 * 16 + 242] = 1  # rule rtfm has the event's last frame
    start = (7 + 89) * 16
    want[start : start + 17] = want[start + 300 : start + 352] = 1
    np.testing.assert_array_equal(labels, want)
    assert report.arrays == {"gt-test.npy": (len(want), int(want.sum()))}


@pytest.mark.parametrize("crops", [10, 5])
def test_ur_dmu_reads_it(
    crops: int,
    pack_of: Callable[..., Path],
    features: Features,
    manifest: Manifest,
    tmp_path: Path,
) -> None:
    plain = {id: array[:, :crops] for id, array in features.items() if "Films" not in id}
    known = Manifest(manifest.entries[:2], "made-up")
    all_but = {**plain, manifest.entries[2].id: features[manifest.entries[2].id][:, :crops]}
    with FeaturePack.open(pack_of(all_but, "per-crop", "rtfm")) as pack:
        report = export_features(
            pack, tmp_path / "out", layout="per-crop", manifest={"train": known, "test": known}
        )
    assert report.lists["train-rgb.list"] == (2 * crops, crops)
    assert report.unlisted == 1

    reader = UrDmuReader(tmp_path / "out/train-rgb.list", crops)
    abnormal, normal = reader.train(crops)
    assert all(map(reader.is_abnormal, abnormal))
    assert not any(map(reader.is_abnormal, normal))

    scores = UrDmuReader(tmp_path / "out/test-rgb.list", crops).test_scores()
    np.testing.assert_allclose(
        scores, expected_scores(plain, [entry.id for entry in known]), rtol=1e-5
    )
    assert np.load(tmp_path / "out/gt-test.npy").shape == scores.shape


def test_names_with_spaces_are_reported(
    pack_of: Callable[..., Path], features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    with FeaturePack.open(pack_of(features)) as pack:
        report = export_features(
            pack, tmp_path / "out", layout="per-crop", manifest={"train": manifest}
        )
    assert report.notes == [
        "train-rgb.list: 10 lines contain a space, where UR-DMU's code cuts them"
    ]
    assert list(report.arrays) == []  # a training side has no labels of frames


@pytest.mark.parametrize(("layout", "crops"), LAYOUT_CASES)
def test_round_trip(
    layout: str,
    crops: int,
    pack_of: Callable[..., Path],
    features: Features,
    manifest: Manifest,
    tmp_path: Path,
) -> None:
    path = pack_of({id: array[:, :crops] for id, array in features.items()}, layout)
    with FeaturePack.open(path) as pack:
        export_features(pack, tmp_path / "out", layout=layout)
        content = pack.content_sha256
    folders = {folder.name: folder for folder in (tmp_path / "out").iterdir()}
    rgb = folders.get("rgb", folders.get("features"))
    assert rgb is not None
    import_features(rgb, tmp_path / "again.h5", layout=layout, manifest=manifest)
    with FeaturePack.open(tmp_path / "again.h5") as again:
        assert again.content_sha256 == content


@pytest.mark.parametrize(
    ("layout", "here", "there"),
    [("rtfm", *orders) for orders in product(ORDER_NAMES, ORDER_NAMES)]
    + [("per-crop", "gowtham", "mmaction2"), ("ten-first", "deepmil", "torchvision")],
)
def test_each_pair_of_orders_converts_exactly(
    layout: str,
    here: str,
    there: str,
    write_files: WriteFiles,
    features: Features,
    manifest: Manifest,
    tmp_path: Path,
) -> None:
    small = {manifest.entries[0].id: features[manifest.entries[0].id]}
    one = Manifest(manifest.entries[:1], "made-up")
    root = write_files(small, layout, here)
    import_features(root, tmp_path / "a.h5", layout=layout, manifest=one, crop_order=here)
    with FeaturePack.open(tmp_path / "a.h5") as a:
        export_features(a, tmp_path / "out", layout=layout, crop_order=there)
        rgb = tmp_path / "out/rgb"
        import_features(rgb, tmp_path / "b.h5", layout=layout, manifest=one, crop_order=there)
        with FeaturePack.open(tmp_path / "b.h5") as b:
            assert b.recipe.crop_order == crop_order(there, 10)
            index = crop_index(b.recipe.crop_order, a.recipe.crop_order)
            for id in a.ids:
                np.testing.assert_array_equal(b.features(id)[:, index], a.features(id))
                assert here == there or (b.features(id) != a.features(id)).any()


def test_labels_that_would_not_fit_are_not_written(
    pack_of: Callable[..., Path], features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    with FeaturePack.open(pack_of(features)) as pack:
        report = export_features(
            pack, tmp_path / "out", layout="rtfm", manifest={"test": manifest}, rule="deepmil"
        )
    assert report.problems[:2] == [
        "no gt-test.npy: 3 videos do not fit it",
        "Normal/Normal_Videos_003_x264: 96 labels by rule deepmil, but its 7 snippets need 112",
    ]
    assert not (tmp_path / "out/gt-test.npy").exists()
    assert (tmp_path / "out/test-rgb.list").exists()


def test_events_that_are_not_known(
    pack_of: Callable[..., Path], features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    unknown = tuple(entry.model_copy(update={"events": None}) for entry in manifest)
    with FeaturePack.open(pack_of(features)) as pack:
        report = export_features(
            pack, tmp_path / "out", layout="rtfm", manifest={"test": Manifest(unknown, "made-up")}
        )
    assert "no gt-test.npy: the events of 2 videos are not known (first: Abuse/" in report.notes[0]
    assert report.problems == []


def test_frames_that_are_not_known(
    pack_of: Callable[..., Path], features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    unknown = tuple(entry.model_copy(update={"frames": None}) for entry in manifest)
    with FeaturePack.open(pack_of(features)) as pack:
        report = export_features(
            pack, tmp_path / "out", layout="rtfm", manifest={"test": Manifest(unknown, "made-up")}
        )
    assert "rule rtfm needs decoded frames, but frames is not known" in report.problems[0]


def test_equal_parts_have_labels_of_frames(
    pack_of: Callable[..., Path], features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    with FeaturePack.open(pack_of(features, "sultani")) as pack:
        report = export_features(
            pack, tmp_path / "out", layout="sultani", manifest={"test": manifest}
        )
    assert report.arrays == {"gt-test.npy": (100 + 1412 + 352, 76 + 16 + 52)}


def test_prefix_of_lists(
    pack_of: Callable[..., Path], features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    with FeaturePack.open(pack_of(features)) as pack:
        export_features(
            pack,
            tmp_path / "out",
            layout="rtfm",
            manifest={"test": manifest},
            path_prefix="/data/ucf",
        )
    assert (tmp_path / "out/test-rgb.list").read_text(encoding="utf-8").splitlines() == [
        "/data/ucf/rgb/Normal_Videos_003_x264_i3d.npy",
        "/data/ucf/rgb/Abuse028_x264_i3d.npy",
        "/data/ucf/rgb/Bad.Boys.1995__#01-11-55 übel=1_label_G-B2_i3d.npy",
    ]


def test_names_that_are_not_unique_keep_their_folders(
    write_files: WriteFiles, features: Features, tmp_path: Path
) -> None:
    entries = tuple(
        Entry(id=f"{folder}/01", path=f"{folder}/01.mp4", label=0) for folder in ("a", "b")
    )
    manifest = Manifest(entries, "made-up")
    root = tmp_path / "in"
    for entry, array in zip(entries, features.values(), strict=False):
        (root / entry.id).parent.mkdir(parents=True)
        np.save(root / f"{entry.id}_i3d.npy", array)
    import_features(root, tmp_path / "p.h5", layout="rtfm", manifest=manifest)
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        export_features(pack, tmp_path / "out", layout="rtfm")
        content = pack.content_sha256
    assert (tmp_path / "out/rgb/a/01_i3d.npy").exists()
    import_features(tmp_path / "out/rgb", tmp_path / "again.h5", layout="rtfm", manifest=manifest)
    with FeaturePack.open(tmp_path / "again.h5") as again:
        assert again.content_sha256 == content


def test_a_folder_in_use(pack_of: Callable[..., Path], features: Features, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    with (
        FeaturePack.open(pack_of(features)) as pack,
        pytest.raises(
            InputError, match=r"out already exists and is not an empty folder; choose another --out"
        ),
    ):
        export_features(pack, tmp_path / "out", layout="rtfm")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_features_that_a_layout_does_not_hold(
    pack_of: Callable[..., Path], features: Features, tmp_path: Path
) -> None:
    with (
        FeaturePack.open(pack_of(features)) as pack,
        pytest.raises(InputError, match="layout video-features stores the center crop only"),
    ):
        export_features(pack, tmp_path / "out", layout="video-features")
    assert not list(tmp_path.glob("out*"))


def test_a_side_without_videos(
    pack_of: Callable[..., Path], features: Features, tmp_path: Path
) -> None:
    other = Manifest((Entry(id="x", path="x.mp4", label=0),), "other")
    with (
        FeaturePack.open(pack_of(features)) as pack,
        pytest.raises(ManifestError, match=r"p.h5 has none of the 1 videos of the test side of o"),
    ):
        export_features(pack, tmp_path / "out", layout="rtfm", manifest={"test": other})


def test_damage_is_not_exported(
    pack_of: Callable[..., Path], features: Features, tmp_path: Path
) -> None:
    path = pack_of(features)
    data = bytearray(path.read_bytes())
    place = data.find(features["Abuse/Abuse028_x264"].astype(np.float16).tobytes()[:64])
    data[place + 5] ^= 1
    path.write_bytes(data)
    with (
        FeaturePack.open(path) as pack,
        pytest.raises(PackCorrupt, match="video 'Abuse/Abuse028_x264': rgb features are damaged"),
    ):
        export_features(pack, tmp_path / "out", layout="rtfm")
    assert not list(tmp_path.glob("out*"))


def test_rules_of_our_own_recipes() -> None:
    assert usual_rule(load_recipe("i3d-rgb-center")) == "rtfm"
    assert usual_rule(load_recipe("i3d-rgb-center", {"tail": "drop"})) == "vadclip"


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_the_side_of_a_file_is_its_name(
    name: str,
    pack_of: Callable[..., Path],
    features: Features,
    manifest: Manifest,
    tmp_path: Path,
) -> None:
    path = tmp_path / f"{name}.jsonl"
    write_manifest(path, manifest)
    report = export_features(pack_of(features), tmp_path / "out", layout="rtfm", manifest=path)
    assert list(report.lists) == [f"{name}-rgb.list"]


def test_a_side_that_is_not_known(
    pack_of: Callable[..., Path], features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    pack = pack_of(features)
    with pytest.raises(InputError, match="the side of made-up is not known; give --side: train, v"):
        export_features(pack, tmp_path / "out", layout="rtfm", manifest=manifest)
    report = export_features(pack, tmp_path / "out", layout="rtfm", manifest=manifest, side="train")
    assert report.to_dict()["lists"] == [{"file": "train-rgb.list", "lines": 3, "abnormal": 2}]


def test_the_sides_of_a_dataset(
    write_files: WriteFiles, features: Features, tmp_path: Path
) -> None:
    """Without a side, those of which the pack has videos."""
    root = write_files({"Abuse/Abuse028_x264": features["Abuse/Abuse028_x264"]})
    pack = import_features(root, tmp_path / "p.h5", manifest="ucf-crime", allow_missing=True)
    report = export_features(pack, tmp_path / "out", layout="rtfm", manifest="ucf-crime")
    assert (list(report.lists), report.absent) == (["test-rgb.list"], {"test": 289})
