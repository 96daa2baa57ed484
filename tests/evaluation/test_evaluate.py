"""An evaluation gives the numbers of its own scores, writes them all, and refuses what is wrong."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from vad_toolkit.core.files import sha256_file
from vad_toolkit.core.progress import ProgressEvent
from vad_toolkit.datasets import registry
from vad_toolkit.datasets.length_rule import LengthRule
from vad_toolkit.datasets.manifest import Entry, Manifest, read_manifest, write_manifest
from vad_toolkit.datasets.truth.rules import frame_labels
from vad_toolkit.errors import InputError, ManifestError, PackCorrupt, PackError, VadError
from vad_toolkit.evaluation import score
from vad_toolkit.evaluation.evaluate import evaluate
from vad_toolkit.evaluation.registry import METRICS
from vad_toolkit.experiments.inspection.figures import FigureRequest
from vad_toolkit.models.base import Output
from vad_toolkit.models.sultani import Sultani
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import raw_bytes
from vad_toolkit.recipes.recipe import Recipe

FRAMES = {"normal/a": 100, "normal/b": 40, "fight/a": 90, "fire/a": 64}


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_metrics_are_those_of_the_scores_on_disk(run: Path, pack: Path, manifest: Path) -> None:
    result = evaluate(run, pack, manifest)
    assert result.out == run / "eval-001"
    entries = read_manifest(manifest)
    scores = {id: np.load(result.out / "scores" / f"{id}.npy") for id in FRAMES}
    assert {id: (array.shape, array.dtype) for id, array in scores.items()} == {
        id: ((frames,), np.dtype(np.float32)) for id, frames in FRAMES.items()
    }
    for array in scores.values():  # one score a snippet
        assert all(len(set(array[i : i + 16])) == 1 for i in range(0, len(array), 16))
    truth = np.concatenate([frame_labels(entry, FRAMES[entry.id]) for entry in entries])
    joined = np.concatenate([scores[entry.id] for entry in entries])
    assert truth.sum() == 32 + 14  # the second event is cut at the video's end
    assert result.metrics.auc == pytest.approx(roc_auc_score(truth, joined), abs=1e-12)
    assert result.metrics.ap == pytest.approx(average_precision_score(truth, joined), abs=1e-12)
    assert result.metrics.counts.abnormal_frames == 46


def test_everything_that_decides_the_numbers_is_written(
    run: Path, pack: Path, manifest: Path
) -> None:
    result = evaluate(run, pack, manifest)
    written = json.loads((result.out / "metrics.json").read_text())
    assert written["format"] == "vad-evaluation"
    assert written["metrics"]["auc"] == result.metrics.auc
    assert written["definitions"]["auc"].startswith("area under the ROC curve")
    assert written["checkpoint"]["sha256"] == sha256_file(run / "best.safetensors")
    assert (written["checkpoint"]["step"], written["checkpoint"]["seed"]) == (10, 0)
    assert written["checkpoint"]["method"] == "sultani"
    with FeaturePack.open(pack) as opened:
        assert written["inputs"]["pack_sha256"] == opened.content_sha256
        assert written["inputs"]["recipe_sha256"] == opened.recipe_sha256
    assert written["inputs"]["manifest_sha256"] == read_manifest(manifest).sha256
    assert written["inputs"]["trained_on_manifest"] is False
    assert written["inputs"]["dataset"] == "small"
    assert written["inputs"]["step_frames"] == 16
    assert written["metrics"]["counts"]["frames"] == sum(FRAMES.values())
    assert {"vad-toolkit", "torch", "numpy"} <= set(written["inputs"]["versions"])
    fight = written["videos"][2]
    assert (fight["id"], fight["frames"], fight["abnormal_frames"]) == ("fight/a", 90, 32)
    assert (fight["snippets"], fight["fps"], fight["classes"]) == (6, 25.0, ["fight"])
    assert written["videos"][0]["auc"] is None
    assert written["videos"][3]["fps"] is None
    assert files(result.out) == sorted(
        ["metrics.json", "roc.png", "pr.png", "histogram.png", "histogram.json"]
        + [f"scores/{id}.npy" for id in FRAMES]
        + [f"plots/{id}.png" for id in FRAMES]
    )


def test_equal_evaluations_are_equal_files(run: Path, pack: Path, manifest: Path) -> None:
    first, second = (evaluate(run, pack, manifest, plots=False, resamples=0).out for _ in range(2))
    assert (first.name, second.name) == ("eval-001", "eval-002")
    assert files(first) == files(second)
    for name in files(first):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert "roc.png" not in files(first)


def test_best_last_and_a_file(run: Path, pack: Path, manifest: Path, tmp_path: Path) -> None:
    best = evaluate(run, pack, manifest, plots=False, resamples=0)
    last = evaluate(run, pack, manifest, which="last", plots=False, resamples=0)
    file = evaluate(
        run / "last.safetensors", pack, manifest, out=tmp_path / "out", plots=False, resamples=0
    )
    steps = [result.results[0].checkpoint.step for result in (best, last, file)]
    assert steps == [10, 20, 20]
    assert last.metrics == file.metrics != best.metrics
    assert file.out == tmp_path / "out"


def test_a_last_step_that_is_missing_is_not_replaced_by_the_best(
    run: Path, pack: Path, manifest: Path
) -> None:
    (run / "last.safetensors").unlink()
    with pytest.raises(InputError, match=r"no checkpoint or run at .*last\.safetensors"):
        evaluate(run, pack, manifest, which="last")
    with pytest.raises(InputError, match="which must be best or last, got 'first'"):
        evaluate(run, pack, manifest, which="first")  # type: ignore[arg-type]


def test_testing_on_the_training_manifest_is_told(
    tmp_path: Path, pack: Path, manifest: Path, make_run: Callable[..., Path]
) -> None:
    run = make_run(tmp_path / "leak", manifest_sha256=read_manifest(manifest).sha256)
    assert evaluate(run, pack, manifest, plots=False, resamples=0).trained_on_manifest is True


def test_a_test_set_without_abnormal_videos_has_reasons_instead_of_numbers(
    run: Path, pack: Path, manifest: Path
) -> None:
    write_manifest(manifest, read_manifest(manifest).normal)
    result = evaluate(run, pack, manifest)
    assert result.metrics.auc is None
    assert result.metrics.far_normal is not None
    assert "NaN" not in (result.out / "metrics.json").read_text()
    assert "roc.png" not in files(result.out)


def test_progress_counts_videos(run: Path, pack: Path, manifest: Path) -> None:
    events: list[ProgressEvent] = []
    evaluate(run, pack, manifest, plots=False, resamples=0, progress=events.append)
    assert [event.done for event in events] == [0, 1, 2, 3, 4]
    assert {event.total for event in events} == {4}


def test_a_pack_of_another_recipe_is_refused(
    tmp_path: Path, pack: Path, manifest: Path, make_run: Callable[..., Path]
) -> None:
    run = make_run(tmp_path / "other", recipe=Recipe(crops="center", resize=224))
    with pytest.raises(PackError, match=r"another recipe .* \(resize: 256, not 224\)"):
        evaluate(run, pack, manifest)
    assert not list(run.glob("eval*"))


def test_a_manifest_that_does_not_fit_is_refused_by_name(
    run: Path, pack: Path, manifest: Path
) -> None:
    missing = [Entry(id=f"gone/{i}", path="x.mp4", label=0) for i in range(5)]
    write_manifest(manifest, missing)
    with pytest.raises(
        ManifestError, match=r"does not fit .* 'gone/0': .*'gone/2': .*; and 2 more$"
    ):
        evaluate(run, pack, manifest)
    write_manifest(manifest, [Entry(id="normal/b", path="x.mp4", label=0, frames=41)])
    with pytest.raises(ManifestError, match="'normal/b': 41 frames in the manifest, 40 in the"):
        evaluate(run, pack, manifest)
    write_manifest(manifest, [Entry(id="fight/a", path="x.mp4", label=1)])
    with pytest.raises(ManifestError, match="'fight/a': abnormal, and its events are not known"):
        evaluate(run, pack, manifest)
    assert not list(run.glob("eval*"))


def test_scores_that_are_not_numbers_name_the_video(
    run: Path, pack: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "vad_toolkit.scoring.frame_scores.score_snippets",
        lambda model, features, device: np.full(features.shape[0], np.nan, np.float32),
    )
    with pytest.raises(VadError, match="video 'normal/a': the score of snippet 0 is nan"):
        evaluate(run, pack, manifest)
    assert not list(run.glob("eval*"))


def test_in_blocks_as_in_one_piece(
    run: Path, pack: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate(run, pack, manifest, plots=False, resamples=0)
    monkeypatch.setattr(
        "vad_toolkit.scoring.snippet_scores.ROWS_AT_ONCE", 2
    )  # videos have 3 to 7 snippets
    blocks = evaluate(run, pack, manifest, plots=False, resamples=0)
    for id in FRAMES:
        one, other = (np.load(found.out / "scores" / f"{id}.npy") for found in (whole, blocks))
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("honest", [True, False])
def test_features_that_are_damaged_name_the_video(
    run: Path, pack: Path, manifest: Path, honest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the last snippet, which is read last; whether the digest was made of the NaN or not."""
    monkeypatch.setattr("vad_toolkit.scoring.snippet_scores.ROWS_AT_ONCE", 2)
    with h5py.File(pack, "r+") as file:
        stored = file["videos/fight/a/rgb"]
        stored[5, 0, 1] = np.nan
        if honest:
            stored.attrs["sha256"] = hashlib.sha256(raw_bytes(stored[:])).hexdigest()
    what = "hold NaN or infinity" if honest else "are damaged"
    with pytest.raises(PackCorrupt, match=f"h5: video 'fight/a': rgb features {what}"):
        evaluate(run, pack, manifest)
    assert not list(run.glob("eval*"))


