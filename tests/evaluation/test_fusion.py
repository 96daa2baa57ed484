"""A fusion is an evaluation of the weighted mean of scores, and of nothing that does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vad_toolkit.core.files import sha256_file
from vad_toolkit.datasets.manifest import read_manifest
from vad_toolkit.datasets.truth.rules import frame_labels
from vad_toolkit.errors import InputError, ManifestError, PackError
from vad_toolkit.evaluation.evaluate import evaluate
from vad_toolkit.evaluation.fusion import check_same_truth, normalise_weights
from vad_toolkit.evaluation.ground_truth import load_ground_truth
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.recipe import Recipe

FRAMES = {"normal/a": 100, "normal/b": 40, "fight/a": 90, "fire/a": 64}
STEP_8 = Recipe(crops="center", step=8)


@pytest.fixture
def other_run(tmp_path: Path, make_run: Callable[..., Path]) -> Path:
    """Trained on features of another recipe: a snippet every eight frames."""
    return make_run(tmp_path / "other", seed=5, recipe=STEP_8)


@pytest.fixture
def other_pack(make_pack: Callable[..., Path]) -> Path:
    """The same videos by that recipe."""
    sizes = {id: (frames, STEP_8.snippet_count(frames)) for id, frames in FRAMES.items()}
    return make_pack("other.h5", STEP_8, sizes)


def test_scores_are_the_weighted_mean_a_frame(
    run: Path, pack: Path, other_run: Path, other_pack: Path, manifest: Path, tmp_path: Path
) -> None:
    first = evaluate(run, pack, manifest, plots=False, resamples=0)
    second = evaluate(other_run, other_pack, manifest, plots=False, resamples=0)
    summary = evaluate(
        [run, other_run], [pack, other_pack], manifest, fuse=[3, 1], out=tmp_path / "out"
    )
    fused = summary.results[0]
    assert fused.out == summary.out == tmp_path / "out"
    joined = []
    for entry in read_manifest(manifest):
        a, b, mean = (np.load(r.out / "scores" / f"{entry.id}.npy") for r in (first, second, fused))
        np.testing.assert_allclose(mean, 0.75 * a + 0.25 * b, rtol=1e-6)
        assert mean.dtype == np.float32
        joined.append(mean)
    truth = np.concatenate([frame_labels(e, FRAMES[e.id]) for e in read_manifest(manifest)])
    assert fused.metrics.auc == pytest.approx(roc_auc_score(truth, np.concatenate(joined)))
    assert {path.name for path in fused.out.iterdir()} >= {"metrics.json", "plots", "roc.png"}


def test_all_of_the_weight_on_one_is_that_one(
    run: Path, pack: Path, other_run: Path, other_pack: Path, manifest: Path, tmp_path: Path
) -> None:
    alone = evaluate(run, pack, manifest, plots=False, resamples=0)
    fused = evaluate(
        [run, other_run],
        [pack, other_pack],
        manifest,
        fuse=[2, 0],
        out=tmp_path / "out",
        plots=False,
        resamples=0,
    ).results[0]
    assert fused.metrics == alone.metrics
    for id in FRAMES:
        name = f"scores/{id}.npy"
        assert (fused.out / name).read_bytes() == (alone.out / name).read_bytes()


def test_everything_that_decides_the_numbers_is_written(
    run: Path, pack: Path, other_run: Path, other_pack: Path, manifest: Path, tmp_path: Path
) -> None:
    packs = [pack, other_pack]
    evaluate(
        [run, other_run],
        packs,
        manifest,
        fuse=[1, 3],
        out=tmp_path / "out",
        plots=False,
        resamples=0,
    )
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert "checkpoint" not in written
    members = written["fusion"]
    assert [member["weight"] for member in members] == [0.25, 0.75]
    for member, folder, path in zip(members, (run, other_run), (pack, other_pack), strict=True):
        assert member["checkpoint"]["sha256"] == sha256_file(folder / "best.safetensors")
        with FeaturePack.open(path) as opened:
            assert member["inputs"]["pack_sha256"] == opened.content_sha256
            assert member["inputs"]["recipe_sha256"] == opened.recipe_sha256
        assert member["inputs"]["manifest_sha256"] == read_manifest(manifest).sha256
    assert [member["inputs"]["step_frames"] for member in members] == [16, 8]
    assert written["videos"][0]["snippets"] is None  # 7 and 13


def test_seeds_are_fused_in_pairs(
    tmp_path: Path, pack: Path, manifest: Path, make_run: Callable[..., Path]
) -> None:
    for number, name in enumerate(("a", "b")):
        for seed in (0, 1):
            make_run(tmp_path / name / f"seed-{seed}", 10 * number + seed)
    runs, out = [tmp_path / "a", tmp_path / "b"], tmp_path / "out"
    summary = evaluate(runs, [pack], manifest, fuse=[1, 1], out=out, plots=False, resamples=0)
    files = [[member.checkpoint.file for member in result.members] for result in summary.results]
    assert files == [
        [str(run / f"seed-{seed}" / "best.safetensors") for run in runs] for seed in (0, 1)
    ]
    rows = json.loads((out / "summary.json").read_text())["runs"]
    assert [[one["weight"] for one in row["fusion"]] for row in rows] == [[0.5, 0.5]] * 2
    assert summary.spread["auc"].std is not None
    assert (out / "seed-1" / "metrics.json").is_file()


@pytest.mark.parametrize(
    ("others", "message"),
    [([0, 2], "only one has seed-[12]"), ([], "one has no seeds")],
)
def test_seeds_that_do_not_pair_are_refused(
    tmp_path: Path,
    pack: Path,
    manifest: Path,
    make_run: Callable[..., Path],
    others: list[int],
    message: str,
) -> None:
    for seed in (0, 1):
        make_run(tmp_path / "a" / f"seed-{seed}", seed)
    for seed in others:
        make_run(tmp_path / "b" / f"seed-{seed}", seed)
    if not others:
        make_run(tmp_path / "b")
    runs = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(InputError, match=f"do not have the same seeds .{message}"):
        evaluate(runs, [pack], manifest, fuse=[1, 1], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"one weight per run, such as 0.5,0.5; got weights 1 for 2 runs"),
        ([1.0, 1.0, 1.0], r"weights 1,1,1 for 2 runs"),
        ([0.0, 0.0], r"weights must be >= 0 and at least one > 0, got 0,0"),
        ([1.5, -0.5], r"must be >= 0 .*, got 1.5,-0.5"),
        ([1.0, float("nan")], r"must be >= 0 .*, got 1,nan"),
        ([1.0, float("inf")], r"must be >= 0 .*, got 1,inf"),
    ],
)
def test_weights_that_are_none_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        normalise_weights(weights, 2)


def test_weights_sum_to_one() -> None:
    assert normalise_weights([1, 1], 2) == normalise_weights([0.5, 0.5], 2) == (0.5, 0.5)
    with pytest.raises(
        InputError, match=r"a fusion needs two or more runs .*; got weights 1 for 1 run$"
    ):
        normalise_weights([1], 1)


def test_what_does_not_fit_leaves_nothing(
    run: Path,
    pack: Path,
    other_run: Path,
    make_pack: Callable[..., Path],
    manifest: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="expected 1 or 2 packs for 2 runs, got 3"):
        evaluate([run, run], [pack] * 3, manifest, fuse=[1, 1], out=out)
    with pytest.raises(PackError, match="another recipe"):
        evaluate([run, other_run], [pack], manifest, fuse=[1, 1], out=out)
    longer = {**FRAMES, "fire/a": 72}
    sizes = {id: (frames, STEP_8.snippet_count(frames)) for id, frames in longer.items()}
    with pytest.raises(ManifestError, match=r"64 frames of video 'fire/a', and .* 72; .*--rule"):
        evaluate(
            [run, other_run],
            [pack, make_pack("l.h5", STEP_8, sizes)],
            manifest,
            fuse=[1, 1],
            out=out,
        )
    missing = {id: size for id, size in sizes.items() if id != "fight/a"}
    with pytest.raises(ManifestError, match=r"does not fit .*'fight/a'"):
        evaluate(
            [run, other_run],
            [pack, make_pack("m.h5", STEP_8, missing)],
            manifest,
            fuse=[1, 1],
            out=out,
        )
    assert not out.exists()


def test_a_folder_with_files_is_refused(run: Path, pack: Path, manifest: Path) -> None:
    with pytest.raises(InputError, match="already exists"):
        evaluate([run, run], [pack], manifest, fuse=[1, 1], out=run)


def test_other_labels_are_refused(pack: Path, manifest: Path) -> None:
    with FeaturePack.open(pack) as opened:
        truth = load_ground_truth(read_manifest(manifest), opened)
    labels = {**truth.labels, "fire/a": np.zeros_like(truth.labels["fire/a"])}
    with pytest.raises(ManifestError, match=r"'fire/a' differ between a and b; .*--rule"):
        check_same_truth(["a", "b"], [truth, replace(truth, labels=labels)])
    check_same_truth(["a", "b"], [truth, replace(truth)])
