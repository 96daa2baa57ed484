"""The shipped manifests equal the output of the official modules for the published files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import vad_manifests
from vad_manifests.official import avenue
from vad_manifests.official.__main__ import main
from vad_manifests.official.catalogue import BUILDERS, write_official
from vad_manifests.official.lists import OfficialSplit, by_name, read_rows, require

from vad_toolkit.datasets.dataset_info import INFO_FILE, read_dataset_info, write_dataset_info
from vad_toolkit.datasets.registry import DATASETS, SIDES, load_dataset
from vad_toolkit.datasets.source_split import check_sides
from vad_toolkit.datasets.truth.rules import load_rule, rule_labels
from vad_toolkit.errors import InputError, ManifestError

Copy = Callable[[str], Path]
SHIPPED = Path(vad_manifests.__path__[0])
MAX_BYTES = 1_000_000
# Where the published files of a benchmark lie in the reference data.
FOLDERS = {
    "avenue": "groundtruth",
    "avenue-weak": "groundtruth",
    "msad": "annotations/msad",
    "shanghaitech": "annotations/shanghaitech",
    "tad": "annotations/tad",
    "ubnormal": "annotations/ubnormal",
    "ucf-crime": "annotations/ucf_crime",
    "xd-violence": "annotations/xd_violence",
}


@pytest.fixture
def copy(reference: Path, tmp_path: Path) -> Copy:
    """A copy of a benchmark's published files, to be broken."""

    def make(name: str) -> Path:
        target = tmp_path / "published"
        if name.startswith("avenue"):
            target.mkdir()
            shutil.copy(reference / FOLDERS[name] / avenue.ARRAY, target)
        else:
            shutil.copytree(reference / FOLDERS[name], target)
        return target

    return make


@pytest.mark.parametrize("name", BUILDERS)
def test_the_output_is_what_is_shipped(name: str, reference: Path, tmp_path: Path) -> None:
    written = write_official(name, reference / FOLDERS[name], tmp_path / name)
    assert {path.name for path in written} == {path.name for path in (SHIPPED / name).iterdir()}
    for path in written:
        assert path.read_bytes() == (SHIPPED / name / path.name).read_bytes(), path.name


def test_every_shipped_dataset_but_cctv_fights_is_made_here() -> None:
    assert set(BUILDERS) == set(DATASETS) - {"cctv-fights"}


