"""Labels fit the scores they are compared with, or the first video that is off is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vad_toolkit.core.crops import CENTER
from vad_toolkit.datasets.manifest import Entry, Manifest, write_manifest
from vad_toolkit.datasets.truth.global_labels import global_labels, write_global_labels
from vad_toolkit.datasets.truth.rules import frame_labels
from vad_toolkit.errors import InputError, ManifestError, PackError
from vad_toolkit.evaluation.evaluate import evaluate
from vad_toolkit.evaluation.ground_truth import (
    GroundTruth,
    TruthSource,
    check_label_counts,
    load_ground_truth,
)
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.recipes.recipe import Recipe

MakePack = Callable[..., Path]
FRAMES = {"normal/a": 100, "normal/b": 40, "fight/a": 90, "both/a": 64}
MANIFEST = Manifest(
    (
        Entry(id="normal/a", path="a.mp4", label=0, frames=100, container_frames=101),
        Entry(
            id="fight/a", path="b.mp4", label=1, classes=("fight",), frames=90, events=((9, 40),)
        ),
        Entry(
            id="both/a",
            path="c.mp4",
            label=1,
            classes=("fight", "fire"),
            frames=64,
            events=((10, 30), (50, 80)),
            class_events={"fight": ((10, 20),), "fire": ((15, 30), (50, 80))},
        ),
        Entry(id="normal/b", path="d.mp4", label=0, frames=40),
    ),
    "small",
)
RTFM = {"normal/a": 112, "fight/a": 96, "both/a": 64, "normal/b": 48}


def published(rule: str = "rtfm", spans: str = "step", **fields: Any) -> ImportedRecipe:
    known = {"layout": "rtfm", "crop_order": CENTER, "rule": rule, "spans": spans}
    return ImportedRecipe.model_validate(known | fields)


def sizes(labels: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Frames and snippets by id."""
    return {id: (FRAMES[id], count // 16) for id, count in labels.items()}


def load(
    path: Path, source: TruthSource | None = None, manifest: Manifest = MANIFEST
) -> GroundTruth:
    with FeaturePack.open(path) as pack:
        return load_ground_truth(manifest, pack, source)


def lengths(truth: GroundTruth) -> dict[str, int]:
    return {id: len(labels) for id, labels in truth.labels.items()}


@pytest.fixture
def rtfm_pack(make_pack: MakePack) -> Path:
    """Imported features of 16 * ceil(frames / 16) labels."""
    return make_pack("rtfm.h5", published(), sizes(RTFM))


@pytest.fixture
def own_pack(make_pack: MakePack, recipe: Recipe) -> Path:
    """Features that were extracted here."""
    return make_pack("own.h5", recipe, sizes(RTFM))


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., TruthSource]:
    """A function that writes the global array of a rule and its list."""

    def write(rule: str = "rtfm", manifest: Manifest = MANIFEST) -> TruthSource:
        source = TruthSource(gt=tmp_path / "gt.npy", order=tmp_path / "order.txt")
        assert source.gt
        write_global_labels(global_labels(manifest, rule), source.gt, source.order)
        return source

    return write


def test_extracted_features_are_labelled_by_events_over_their_frames(own_pack: Path) -> None:
    truth = load(own_pack)
    assert truth.source == {"kind": "events"}
    assert lengths(truth) == {entry.id: FRAMES[entry.id] for entry in MANIFEST}
    assert np.array_equal(truth.labels["both/a"], frame_labels(MANIFEST.by_id["both/a"], 64))


def test_imported_features_are_labelled_by_their_own_rule(rtfm_pack: Path) -> None:
    truth = load(rtfm_pack)
    assert lengths(truth) == RTFM
    assert np.array_equal(
        np.concatenate(list(truth.labels.values())), global_labels(MANIFEST, "rtfm").labels
    )
    assert truth.source["kind"] == "rule"
    assert truth.source["rule"] == "rtfm"
    assert truth.source["fields"]["end"] == "inclusive"
    json.dumps(truth.source)


def test_class_labels_are_of_the_events_of_each_class(rtfm_pack: Path, own_pack: Path) -> None:
    by_rule = load(rtfm_pack).class_labels["both/a"]
    assert np.flatnonzero(by_rule["fight"]).tolist() == list(range(10, 21))  # end included
    assert np.flatnonzero(by_rule["fire"]).tolist() == [*range(15, 31), *range(50, 64)]
    of_events = load(own_pack).class_labels
    assert np.flatnonzero(of_events["both/a"]["fight"]).tolist() == list(range(10, 20))
    assert of_events["fight/a"] == of_events["normal/a"] == {}


def test_snippets_that_the_rule_does_not_give_are_refused_by_name(make_pack: MakePack) -> None:
    wrong = RTFM | {"fight/a": 80, "normal/b": 32}
    pack = make_pack("wrong.h5", published(), sizes(wrong))
    with pytest.raises(
        ManifestError,
        match=r"video 'fight/a' has 96 labels by rule rtfm, but its 5 snippets of 16 frames in "
        r".*wrong\.h5 need 80 \(and 1 more videos differ\); choose the rule .*--rule.*label_count",
    ):
        load(pack)
    counts = {"fight/a": 80, "normal/b": 32}
    stated = Manifest(
        tuple(
            entry.model_copy(update={"label_counts": {"rtfm": counts[entry.id]}})
            if entry.id in counts
            else entry
            for entry in MANIFEST
        ),
        "small",
    )
    assert lengths(load(pack, manifest=stated)) == wrong


def test_another_rule_can_be_chosen(make_pack: MakePack, tmp_path: Path) -> None:
    floor = {"normal/a": 96, "fight/a": 80, "both/a": 64, "normal/b": 32}
    pack = make_pack("floor.h5", published(), sizes(floor))
    assert lengths(load(pack, TruthSource("vadclip"))) == floor
    (tmp_path / "mine.toml").write_text('rounding = "floor"\n')
    truth = load(pack, TruthSource(str(tmp_path / "mine.toml")))
    assert (lengths(truth), truth.source["rule"]) == (floor, "mine")
    with pytest.raises(InputError, match="unknown ground-truth rule 'mine'"):
        load(make_pack("mine.h5", published("mine"), sizes(floor)))
    with pytest.raises(ManifestError, match="'normal/a' has 100 labels by rule frames"):
        load(pack, TruthSource("frames"))


def test_features_of_equal_parts_take_any_number_of_labels(make_pack: MakePack) -> None:
    pack = make_pack(
        "c3d.h5", published("frames", "segments"), {id: (n, 32) for id, n in FRAMES.items()}
    )
    assert lengths(load(pack)) == {entry.id: FRAMES[entry.id] for entry in MANIFEST}
    assert lengths(load(pack, TruthSource("rtfm"))) == RTFM


def test_extracted_features_may_be_a_snippet_off(own_pack: Path, make_pack: MakePack) -> None:
    assert lengths(load(own_pack, TruthSource("tevad")))["both/a"] == 80  # the last score goes on
    assert lengths(load(own_pack, TruthSource("vadclip")))["normal/a"] == 96  # scores are cut
    pack = make_pack("one.h5", Recipe(crops="center"), {"normal/a": (100, 7)})
    entry = Entry(id="normal/a", path="a", label=0, label_counts={"rtfm": 112 + 17})
    with FeaturePack.open(pack) as opened, pytest.raises(ManifestError, match="has 129 labels"):
        check_label_counts(Manifest((entry,), "small"), opened, "rtfm")


def test_a_global_array_gives_each_video_its_labels(
    rtfm_pack: Path, own_pack: Path, export: Callable[..., TruthSource], tmp_path: Path
) -> None:
    source = export()
    for pack in (rtfm_pack, own_pack):
        truth = load(pack, source)
        assert lengths(truth) == RTFM
        assert np.flatnonzero(truth.labels["fight/a"]).tolist() == list(range(9, 41))
        assert set(truth.source) == {"kind", "sha256", "order_sha256"}
    # Ends of classes are the manifest's, so of an array that includes them one frame has none.
    assert truth.class_labels["both/a"]["fight"].sum() == 10
    bare = tmp_path / "published.list"
    bare.write_text("".join(f"/data/{id.partition('/')[0]}/x_{i}\n" for i, id in enumerate(RTFM)))
    with pytest.raises(ManifestError, match=r"published\.list:1: '/data/normal/x_0' is not in"):
        load(rtfm_pack, TruthSource(gt=source.gt, order=bare))
    bare.write_text("".join(f"/data/{id}__{crop}.npy\n" for id in RTFM for crop in range(10)))
    assert lengths(load(rtfm_pack, TruthSource(gt=source.gt, order=bare))) == RTFM


def test_an_array_that_does_not_fit_is_refused_by_name(
    rtfm_pack: Path,
    own_pack: Path,
    make_pack: MakePack,
    export: Callable[..., TruthSource],
    tmp_path: Path,
) -> None:
    source = export("vadclip")
    assert lengths(load(own_pack, source))["normal/a"] == 96  # within a snippet of 112
    with pytest.raises(ManifestError, match=r"order\.txt: video 'normal/a' has 96 labels, .* need"):
        load(rtfm_pack, source)
    order = tmp_path / "bare.txt"
    order.write_text("".join(f"{entry.id}\n" for entry in MANIFEST))
    with pytest.raises(ManifestError, match=r"272 labels, .* 320: .*96 labels to video 'normal/a'"):
        load(rtfm_pack, TruthSource(gt=source.gt, order=order))
    parts = make_pack(
        "c3d.h5", published(spans="segments"), {id: (n, 32) for id, n in FRAMES.items()}
    )
    assert lengths(load(parts, source))["normal/a"] == 96
    with pytest.raises(InputError, match=r"bare\.txt has no label count for video 'normal/a'"):
        load(parts, TruthSource(gt=source.gt, order=order))


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    for wrong in ({"gt": tmp_path}, {"order": tmp_path}):
        with pytest.raises(InputError, match="--gt requires --order and vice versa"):
            TruthSource(**wrong)
    with pytest.raises(InputError, match="--rule and --gt exclude each other"):
        TruthSource("rtfm", tmp_path, tmp_path)


def test_an_evaluation_is_over_the_frames_of_the_published_array(
    tmp_path: Path,
    rtfm_pack: Path,
    make_run: Callable[..., Path],
    export: Callable[..., TruthSource],
) -> None:
    run = make_run(tmp_path / "run", recipe=published())
    write_manifest(tmp_path / "small" / "test.jsonl", MANIFEST.entries)
    inputs = (run, rtfm_pack, tmp_path / "small" / "test.jsonl")
    by_rule = evaluate(*inputs, plots=False, resamples=20)
    assert by_rule.metrics.counts.frames == sum(RTFM.values())
    written = json.loads((by_rule.out / "metrics.json").read_text())
    assert written["inputs"]["ground_truth"]["rule"] == "rtfm"
    assert written["metrics"]["bootstrap"]["resamples"] == 20
    assert {row["id"]: row["frames"] for row in written["videos"]} == RTFM
    assert len(np.load(by_rule.out / "scores" / "normal" / "b.npy")) == 48
    # Left out of a class: what is abnormal by the other one alone.
    assert by_rule.metrics.classes["fire"].frames == 64 - 5
    source = export()
    of_array = evaluate(*inputs, plots=False, gt=source.gt, order=source.order, resamples=0)
    assert of_array.metrics.auc == by_rule.metrics.auc
    assert of_array.metrics.ap_abnormal == by_rule.metrics.ap_abnormal
    assert of_array.metrics.bootstrap is None


def test_an_array_needs_no_events(
    tmp_path: Path,
    rtfm_pack: Path,
    make_run: Callable[..., Path],
    export: Callable[..., TruthSource],
) -> None:
    run = make_run(tmp_path / "run", recipe=published())
    bare = [Entry(id=e.id, path=e.path, label=e.label) for e in MANIFEST]
    write_manifest(tmp_path / "small" / "test.jsonl", bare)
    inputs = (run, rtfm_pack, tmp_path / "small" / "test.jsonl")
    source = export()
    result = evaluate(*inputs, plots=False, gt=source.gt, order=source.order, resamples=0)
    assert result.metrics.counts.abnormal_frames == 32 + 21 + 14
    with pytest.raises(ManifestError, match="'fight/a': abnormal, and its events are not known"):
        evaluate(*inputs, plots=False, resamples=0)


def test_imported_and_extracted_features_do_not_mix(
    tmp_path: Path, rtfm_pack: Path, run: Path, manifest: Path
) -> None:
    with pytest.raises(PackError, match=r"another recipe .*one has imported features, the other"):
        evaluate(run, rtfm_pack, manifest)
    assert not list(tmp_path.glob("run/eval*"))
