"""The published test sets, as small files under their published names: in, and out again as lists
and labels that equal the published arrays.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.datasets.truth.rules import label_count, load_rule
from vad_toolkit.interchange.exporting import export_features
from vad_toolkit.interchange.importing import import_features
from vad_toolkit.packs.pack import FeaturePack


@pytest.mark.parametrize(
    ("dataset", "layout", "rule", "crops", "lines"),
    [
        pytest.param("ucf-crime", "per-crop", "deepmil", 10, 2900, marks=pytest.mark.slow),
        ("ucf-crime", "rtfm", "rtfm", 10, 290),
        pytest.param("xd-violence", "per-crop", "xdviodet", 5, 4000, marks=pytest.mark.slow),
        ("shanghaitech", "rtfm", "rtfm", 10, 199),
        ("shanghaitech", "rtfm", "tevad", 10, 199),
    ],
)
def test_published_arrays(
    dataset: str, layout: str, rule: str, crops: int, lines: int, reference: Path, tmp_path: Path
) -> None:
    manifest = find_manifest(dataset, "test")
    name, fields = load_rule(rule, manifest.rules)
    root = tmp_path / "files"
    root.mkdir()
    for entry in manifest:
        tail = entry.id.rpartition("/")[2]
        snippets = label_count(entry, name, fields) // 16
        if layout == "rtfm":
            np.save(root / f"{tail}_i3d.npy", np.ones((snippets, crops, 1), np.float32))
            continue
        for crop in range(crops):
            np.save(root / f"{tail}__{crop}.npy", np.ones((snippets, 1), np.float32))
    report = import_features(root, tmp_path / "p.h5", layout=layout, manifest=manifest, rule=rule)
    assert report.lines() == []
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        exported = export_features(
            pack, tmp_path / "out", layout=layout, manifest={"test": manifest}
        )
    assert (exported.problems, exported.notes) == ([], [])
    assert exported.lists["test-rgb.list"][0] == lines
    published = {"rtfm": "rtfm_first_upload"} if dataset == "ucf-crime" else {}
    file = f"{dataset.replace('-', '_')}__{published.get(rule, rule)}.npz"
    with np.load(reference / "groundtruth" / file) as arrays:
        np.testing.assert_array_equal(np.load(tmp_path / "out/gt-test.npy"), arrays["gt"])


def test_the_order_of_rtfms_own_list(reference: Path, tmp_path: Path) -> None:
    """Its list of another machine picks the files, and the exported list has its order."""
    published = reference / "annotations/shanghaitech/rtfm_shanghai-i3d-test-10crop.list"
    names = [line.rpartition("/")[2] for line in published.read_text().split()]
    root = tmp_path / "files"
    root.mkdir()
    for name in (*names, "extra_i3d.npy"):
        np.save(root / name, np.ones((3, 10, 1), np.float32))
    manifest = find_manifest("shanghaitech", "test")
    report = import_features(
        root, tmp_path / "p.h5", layout="rtfm", manifest=manifest, list_file=published
    )
    assert (report.videos, report.extra, report.absent) == (199, [], [])
    assert len(report.misfits) > 150
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        export_features(
            pack, tmp_path / "out", layout="rtfm", manifest={"test": manifest}, path_prefix="/x"
        )
    lines = (tmp_path / "out/test-rgb.list").read_text().splitlines()
    assert [line.rpartition("/")[2] for line in lines] == names