@pytest.mark.parametrize("name", DATASETS)
def test_shipped_files_are_small_and_sides_disjoint(name: str, tmp_path: Path) -> None:
    for path in (SHIPPED / name).iterdir():
        assert path.stat().st_size < MAX_BYTES, path.name
    dataset = load_dataset(name)
    check_sides(dataset.train, dataset.test)
    for manifest in dataset.sides.values():
        check_sides(manifest, (e for m in dataset.sides.values() if m is not manifest for e in m))
    write_dataset_info(tmp_path / INFO_FILE, dataset.info)
    assert (tmp_path / INFO_FILE).read_bytes() == (SHIPPED / name / INFO_FILE).read_bytes()
    assert "not known" not in (dataset.info.title, dataset.info.citation, dataset.info.homepage)


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        (
            "ucf-crime",
            "Anomaly_Train.txt",
            "Abuse/Abuse002_x264.mp4",
            "Abuse/Abuse999_x264.mp4",
            r"Anomaly_Train.txt:2: 'Abuse/Abuse999_x264.mp4' is not in frame_counts_train.txt",
        ),
        (
            "ucf-crime",
            "Anomaly_Train.txt",
            "Abuse/Abuse002_x264.mp4",
            "Abuse/Abuse001_x264.mp4",
            r"Anomaly_Train.txt:2: 'Abuse/Abuse001_x264.mp4' is already in .*Train.txt:1",
        ),
        (
            "ucf-crime",
            "Anomaly_Test.txt",
            "Abuse/Abuse028_x264.mp4",
            "Abuse/Abuse029_x264.mp4",
            r"test_videos.tsv:2: 'Abuse028' is not in Anomaly_Test.txt",
        ),
        (
            "ucf-crime",
            "test_videos.tsv",
            "Abuse030\t1544\t1545",
            "Abuse030\tmany\t1545",
            r"test_videos.tsv:3: 'many' is not an integer",
        ),
        (
            "ucf-crime",
            "test_videos.tsv",
            "Abuse030\t1544\t1545\t1275\t1360\t-1\t-1\n",
            "",
            r"Anomaly_Test.txt:2: 'Abuse/Abuse030_x264.mp4' is not in test_videos.tsv",
        ),
        (
            "ucf-crime",
            "Temporal_Anomaly_Annotation.txt",
            "165  240",
            "240  165",
            r"test_videos.tsv:2: id 'Abuse/Abuse028_x264': field events: \[240, 165\) must",
        ),
        (
            "shanghaitech",
            "SH_Test_NEW.txt",
            "01_0015,1,-1",
            "01_0015,0,433",
            r"test_videos.tsv:2: label 1 here, but 0 in SH_Test_NEW.txt",
        ),
        (
            "shanghaitech",
            "test_videos.tsv",
            "01_0015\t1\t433",
            "01_0015\t1\t434",
            r"test_videos.tsv:2: 434 frames here, but 433 in the mask of '01_0015'",
        ),
        (
            "shanghaitech",
            "SH_Train_new.txt",
            "01_0014,1",
            "01_9999,1",
            r"SH_Train_new.txt:1: '01_9999' is abnormal, but test_frame_mask has no mask of it",
        ),
        (
            "shanghaitech",
            "SH_Train_new.txt",
            "01_0014,1",
            "0014,1",
            r"SH_Train_new.txt:1: '0014' must be a name such as 01_001",
        ),
        (
            "shanghaitech",
            "test_videos.tsv",
            "video\tlabel",
            "name\tlabel",
            r"test_videos.tsv:1: the header must be video, label, frames, rtfm_labels",
        ),
        (
            "xd-violence",
            "xdv_flist_train.txt",
            "00-01-45_00-02-50_label_A\n",
            "00-01-45_00-02-50_label_C\n",
            r"xdv_flist_train.txt:1: unknown class 'C'; available: B1, B2, B4, B5, B6, G",
        ),
        (
            "xd-violence",
            "xdv_flist_train.txt",
            "00-01-45_00-02-50_label_A\n",
            "00-01-45_00-02-50\n",
            r"xdv_flist_train.txt:1: .* must end with _label_ and classes",
        ),
        (
            "xd-violence",
            "annotations.txt",
            " 0 1517 1970 3038",
            " 0 1517 1970",
            r"annotations.txt:1: an event has no end",
        ),
        (
            "xd-violence",
            "annotations_multiclasses.txt",
            "01-11-55_01-12-40_label_G-B2-B6 B2",
            "01-11-55_01-12-40_label_G-B2-B6",
            r"annotations_multiclasses.txt:\d+: every event must be CLASS START END",
        ),
        (
            "tad",
            "TAD_test.txt",
            "01_Accident_006.mp4 266 1",
            "01_Accident_006.mp4 266 2",
            r"TAD_test.txt:1: class 2 is IllegalTurn, but the name is '.*01_Accident_006.mp4'",
        ),
        (
            "tad",
            "TAD_train.txt",
            "01_Accident_001.mp4 0 224 1",
            "01_Accident_001.mp4 0 224 8",
            r"TAD_train.txt:1: class must be 0 \(normal\) to 7, got 8",
        ),
        (
            "tad",
            "TAD_train.txt",
            "01_Accident_001.mp4 0 224 1",
            "01_Accident_001.mp4 0 224",
            r"TAD_train.txt:1: 4 columns are needed, got 3",
        ),
        (
            "ubnormal",
            "normal_test_video_names.txt",
            "normal_scene_18_scenario_4",
            "abnormal_scene_18_scenario_4",
            r"names.txt:1: 'abnormal_scene_18_scenario_4' must begin with normal_scene_",
        ),
        (
            "msad",
            "msad-i3d.list",
            "Assault_1_i3d.npy",
            "Assaults_1_i3d.npy",
            r"msad-i3d.list:1: 'Assaults_1' must be MSAD_normal_\.\.\. or one of",
        ),
    ],
)
def test_a_broken_line_is_named(
    name: str, file: str, old: str, new: str, message: str, copy: Copy, tmp_path: Path
) -> None:
    folder = copy(name)
    text = (folder / file).read_bytes().decode("utf-8")
    assert old in text
    (folder / file).write_bytes(text.replace(old, new, 1).encode("utf-8"))
    with pytest.raises(ManifestError, match=message) as caught:
        write_official(name, folder, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", BUILDERS)
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=rf"{tmp_path}/\S+: "):
        write_official(name, tmp_path, tmp_path / "out")


