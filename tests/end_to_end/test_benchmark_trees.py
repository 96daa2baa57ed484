"""Trees of small videos under the official names: built, extracted, trained on and evaluated.

The videos have the official lengths, so that official manifests, events and masks hold for them.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from vad_cli.main import vad

from vad_toolkit.datasets.dataset_info import DatasetInfo, write_dataset_info
from vad_toolkit.datasets.manifest import Entry, read_manifest, write_manifest
from vad_toolkit.datasets.registry import load_dataset
from vad_toolkit.datasets.truth.rules import frame_labels
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.video.encode import write_video
from vad_toolkit.weights.store import get_weights

HEIGHT, WIDTH = 48, 64
UNKNOWN_FRAMES = 20  # of videos whose length is not published
EVENT = (5, 12)  # of abnormal videos whose events are not published
WEIGHTS = "i3d-rgb-random"
RECIPE = (f"weights={WEIGHTS}", "resize=64", "crop_size=64")
CONFIG = ("steps=1", "pairs=1", "data.segments=2", "tensorboard=false")


@dataclass(frozen=True)
class Tree:
    """Some videos of a benchmark: of train, then of test; `masks` writes the owners' masks."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    masks: Callable[[Path, Sequence[Entry]], Path] | None = None


def write_npy_masks(root: Path, entries: Sequence[Entry]) -> Path:
    folder = root / "testing" / "test_frame_mask"
    folder.mkdir(parents=True)
    for entry in entries:
        np.save(folder / f"{entry.id}.npy", labels_of(entry))
    return folder


def write_mat_masks(root: Path, entries: Sequence[Entry]) -> Path:
    folder = root / "ground_truth_demo" / "testing_label_mask"
    folder.mkdir(parents=True)
    for entry in entries:
        labels = labels_of(entry)
        cell = np.empty((1, len(labels)), object)
        cell[0, :] = [np.full((3, 4), label, np.uint8) for label in labels]
        savemat(folder / f"{int(entry.id[-2:])}_label.mat", {"volLabel": cell})
    return folder


def write_png_masks(root: Path, entries: Sequence[Entry]) -> Path:
    for entry in entries:
        folder = root / f"{entry.id}_annotations"
        folder.mkdir(parents=True)
        for number, label in enumerate(labels_of(entry)):
            image = Image.fromarray(np.full((3, 4), 9 * label, np.uint8))
            image.save(folder / f"{folder.name}_{number:04d}_gt.png")
    return root


TREES = {
    "avenue": Tree(
        ("training_videos/01", "training_videos/02"),
        ("testing_videos/08", "testing_videos/21"),
        write_mat_masks,
    ),
    "avenue-weak": Tree(
        ("training_videos/02", "testing_videos/21"),
        ("training_videos/01", "testing_videos/08"),
        write_mat_masks,
    ),
    "cctv-fights": Tree(
        ("noFight/nofi084", "fight/fi019"), ("noFight/nofi007", "fight/fi087", "fight/fi088")
    ),
    "msad": Tree(
        ("MSAD_normal_frontdoor1", "Assault_1"), ("MSAD_normal_testing_1", "Water_incident_3")
    ),
    "shanghaitech": Tree(  # the abnormal ones are folders of frames; one has two events
        ("01_002", "01_0063"), ("02_015", "12_0173"), write_npy_masks
    ),
    "tad": Tree(  # the event of the last ends a frame after its video
        ("frames/normal/Normal_062", "frames/abnormal/01_Accident_072"),
        ("frames/normal/Normal_075", "frames/abnormal/01_Accident_091"),
    ),
    "ubnormal": Tree(
        ("Scene1/normal_scene_1_scenario1_1", "Scene1/abnormal_scene_1_scenario_3"),
        ("Scene1/normal_scene_1_scenario1_10", "Scene1/abnormal_scene_1_scenario_1"),
        write_png_masks,
    ),
    "ucf-crime": Tree(
        (
            "Training_Normal_Videos_Anomaly/Normal_Videos157_x264",
            "RoadAccidents/RoadAccidents027_x264",
        ),
        (
            "Testing_Normal_Videos_Anomaly/Normal_Videos_345_x264",
            "RoadAccidents/RoadAccidents021_x264",
        ),
    ),
    "xd-violence": Tree(  # the last has two events
        (
            "A.Beautiful.Mind.2001__#00-01-45_00-02-50_label_A",
            "Bad.Boys.1995__#00-26-51_00-27-53_label_B2-0-0",
        ),
        (
            "v=hgoGZZSMhMQ__#1_label_A",
            "v=bhZs3ALdL7Y__#1_label_G-0-0",
            "Taken.Extended.Cut.2008__#00-33-51_00-34-03_label_B1-0-0",
        ),
    ),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with random weights."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAD_HOME", str(folder))
        get_weights(WEIGHTS)
    return folder


