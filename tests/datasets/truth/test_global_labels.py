"""Global arrays: equal to the published ones, and cut into videos only where everything agrees."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.datasets.dataset_info import NOT_KNOWN
from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.registry import DATASETS, find_manifest, load_dataset
from vad_toolkit.datasets.truth.global_labels import (
    GlobalLabels,
    global_labels,
    read_global_labels,
    read_order,
    split_labels,
    write_global_labels,
)
from vad_toolkit.errors import InputError, ManifestError

MakeEntry = Callable[..., Entry]

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "ground-truth.md"
ARRAYS = {
    "ucf_crime__deepmil": ("ucf-crime", "deepmil"),
    "ucf_crime__rtfm_first_upload": ("ucf-crime", "rtfm"),
    "xd_violence__xdviodet": ("xd-violence", "xdviodet"),
    "shanghaitech__rtfm": ("shanghaitech", "rtfm"),
    "shanghaitech__tevad": ("shanghaitech", "tevad"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_published_arrays_are_rebuilt_to_the_last_bit(
    reference: Path, tmp_path: Path, name: str
) -> None:
    dataset, rule = ARRAYS[name]
    array = global_labels(find_manifest(dataset), rule)
    with np.load(reference / "groundtruth" / f"{name}.npz") as arrays:
        assert np.array_equal(array.labels, arrays["gt"])
    with (reference / "groundtruth" / "index.tsv").open(encoding="utf-8", newline="") as file:
        (row,) = (r for r in csv.DictReader(file, delimiter="\t") if r["name"] == name)
    assert (str(array.labels.dtype), len(array.labels), array.abnormal) == (
        row["dtype"],
        int(row["length"]),
        int(row["sum"]),
    )
    written = write_global_labels(array, tmp_path / "gt.npy")
    assert written == row["sha256_of_original_npy"]


@pytest.mark.parametrize("name", DATASETS)
def test_arrays_that_datasets_state_are_those_of_their_rules(name: str) -> None:
    dataset = load_dataset(name)
    for stated in dataset.info.arrays.values():
        if stated.rule != NOT_KNOWN:
            array = global_labels(dataset.test, stated.rule)
            assert (len(array.labels), array.abnormal) == (stated.length, stated.abnormal)


@pytest.mark.parametrize(
    ("dataset", "rule", "length"),
    [
        ("ucf-crime", "frames", 1_111_808),
        ("ucf-crime", "vadclip", 1_109_824),
        ("xd-violence", "frames", 2_335_801),
        ("xd-violence", "rtfm", 2_343_184),
        ("xd-violence", "vadclip", 2_331_248),
        ("shanghaitech", "frames", 141_870),
        ("shanghaitech", "ceil.toml", 143_680),
    ],
)
def test_other_rules_give_the_lengths_of_the_docs(
    tmp_path: Path, dataset: str, rule: str, length: int
) -> None:
    (tmp_path / "ceil.toml").write_text('rounding = "ceil"\ntail = "repeat"\n')
    rule = str(tmp_path / rule) if rule.endswith(".toml") else rule
    assert len(global_labels(find_manifest(dataset), rule).labels) == length
    assert f"{length:,}" in DOCUMENT.read_text(encoding="utf-8")


def test_the_published_lists_are_orders(reference: Path, tmp_path: Path) -> None:
    manifest = find_manifest("xd-violence")
    # Five crops a video, under another machine's folder, as published lists of files are.
    lines = [
        f"/data/XD/rgb test/{entry.id}__{crop}.npy\n" for entry in manifest for crop in range(5)
    ]
    (tmp_path / "rgb-test.list").write_text("".join(lines), encoding="utf-8")
    order = read_order(tmp_path / "rgb-test.list", manifest)
    assert order.ids == tuple(entry.id for entry in manifest)
    with np.load(reference / "groundtruth" / "xd_violence__xdviodet.npz") as arrays:
        wanted = arrays["gt"]
    counts = {e.id: 16 * (((e.frames or 0) - 1) // 16) for e in manifest}
    parts = split_labels(wanted.astype(np.uint8), order.ids, counts, manifest)
    array = global_labels(manifest, "xdviodet")
    assert np.array_equal(np.concatenate([parts[id] for id in array.ids]), array.labels)


@pytest.fixture
def manifest(make_entry: MakeEntry) -> Manifest:
    """Four videos: 40 and 33 normal frames, 50 and 64 with an event."""
    return Manifest(
        (
            make_entry("normal/a", frames=40),
            make_entry("fight/c_x264", 1, frames=50, events=((20, 30),)),
            make_entry("normal/b", frames=33),
            make_entry("fire/a #1 = x", 1, frames=64, events=((0, 64),)),
        ),
        "small",
    )


COUNTS = {"normal/a": 48, "fight/c_x264": 64, "normal/b": 48, "fire/a #1 = x": 64}  # rtfm


def test_a_global_array_follows_the_manifest(manifest: Manifest) -> None:
    array = global_labels(manifest, "rtfm")
    assert array.ids == tuple(entry.id for entry in manifest)
    assert array.counts == COUNTS
    assert array.labels.dtype == np.float64
    assert np.flatnonzero(array.labels).tolist() == [*range(68, 79), *range(160, 224)]
    assert array.abnormal == 75


def test_a_video_without_its_facts_is_named(manifest: Manifest) -> None:
    with pytest.raises(ManifestError, match=r"'normal/a': rule deepmil needs container frames"):
        global_labels(manifest, "deepmil")
    with pytest.raises(InputError, match="unknown ground-truth rule 'mine'"):
        global_labels(manifest, "mine")


def test_array_and_list_are_written_and_read(manifest: Manifest, tmp_path: Path) -> None:
    array = global_labels(manifest, "rtfm")
    digest = write_global_labels(array, tmp_path / "gt.npy", tmp_path / "order.txt")
    assert digest == hashlib.sha256((tmp_path / "gt.npy").read_bytes()).hexdigest()
    assert (tmp_path / "order.txt").read_text().splitlines()[1] == "fight/c_x264\t64"
    labels = read_global_labels(tmp_path / "gt.npy")
    order = read_order(tmp_path / "order.txt", manifest)
    assert labels.dtype == np.uint8
    assert (order.ids, order.counts) == (array.ids, array.counts)
    parts = split_labels(labels, order.ids, order.counts, manifest)
    assert {id: int(part.sum()) for id, part in parts.items()} == {
        "normal/a": 0,
        "fight/c_x264": 11,
        "normal/b": 0,
        "fire/a #1 = x": 64,
    }


def test_files_are_not_overwritten(manifest: Manifest, tmp_path: Path) -> None:
    array = global_labels(manifest, "rtfm")
    (tmp_path / "order.txt").touch()
    with pytest.raises(InputError, match=r"order\.txt already exists"):
        write_global_labels(array, tmp_path / "gt.npy", tmp_path / "order.txt")
    assert not (tmp_path / "gt.npy").exists()
    write_global_labels(array, tmp_path / "gt.npy")
    with pytest.raises(InputError, match=r"gt\.npy already exists"):
        write_global_labels(array, tmp_path / "gt.npy", tmp_path / "new.txt")
    assert not (tmp_path / "new.txt").exists()


def test_published_names_are_matched(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "test.list"
    path.write_text(
        "G:\\feats\\a #1 = x_i3d.npy\n\n/x/normal/b.npy\nfight/c.mp4\nnormal/a__0.npy\n"
    )
    assert read_order(path, manifest).ids == (
        "fire/a #1 = x",
        "normal/b",
        "fight/c_x264",
        "normal/a",
    )


def test_a_name_that_ends_like_a_crop(make_entry: MakeEntry, tmp_path: Path) -> None:
    manifest = Manifest((make_entry("x__0"), make_entry("x__1")), "small")
    path = tmp_path / "test.list"
    path.write_text("x__1__0.npy\nx__1__1.npy\nx__0__0.npy\nx__0__1.npy\n")
    assert read_order(path, manifest).ids == ("x__1", "x__0")
    path.write_text("x__1\nx__0\n")
    assert read_order(path, manifest).ids == ("x__1", "x__0")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("normal/a\nnormal/z\n", r"list:2: 'normal/z' is not in the manifest"),
        ("normal/a\nnormal/b\nnormal/a.mp4\n", r"list:3: video 'normal/a' is already in line 1"),
        ("normal/a__3\nnormal/a__3.npy\n", r"list:2: video 'normal/a' is already in line 1"),
        ("normal/b\nnormal/a\n", r"list: video 'fight/c_x264' of the manifest .*, and 1 more$"),
        ("normal/a\tmany\n", r"list:1: label count must be an integer >= 1, got 'many'"),
        ("normal/a\t0\n", r"list:1: label count must be an integer >= 1, got '0'"),
        ("\n", r"video 'normal/a' of the manifest is missing, and 3 more"),
    ],
)
def test_wrong_lists_are_refused_by_line(
    manifest: Manifest, tmp_path: Path, text: str, match: str
) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(ManifestError, match=match):
        read_order(tmp_path / "list", manifest)


def test_a_name_of_two_videos_is_refused(make_entry: MakeEntry, tmp_path: Path) -> None:
    manifest = Manifest((make_entry("x/both"), make_entry("y/both")), "small")
    (tmp_path / "list").write_text("x/both\nboth.npy\n")
    with pytest.raises(ManifestError, match=r"list:2: 'both\.npy' could be any of"):
        read_order(tmp_path / "list", manifest)


def test_a_list_that_cannot_be_read_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none is not an order list"):
        read_order(tmp_path / "none", manifest)
    (tmp_path / "list").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="list is not an order list"):
        read_order(tmp_path / "list", manifest)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32", ">f8"])
def test_labels_of_any_numeric_dtype_are_read(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "gt.npy", np.array([0, 1, 1], dtype))
    assert read_global_labels(tmp_path / "gt.npy").tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (
            np.zeros((2, 3)),
            r"holds float64 of shape \(2, 3\); labels must be numbers of shape \(frames,\)",
        ),
        (np.zeros(0), r"is not an array of labels|shape \(0,\)"),
        (np.array(["0"]), r"holds <U1 of shape"),
        (np.array([0.0, 1.0, 0.5]), r"label 2 must be 0 \(normal\) or 1 \(abnormal\), got 0\.5"),
        (np.array([0.0, np.nan]), r"label 1 must be 0 .*, got nan"),
        (np.array([0, 255], np.uint8), r"label 1 must be 0 .*, got 255"),
        (np.array([0, [1]], object), r"pickled objects, .* convert it: python -c .*allow_pickle=T"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: NDArray[Any], match: str) -> None:
    np.save(tmp_path / "gt.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=match) as refused:
        read_global_labels(tmp_path / "gt.npy")
    assert "\n" not in str(refused.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "gt.npz", gt=np.zeros(3))
    with pytest.raises(InputError, match=r"gt\.npz is an archive of arrays"):
        read_global_labels(tmp_path / "gt.npz")
    (tmp_path / "half.npz").write_bytes((tmp_path / "gt.npz").read_bytes()[:60])
    with pytest.raises(InputError, match=r"half\.npz is not an array of labels: the magic string"):
        read_global_labels(tmp_path / "half.npz")
    (tmp_path / "gt.npy").write_text("0 0 1")
    with pytest.raises(InputError, match=r"gt\.npy is not an array of labels"):
        read_global_labels(tmp_path / "gt.npy")
    with pytest.raises(InputError, match="No such file"):
        read_global_labels(tmp_path / "none.npy")
    np.save(tmp_path / "cut.npy", np.zeros(100))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-8])
    with pytest.raises(InputError, match=r"cut\.npy is not an array of labels"):
        read_global_labels(tmp_path / "cut.npy")


def split(
    manifest: Manifest, array: GlobalLabels, counts: Mapping[str, int] = COUNTS
) -> dict[str, NDArray[np.uint8]]:
    ids = tuple(entry.id for entry in manifest)
    return split_labels(array.labels.astype(np.uint8), ids, counts, manifest)


def test_the_first_video_of_another_length_is_named(manifest: Manifest) -> None:
    array = global_labels(manifest, "vadclip")
    with pytest.raises(
        ManifestError,
        match=r"the array has 176 labels, but the videos need 224: rule vadclip gives the array's "
        r"length, but it gives 32 labels to video 'normal/a', which needs 48, and 2 more differ",
    ):
        split(manifest, array)
    array = global_labels(manifest, "rtfm")
    with pytest.raises(
        ManifestError, match=r"rule rtfm .* 64 labels to video 'fight/c_x264', which needs 48"
    ):
        split(manifest, array, COUNTS | {"fight/c_x264": 48})


def cut(array: GlobalLabels, start: int, stop: int | None = None) -> GlobalLabels:
    return GlobalLabels(array.ids, array.counts, array.labels[start:stop])


@pytest.mark.parametrize(
    ("start", "stop", "counts", "match"),
    [
        (0, 200, {}, r"'fire/a #1 = x': the array ends after 40 of its 64 labels"),
        (0, 200, {"normal/b": 80}, r"'normal/b': it needs 80 labels, which no rule gives it"),
        (30, None, {}, r"'normal/a': normal in the manifest, but 10 of its labels are 1"),
        (
            15,
            None,
            {},
            r"'fight/c_x264': abnormal in the manifest, but no label is 1 within its events",
        ),
    ],
)
def test_without_a_rule_the_first_video_that_is_off_is_named(
    manifest: Manifest, start: int, stop: int | None, counts: dict[str, int], match: str
) -> None:
    array = cut(global_labels(manifest, "rtfm"), start, stop)
    with pytest.raises(ManifestError, match=r"the array has \d+ labels, .*" + match):
        split(manifest, array, COUNTS | counts)


def test_labels_left_over_are_told(manifest: Manifest) -> None:
    array = global_labels(manifest, "rtfm")
    longer = GlobalLabels(array.ids, array.counts, np.append(array.labels, [0.0]))
    with pytest.raises(
        ManifestError, match=r"225 labels, .*labels are left after the last video, 'fire/a #1 = x'"
    ):
        split(manifest, longer)


def test_an_order_with_the_right_sum_is_not_enough(manifest: Manifest) -> None:
    array = global_labels(manifest, "rtfm")
    labels = array.labels.astype(np.uint8)
    swapped = ("fire/a #1 = x", "normal/a", "normal/b", "fight/c_x264")
    with pytest.raises(
        ManifestError, match=r"'fire/a #1 = x': .* no label is 1|'normal/a': normal in the"
    ):
        split_labels(labels, swapped, COUNTS, manifest)
    normal_first = ("normal/b", "fight/c_x264", "normal/a", "fire/a #1 = x")  # equal lengths
    assert split_labels(labels, normal_first, COUNTS, manifest)
    with pytest.raises(ManifestError, match=r"'normal/a': normal in the manifest, but 11 of its"):
        split_labels(
            labels, ("normal/b", "normal/a", "fight/c_x264", "fire/a #1 = x"), COUNTS, manifest
        )


def test_events_that_are_not_known_contradict_nothing(make_entry: MakeEntry) -> None:
    manifest = Manifest((make_entry("a", 1),), "small")
    labels = np.zeros(16, np.uint8)
    assert split_labels(labels, ("a",), {"a": 16}, manifest)["a"].tolist() == [0] * 16
    with pytest.raises(ManifestError, match="has 16 labels, but the videos need 17"):
        split_labels(labels, ("a",), {"a": 17}, manifest)
