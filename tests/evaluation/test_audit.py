"""Controls and confounds of whole datasets."""

from __future__ import annotations

import pytest

from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.evaluation.audit import audit_manifest

# AUC, AP and AUC on abnormal videos, computed from the official manifests with scikit-learn alone.
KNOWN = {
    "ucf-crime": {
        "labels": (0.816, 0.182, 0.5),
        "labels x middle": (0.865, 0.240, 0.634),
        "middle": (0.619, 0.100, 0.634),
        "length": (0.651, 0.103, 0.572),
    },
    "shanghaitech": {
        "labels": (0.9645, 0.456, 0.5),
        "labels x middle": (0.984, 0.714, 0.776),
        "middle": (0.659, 0.089, 0.776),
        "length": (0.921, 0.362, 0.615),
    },
    "tad": {
        "labels": (0.927, 0.497, 0.5),
        "labels x middle": (0.940, 0.5475, 0.587),
        "middle": (0.550, 0.139, 0.587),
        "length": (0.881, 0.371, 0.508),
    },
}


@pytest.mark.parametrize("dataset", KNOWN)
def test_known_values(dataset: str) -> None:
    values = audit_manifest(dataset).controls.values
    for control, wanted in KNOWN[dataset].items():
        found = [values[control][name] for name in ("auc", "ap", "auc_abnormal")]
        assert found == pytest.approx(wanted, abs=6e-4), control


def test_confounds_of_shanghaitech() -> None:
    audit = audit_manifest("shanghaitech")
    text = "\n".join(audit.confounds)
    assert "training for all 155 normal test videos, testing for all 44 abnormal ones" in text
    assert "training for all 175 normal training videos, testing for all 63 abnormal ones" in text
    assert "abnormal videos are shorter: length alone has an AUC of 0.905 over the 199 test" in text
    assert "nearness to it has an AUC of 0.776" in text
    assert audit.controls.length_from_test


def test_folders_of_classes_are_no_confound() -> None:
    assert not any("folder" in line for line in audit_manifest("cctv-fights").confounds)


def entry(id: str, label: int, frames: int | None = 50, source: str | None = None) -> Entry:
    events = ((10, 20),) if label else None
    return Entry(
        id=id, path=f"videos/{id}.mp4", label=label, frames=frames, events=events, source=source
    )


def test_a_manifest_and_its_training_side() -> None:
    test = Manifest((entry("a", 0, source="x"), entry("b", 1, source="y")), "own")
    train = Manifest((entry("c", 0, 90, source="x"), entry("d", 1, 30)), "own")
    audit = audit_manifest(test, train=train)
    assert (audit.counts.videos, audit.counts.frames, audit.counts.abnormal_frames) == (2, 100, 10)
    assert not audit.controls.length_from_test
    assert "sources with videos on both sides: 1, such as x" in audit.confounds
    assert audit.to_dict()["controls"]["length"]["shorter"] is True


def test_what_is_needed() -> None:
    with pytest.raises(ManifestError, match=r"video 'a'.*frames is not known"):
        audit_manifest(Manifest((entry("a", 0, None), entry("b", 1)), "own"))
    with pytest.raises(InputError, match="no manifest 'nothing'"):
        audit_manifest("nothing")