@pytest.fixture(autouse=True)
def use_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAD_HOME", str(home))


@pytest.mark.parametrize("name", TREES)
def test_a_benchmark(name: str, tmp_path: Path) -> None:
    built = build(name, tmp_path)
    if any(entry.events is None for entry in read_manifest(built / "test.jsonl").abnormal):
        add_events(built / "test.jsonl")  # MSAD's
    pack = extract(tmp_path)
    train_manifest = built / "train.jsonl"
    if name == "avenue":  # its training side has nothing abnormal to learn from
        refused = train(pack, train_manifest, tmp_path / "run")
        assert "has no abnormal videos; training needs both labels" in str(refused.exception)
        train_manifest = both_sides(tmp_path)
    succeeded(train(pack, train_manifest, tmp_path / "run"))
    evaluate(tmp_path / "run", pack, built / "test.jsonl")


def test_names_of_all_kinds(tmp_path: Path) -> None:
    """Shared manifests with films' names, one short, one with an event past the end."""
    names = {
        "Amélie Poulain.2001__#00-01-45_00-02-50_label_A": (0, 20),
        "v=7-_x y=Z__#1_label_B1-0-0": (1, 9),
        "映画 第二部.1995__#01-11-55_01-12-40_label_B2-0-0": (1, 40),
        "Фильм__#2_label_A": (0, 15),
    }
    entries = [
        Entry(id=f"{side}/{name}", path=f"{side}/{name}.mp4", label=label, frames=frames)
        for side in ("train", "test")
        for name, (label, frames) in names.items()
    ]
    theirs = tmp_path / "theirs"
    write_dataset_info(theirs / "dataset.toml", DatasetInfo(name="films"))
    write_manifest(theirs / "train.jsonl", entries[:4])
    events = {entries[5].id: ((1, 3), (6, 9)), entries[6].id: ((30, 99),)}
    write_manifest(
        theirs / "test.jsonl",
        [entry.model_copy(update={"events": events.get(entry.id)}) for entry in entries[4:]],
    )
    for entry in entries:
        path = unicodedata.normalize("NFD", f"XD/{entry.path}")
        make_video(tmp_path / "raw" / path, length_of(entry))
    build = ("manifest", "build", "shared", theirs, "--root", tmp_path / "raw")
    stderr = run(*build, "--out", tmp_path / "built", "--count").stderr
    assert "8 videos: 8 found (2 renamed), 0 missing" in stderr  # those with an accent
    pack = extract(tmp_path)
    with FeaturePack.open(pack) as opened:
        assert set(opened.ids) == {entry.id for entry in entries}
    succeeded(train(pack, tmp_path / "built" / "train.jsonl", tmp_path / "run"))
    evaluate(tmp_path / "run", pack, tmp_path / "built" / "test.jsonl")


