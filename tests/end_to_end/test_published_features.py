"""Published features from files to metrics: the C3D features of ten UCF-Crime videos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from vad_cli.main import vad

from vad_toolkit.datasets.manifest import write_manifest
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.errors import ManifestError
from vad_toolkit.models.registry import build_model
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.training.checkpoint import describe_checkpoint, save_checkpoint
from vad_toolkit.training.load_config import load_config

WIDTH = 4096


@pytest.fixture
def c3d(reference: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """The pack, the manifest of its videos, and a checkpoint with untrained weights."""
    pack, manifest, run = tmp_path / "c3d.h5", tmp_path / "c3d" / "test.jsonl", tmp_path / "run"
    files = str(reference / "c3d_ucf_crime")
    options = ("--layout", "sultani", "--manifest", "ucf-crime", "--allow-missing")
    done = CliRunner().invoke(
        vad, ["pack", "import", files, *options, "--out", str(pack)], catch_exceptions=False
    )
    assert done.exit_code == 0
    config = load_config("sultani", {"head.hidden": [4, 2]})
    with FeaturePack.open(pack) as opened:
        write_manifest(manifest, [e for e in find_manifest("ucf-crime") if e.id in opened])
        info = describe_checkpoint(
            config,
            opened.recipe,
            pack_sha256="a" * 64,
            manifest_sha256="b" * 64,
            input_dim=WIDTH,
            step=1,
            seed=0,
            metric=None,
            validation_loss=None,
        )
    save_checkpoint(run / "best.safetensors", build_model(config, WIDTH), info)
    return run, pack, manifest


def test_c3d_features_of_ucf_crime_import_and_evaluate(c3d: tuple[Path, Path, Path]) -> None:
    run, pack, manifest = map(str, c3d)
    arguments = ["eval", run, "--pack", pack, "--manifest", manifest, "--no-plots", "--json"]
    done = CliRunner().invoke(vad, arguments, catch_exceptions=False)
    (result,) = json.loads(done.stdout)["runs"]
    counts = result["metrics"]["counts"]
    assert (counts["normal_videos"], counts["abnormal_videos"]) == (2, 8)
    assert (counts["frames"], counts["abnormal_frames"]) == (12_459, 1_470)
    assert result["inputs"]["ground_truth"]["rule"] == "frames"
    assert set(result["metrics"]["classes"]) == {
        "Explosion",
        "RoadAccidents",
        "Shooting",
        "Shoplifting",
    }
    # 32 parts of a video go with any number of labels.
    done = CliRunner().invoke(vad, [*arguments, "--rule", "deepmil"], catch_exceptions=False)
    assert json.loads(done.stdout)["runs"][0]["metrics"]["counts"]["frames"] == 12_368


def test_a_test_set_of_which_videos_are_missing_is_refused(c3d: tuple[Path, Path, Path]) -> None:
    run, pack, _ = map(str, c3d)
    done = CliRunner().invoke(vad, ["eval", run, "--pack", pack, "--manifest", "ucf-crime"])
    assert isinstance(done.exception, ManifestError)
    assert "'Abuse/Abuse028_x264': in the manifest, but not in the pack" in str(done.exception)
    assert str(done.exception).endswith("; and 277 more")
