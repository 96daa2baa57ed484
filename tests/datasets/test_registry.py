"""Datasets that plugins register, and the shipped CCTV fights."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from vad_cli.main import vad

from vad_toolkit.core.registry import load_plugin
from vad_toolkit.datasets.building.binding import Binding, bind
from vad_toolkit.datasets.building.build import write_dataset
from vad_toolkit.datasets.building.builder import build_manifest
from vad_toolkit.datasets.dataset_info import DatasetInfo, write_dataset_info
from vad_toolkit.datasets.manifest import UNLISTED, Entry, read_manifest, write_manifest
from vad_toolkit.datasets.registry import DATASETS, find_manifest, load_dataset, register_dataset
from vad_toolkit.datasets.source_split import check_sides, split_by_source
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.evaluation.ground_truth import export_ground_truth

NAME = "cctv-fights"
# The shipped split divides source videos by the rule of `split_by_source`, over all clips at once.
TEST_FRACTION = 0.3
SPLIT_SEED = 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset "site-7" of three videos of 8 frames, as a plugin would bring it."""
    folder = tmp_path / "plugin" / "site-7"
    write_dataset_info(folder / "dataset.toml", DatasetInfo(name="site-7", title="Site 7"))
    facts = {"frames": 8, "fps": 10.0}
    write_manifest(folder / "train.jsonl", [Entry(id="a", path="a.mp4", label=0, **facts)])
    test = [
        Entry(id="b", path="b.mp4", label=1, events=((2, 5),), **facts),
        Entry(id="c", path="c.mp4", label=0, **facts),
    ]
    write_manifest(folder / "test.jsonl", test)
    return folder


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Take what a test registers out of the registry again."""
    before = dict(DATASETS._items)
    yield
    DATASETS._items = before
    DATASETS._plugins.clear()


def test_a_registered_dataset_is_found_like_a_shipped_one(folder: Path) -> None:
    register_dataset("site-7", str(folder))
    assert "site-7" in DATASETS
    assert list(DATASETS)[-1] == "site-7"
    assert find_manifest("site-7", "train").dataset == "site-7"
    assert [entry.id for entry in load_dataset("site-7")] == ["a", "b", "c"]
    register_dataset("site-7", folder)  # a module that is loaded again


def test_a_registered_dataset_is_built_and_its_ground_truth_exported(
    folder: Path, make_videos: Callable[..., Path], tmp_path: Path
) -> None:
    register_dataset("site-7", folder)
    root = make_videos("x/a.mp4", "x/b.mp4", "c.mp4")
    built = build_manifest("site-7", root, tmp_path / "out")
    assert [entry.path for entry in read_manifest(built.manifests["test"])] == ["x/b.mp4", "c.mp4"]
    exported = export_ground_truth("site-7", "frames", tmp_path / "gt.npy")
    assert (exported.length, exported.abnormal) == (16, 3)


def test_a_registered_dataset_has_its_commands(
    folder: Path, make_videos: Callable[..., Path], tmp_path: Path
) -> None:
    plugin = tmp_path / "site_plugin.py"
    plugin.write_text(
        "from vad_toolkit.datasets.registry import register_dataset\n"
        f"register_dataset('site-7', {str(folder)!r})\n"
    )
    load_plugin(str(plugin))
    root = make_videos("a.mp4", "b.mp4", "c.mp4")
    run = CliRunner().invoke
    assert "site-7" in run(vad, ["manifest", "build", "--help"]).output
    assert "Site 7." in run(vad, ["manifest", "build", "site-7", "--help"]).output
    out = tmp_path / "out"
    done = run(vad, ["manifest", "build", "site-7", "--root", str(root), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert run(vad, ["manifest", "check", "site-7", "--root", str(root)]).exit_code == 0
    assert "title" in run(vad, ["manifest", "info", "site-7"]).output


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("site-8", r"dataset.toml: name is 'site-7'; it must be 'site-8'"),
        ("csv", r"a dataset cannot be called 'csv'; reserved: folder, csv, shared"),
    ],
)
def test_a_name_that_is_not_allowed(folder: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        register_dataset(name, folder)
    assert name not in DATASETS


def test_a_name_that_is_taken(folder: Path) -> None:
    write_dataset_info(folder / "dataset.toml", DatasetInfo(name="tad"))
    with pytest.raises(InputError, match=r"dataset 'tad' is already registered by vad_toolkit; ch"):
        register_dataset("tad", folder)


def test_a_folder_without_dataset_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"dataset.toml: cannot be read \(No such file"):
        register_dataset("site-7", tmp_path)


def test_an_unknown_dataset() -> None:
    with pytest.raises(InputError, match=r"unknown dataset 'nothing'; available: .*cctv-fights"):
        load_dataset("nothing")


def test_the_cctv_split_is_what_its_rule_gives() -> None:
    dataset = load_dataset(NAME)
    check_sides(dataset.train, dataset.test)
    entries = [entry.model_copy(update={"events": None}) for entry in dataset]
    train, test = split_by_source(entries, TEST_FRACTION, SPLIT_SEED)
    assert {e.id for e in train} == set(dataset.train.by_id)
    assert {e.id for e in test} == set(dataset.test.by_id)
    assert Counter(e.label for e in dataset.train) == {1: 46, 0: 54}
    assert Counter(e.label for e in dataset.test) == {1: 29, 0: 20}
    assert sum(e.source == UNLISTED for e in dataset.train) == 28
    assert dataset.info.license == "MIT"


def test_the_cctv_events_are_whole_clips_in_test_only() -> None:
    dataset = load_dataset(NAME)
    assert all(e.events is None for e in dataset.train)
    assert all(e.events == ((0, e.frames),) for e in dataset.test.abnormal)
    assert all(e.events is None for e in dataset.test.normal)


def test_the_shipped_files_are_as_the_code_writes_them(tmp_path: Path) -> None:
    dataset = load_dataset(NAME)
    built = Binding(dataset, tuple(dataset)).build()
    import vad_manifests

    write_dataset(built, tmp_path / NAME)
    for path in (tmp_path / NAME).iterdir():
        shipped = Path(vad_manifests.__path__[0]) / NAME / path.name
        assert path.read_bytes() == shipped.read_bytes()


def test_the_real_clips_are_as_published(reference: Path) -> None:
    binding = bind(load_dataset(NAME), reference / "cctv_fights")
    assert binding.lines() == []
    with (reference / "cctv_fights" / "clips.tsv").open() as file:
        facts = {f"{r['label']}/{r['clip']}": r for r in csv.DictReader(file, delimiter="\t")}
    entries = {entry.id: entry for entry in binding.found}
    assert set(entries) == set(facts)
    for id, row in facts.items():
        assert entries[id].source == row["source"]
        assert entries[id].label == int(row["label"] == "fight")