def build(name: str, folder: Path) -> Path:
    """Videos of a benchmark in `folder`/raw, and its manifests, which are official but for them."""
    tree, dataset = TREES[name], load_dataset(name)
    entries = {entry.id: entry for entry in dataset}
    chosen = [entries[id] for id in (*tree.train, *tree.test)]
    for entry in chosen:
        make_video(folder / "raw" / entry.path.replace(".avi", ".mp4"), length_of(entry))
    command = ["manifest", "build", name, "--root", folder / "raw", "--out", folder / "built"]
    if tree.masks is not None:
        abnormal = [entry for entry in chosen if entry.label]
        command += ["--masks", tree.masks(folder / "raw", abnormal)]
    lines = run(*command, "--allow-missing").stderr.splitlines()
    assert (
        f"{len(entries)} videos: {len(chosen)} found (0 renamed), {len(entries) - len(chosen)} "
        "missing, 0 ambiguous, 0 damaged, 0 of another length; 0 extra files"
    ) in lines
    for side, manifest in dataset.sides.items():
        if side == "validation":
            continue
        official = [entry for entry in manifest if entry in chosen]
        for entry, now in zip(
            official, read_manifest(folder / "built" / f"{side}.jsonl"), strict=True
        ):
            events = entry.events or now.events  # what the masks tell of a video without
            assert now.label == entry.label
            assert (now.id, now.frames, now.events) == (entry.id, entry.frames, events)
    return folder / "built"


def length_of(entry: Entry) -> int:
    return entry.frames or UNKNOWN_FRAMES


def labels_of(entry: Entry) -> NDArray[np.uint8]:
    events = entry.events or (EVENT,)
    return frame_labels(entry.model_copy(update={"events": events}), length_of(entry))


def make_video(path: Path, frames: int) -> None:
    """A video file, or where the name has no suffix a folder of frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mp4":
        write_video(path, pictures(frames), fps=25)
        return
    path.mkdir()
    for number, picture in enumerate(pictures(frames)):
        Image.fromarray(picture).save(path / f"{number:03d}.jpg")


def pictures(frames: int) -> list[NDArray[np.uint8]]:
    row = np.arange(HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3)
    return [((row + 40 * number) % 256).astype(np.uint8) for number in range(frames)]


def run(*words: object) -> Result:
    return succeeded(invoke(*words))


def invoke(*words: object) -> Result:
    return CliRunner().invoke(vad, [str(word) for word in words])


def succeeded(result: Result) -> Result:
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result


def settings(values: Sequence[str]) -> list[str]:
    return [word for value in values for word in ("--set", value)]


def extract(folder: Path) -> Path:
    """Features of all sides that were built."""
    pack = folder / "features.h5"
    manifests = [
        word for path in sorted((folder / "built").glob("*.jsonl")) for word in ("--manifest", path)
    ]
    where = ("--root", folder / "raw", "--out", pack, "--recipe", "i3d-rgb-center")
    run("extract", *manifests, *where, *settings(RECIPE), "--device", "cpu")
    for path in sorted((folder / "built").glob("*.jsonl")):
        run("manifest", "check", path, "--root", folder / "raw", "--pack", pack)
    return pack


def add_events(test: Path) -> None:
    """What the published manifest does not know, as a person would write it in."""
    entries = [
        entry.model_copy(update={"events": (EVENT,)}) if entry.label else entry
        for entry in read_manifest(test)
    ]
    write_manifest(test, entries)


def both_sides(folder: Path) -> Path:
    sides = (folder / "built" / "train.jsonl", folder / "built" / "test.jsonl")
    both = folder / "both" / "train.jsonl"
    write_manifest(both, [entry for side in sides for entry in read_manifest(side)])
    return both


def train(pack: Path, manifest: Path, out: Path) -> Result:
    where = ("--pack", pack, "--manifest", manifest, "--out", out, "--device", "cpu")
    return invoke("train", *where, "--config", "clav-como-small", *settings(CONFIG))


def evaluate(run_folder: Path, pack: Path, test: Path) -> None:
    manifest = read_manifest(test)
    where = ("--pack", pack, "--manifest", test, "--device", "cpu", "--no-plots", "--json")
    (summary,) = json.loads(run("eval", run_folder, *where).stdout)["runs"]
    metrics = json.loads((Path(summary["out"]) / "metrics.json").read_text())
    rows = {row["id"]: (row["frames"], row["abnormal_frames"]) for row in metrics["videos"]}
    labels = {entry.id: frame_labels(entry, length_of(entry)) for entry in manifest}
    assert rows == {id: (len(video), video.sum()) for id, video in labels.items()}