def test_missing_masks_are_named(copy: Copy, tmp_path: Path) -> None:
    folder = copy("shanghaitech")
    shutil.rmtree(folder / "test_frame_mask")
    with pytest.raises(ManifestError, match="test_frame_mask: cannot be read; the owners' masks"):
        write_official("shanghaitech", folder, tmp_path / "out")


def test_avenue_has_the_labels_of_its_array(reference: Path) -> None:
    dataset = load_dataset("avenue")
    name, rule = load_rule(dataset.info.arrays["msad"].rule, dataset.test.rules)
    labels = np.concatenate([rule_labels(entry, name, rule) for entry in dataset.test])
    with np.load(reference / "groundtruth" / avenue.ARRAY) as arrays:
        np.testing.assert_array_equal(labels, arrays["gt"])
    known = {entry.id: entry for entry in dataset}
    assert all(known[entry.id] == entry for entry in load_dataset("avenue-weak"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"gt": np.zeros(15_324)}, r"shape must be \(15152,\), got \(15324,\)"),
        ({"labels": np.zeros(15_152)}, "not an .npz file with an array gt"),
    ],
)
def test_another_array_is_refused(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / avenue.ARRAY, **arrays)
    with pytest.raises(ManifestError, match=message):
        avenue.build(tmp_path)


def test_the_command(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["tad", str(reference / FOLDERS["tad"]), str(tmp_path / "out")]
    assert main(command) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "out" / file) for file in (INFO_FILE, SIDES["train"], SIDES["test"])
    ]
    assert read_dataset_info(tmp_path / "out" / INFO_FILE).name == "tad"
    assert main(command) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: ")
    assert "dataset.toml already exists; choose another --out" in error
    with pytest.raises(InputError, match="unknown dataset 'nothing'; available: avenue, "):
        write_official("nothing", tmp_path, tmp_path)


def test_rows(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("\na 1\n\nb 2\n")
    rows = by_name(read_rows(path, 2))
    assert [(row.name, row.number(1), row.where) for row in rows.values()] == [
        ("a", 1, f"{path}:2"),
        ("b", 2, f"{path}:4"),
    ]
    assert require(rows, "a", rows["b"], "list.txt") is rows["a"]
    with pytest.raises(ManifestError, match=r"list.txt:4: 'c' is not in list.txt"):
        require(rows, "c", rows["b"], "list.txt")
    path.write_text("\n")
    with pytest.raises(ManifestError, match=r"list.txt: no videos"):
        read_rows(path)
    path.write_bytes(b"\xff\n")
    with pytest.raises(ManifestError, match=r"list.txt: not UTF-8 text"):
        read_rows(path)


def test_a_video_on_both_sides_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = load_dataset("tad").test.entries
    monkeypatch.setitem(BUILDERS, "tad", lambda folder: OfficialSplit(entries, entries[:1]))
    with pytest.raises(ManifestError, match="is in both train and test"):
        write_official("tad", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