def test_what_is_not_there_is_refused(
    run: Path, pack: Path, manifest: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no checkpoint or run at"):
        evaluate(tmp_path / "none", pack, manifest)
    with pytest.raises(PackError):
        evaluate(run, manifest, manifest)
    with pytest.raises(InputError, match=r"no manifest .*none\.jsonl'; give a file .* ucf-crime"):
        evaluate(run, pack, tmp_path / "none.jsonl")
    with pytest.raises(InputError, match=r"device must be .*, got 'tpu'"):
        evaluate(run, pack, manifest, device="tpu")


def test_results_are_never_overwritten(
    run: Path, pack: Path, manifest: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    evaluate(run, pack, manifest, out=out, plots=False, resamples=0)  # an empty folder is fine
    before = (out / "metrics.json").read_bytes()
    with pytest.raises(InputError, match="already exists and is not an empty folder; choose"):
        evaluate(run, pack, manifest, out=out)
    with pytest.raises(InputError, match="already exists"):
        evaluate(run, pack, manifest, out=out / "metrics.json")
    with pytest.raises(InputError, match=r"cannot make a folder .*--out"):
        evaluate(run, pack, manifest, out=out / "metrics.json" / "below", plots=False, resamples=0)
    assert (out / "metrics.json").read_bytes() == before


def test_several_seeds_have_mean_and_sample_deviation(
    tmp_path: Path, pack: Path, manifest: Path, make_run: Callable[..., Path]
) -> None:
    for seed in (0, 1, 2):
        make_run(tmp_path / "seeds" / f"seed-{seed}", seed)
    summary = evaluate(tmp_path / "seeds", pack, manifest, plots=False, resamples=0)
    assert summary.out == tmp_path / "seeds" / "eval-001"
    assert [result.out.name for result in summary.results] == ["seed-0", "seed-1", "seed-2"]
    values = [result.metrics.auc for result in summary.results]
    assert len(set(values)) == 3
    assert summary.spread["auc"].mean == pytest.approx(statistics.fmean(values))
    assert summary.spread["auc"].std == pytest.approx(np.std(values, ddof=1))
    written = json.loads((summary.out / "summary.json").read_text())
    assert [row["seed"] for row in written["runs"]] == [0, 1, 2]
    assert [row["auc"] for row in written["runs"]] == values
    assert written["spread"]["auc"]["mean"] == summary.spread["auc"].mean
    assert written["std"] == "sample standard deviation (n - 1)"
    assert (summary.out / "seed-1" / "metrics.json").is_file()


def test_one_run_has_no_deviation(run: Path, pack: Path, manifest: Path) -> None:
    summary = evaluate(run, pack, manifest, plots=False, resamples=0)
    assert summary.out == summary.results[0].out == run / "eval-001"
    assert summary.spread["auc"].mean == summary.results[0].metrics.auc
    assert summary.spread["auc"].std is None
    assert "summary.json" not in files(summary.out)


def test_a_folder_without_runs_is_refused(tmp_path: Path, pack: Path, manifest: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint or run at"):
        evaluate(tmp_path / "none", pack, manifest)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the bytes that are read from each dataset of a pack, and other reads by their name."""
    counts: Counter[str] = Counter()

    def count(owner: Any, name: str, key: Callable[..., str]) -> None:
        original = getattr(owner, name)

        def counted(*args: Any, **options: Any) -> Any:
            found = original(*args, **options)
            array = args[1] if name == "read_direct" else found
            counts[key(*args)] += getattr(array, "nbytes", 1)
            return found

        monkeypatch.setattr(owner, name, counted)

    count(h5py.Dataset, "__getitem__", lambda dataset, part: dataset.name)
    count(h5py.Dataset, "read_direct", lambda dataset, *parts: dataset.name)
    count(registry, "read_manifest", lambda *paths: "manifest")
    count(score, "load_ground_truth", lambda *args: "labels")
    return counts


@pytest.fixture
def seeds(tmp_path: Path, make_run: Callable[..., Path]) -> Path:
    """A run of three seeds."""
    for seed in (0, 1, 2):
        make_run(tmp_path / "seeds" / f"seed-{seed}", seed)
    return tmp_path / "seeds"


STORED = {f"/videos/{id}/rgb": 2 * 8 * -(-frames // 16) for id, frames in FRAMES.items()}


@pytest.mark.parametrize("figures", [None, FigureRequest()])
def test_three_seeds_read_everything_once(
    seeds: Path, pack: Path, manifest: Path, read: Counter[str], figures: FigureRequest | None
) -> None:
    evaluate(seeds, pack, manifest, plots=False, resamples=0, figures=figures)
    assert dict(read) == {**STORED, "manifest": 1, "labels": 1}


def test_a_fusion_on_one_pack_reads_everything_once(
    run: Path, pack: Path, manifest: Path, tmp_path: Path, read: Counter[str]
) -> None:
    out = tmp_path / "out"
    evaluate([run, run], pack, manifest, fuse=[1, 1], out=out, plots=False, resamples=0)
    assert dict(read) == {**STORED, "manifest": 1, "labels": 1}


def test_a_long_video_is_read_in_parts_and_scored_the_same(
    seeds: Path, pack: Path, manifest: Path, read: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"plots": False, "resamples": 0, "figures": FigureRequest()}
    whole = evaluate(seeds, pack, manifest, **options)
    monkeypatch.setattr(score, "READ_AT_ONCE", 0)
    read.clear()
    parts = evaluate(seeds, pack, manifest, **options)
    assert read["/videos/fight/a/rgb"] > STORED["/videos/fight/a/rgb"]
    for name in files(whole.out):
        if not name.endswith((".png", "summary.json")):
            assert (whole.out / name).read_bytes() == (parts.out / name).read_bytes()


def test_seeds_score_as_each_does_alone(seeds: Path, pack: Path, manifest: Path) -> None:
    together = evaluate(seeds, pack, manifest, plots=False, resamples=0)
    for result in together.results:
        alone = evaluate(seeds / result.out.name, pack, manifest, plots=False, resamples=0)
        for name in files(alone.out):
            assert (alone.out / name).read_bytes() == (result.out / name).read_bytes()
    assert together.metrics.auc == together.spread["auc"].mean


def test_scores_outside_of_0_and_1_pass_unchanged(
    run: Path, pack: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores of a method need not be probabilities."""

    def forward(self: Sultani, x: Tensor, mask: Tensor | None = None) -> Output:
        scores = torch.linspace(-3, 7, x.shape[2])[None]
        return Output(scores, x, mask)

    monkeypatch.setattr(Sultani, "forward", forward)
    result = evaluate(run, pack, manifest)
    scores = np.load(result.out / "scores" / "normal" / "a.npy")
    assert (scores.min(), scores.max()) == (-3, 7)
    histogram = json.loads((result.out / "histogram.json").read_text())
    assert (histogram["edges"][0], histogram["edges"][-1]) == (-3, 7)
    counted = sum(histogram["normal_frames"]) + sum(histogram["abnormal_frames"])
    assert counted == sum(FRAMES.values())
    assert (result.out / "plots" / "normal" / "a.png").is_file()


def test_a_manifest_object_and_text_paths(run: Path, pack: Path, manifest: Path) -> None:
    by_path = evaluate(str(run), str(pack), str(manifest), plots=False, resamples=0)
    read = read_manifest(manifest)
    assert evaluate(run, pack, read, plots=False, resamples=0).metrics == by_path.metrics
    assert by_path.to_dict()["runs"][0]["auc"] == by_path.metrics.auc
    missing = Manifest((Entry(id="gone", path="gone.mp4", label=0),), "other")
    with pytest.raises(ManifestError, match=r"^other does not fit .*'gone'"):
        evaluate(run, pack, missing)


def test_runs_that_do_not_go_together_are_refused(run: Path, pack: Path, manifest: Path) -> None:
    with pytest.raises(InputError, match=r"expected one run, got 2; .* --fuse 0.5,0.5$"):
        evaluate([run, run], pack, manifest)
    with pytest.raises(InputError, match="expected one pack for one run, got 2; merge them"):
        evaluate(run, [pack, pack], manifest)
    with pytest.raises(InputError, match=r"--fuse needs --out"):
        evaluate([run, run], pack, manifest, fuse=[1, 1])
    with pytest.raises(InputError, match="--figures does not go with --fuse"):
        evaluate([run, run], pack, manifest, fuse=[1, 1], figures=FigureRequest())


PLUGIN = """
from vad_toolkit.evaluation.registry import METRICS, Metric
METRICS.register(
    "highest", Metric(lambda sample: max(v.scores.max() for v in sample.videos), "highest score")
)
"""


def test_a_metric_of_a_plugin_is_in_all_results(
    seeds: Path, pack: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "highest_plugin.py").write_text(PLUGIN)
    monkeypatch.setenv("VAD_PLUGINS", str(tmp_path / "highest_plugin.py"))
    try:
        result = evaluate(seeds, pack, manifest, plots=False, resamples=5)
    finally:
        METRICS._items.pop("highest", None)
    values = [one.metrics.highest for one in result.results]
    assert result.metrics.highest == result.spread["highest"].mean == statistics.fmean(values)
    written = json.loads((result.out / "seed-0" / "metrics.json").read_text())
    assert written["metrics"]["highest"] == values[0]
    assert written["definitions"]["highest"] == "highest score"
    summary = json.loads((result.out / "summary.json").read_text())
    assert summary["runs"][0]["intervals"]["highest"]["high"] <= values[0]


def test_length_is_learned_from_the_training_videos_of_the_checkpoint(
    make_run: Callable[..., Path], pack: Path, manifest: Path, tmp_path: Path
) -> None:
    rule = LengthRule(shorter=True, video_auc=0.8, videos=9)
    result = evaluate(make_run(tmp_path / "new", length_rule=rule), pack, manifest, plots=False)
    assert result.controls.length == rule
    assert not result.controls.length_from_test
    stored = json.loads((result.out / "metrics.json").read_text())["controls"]
    assert stored["length"] == {"shorter": True, "video_auc": 0.8, "videos": 9}
    assert stored["values"]["labels"]["auc"] > 0.5


def test_length_of_an_older_checkpoint_is_learned_from_the_test_videos(
    run: Path, pack: Path, manifest: Path
) -> None:
    controls = evaluate(run, pack, manifest, plots=False).controls
    assert controls.length_from_test
    assert controls.length is not None
    assert controls.length.videos == len(FRAMES)
