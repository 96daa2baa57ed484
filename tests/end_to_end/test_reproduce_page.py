"""docs/reproduce.md, walked: its commands on files of the published names, layouts and lengths.

The lists are the shipped ones, cut down to their shortest videos, and features are random.
Commands that start from raw videos are only parsed; test_benchmark_trees runs such commands.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from vad_cli.main import vad

from vad_toolkit.datasets import registry as shipped
from vad_toolkit.datasets.manifest import Entry, Manifest, read_manifest, write_manifest
from vad_toolkit.datasets.truth.rules import label_count, load_rule, rule_labels
from vad_toolkit.training.load_config import load_config

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reproduce.md").read_text(encoding="utf-8")
RAW = ("weights get", "manifest build", "extract")  # what begins a block that is only parsed
WIDTH = 4
VIDEOS = 3  # of each label that a list is cut down to
# What a walked command gets besides, to be quick; the first value that an option has is replaced.
QUICK = {
    "train": "--device cpu --threads 1 --seeds 1 --set steps=2 --set pairs=2 --set head.width=4 "
    "--set tensorboard=false --set data.segments=4",
    "eval": "--device cpu --no-plots --bootstrap 0",
    "ablate": "--device cpu --jobs 1 --seeds 1 --table {table} --set steps=1 --set pairs=2 "
    "--set tensorboard=false --set data.segments=4",
}


@dataclass(frozen=True)
class Features:
    """Stand-ins for a folder of published features; `name` is what follows the last part of an id.

    A video has as many snippets as `rule` gives labels, or where that is not known some.
    """

    dataset: str
    side: str
    rule: str
    crops: int
    per_crop: bool = False
    name: str = "_i3d.npy"


FOLDERS = {
    "UCF_Train_ten_crop_i3d": Features("ucf-crime", "train", "rtfm", 10),
    "UCF_Test_ten_crop_i3d": Features("ucf-crime", "test", "rtfm", 10),
    "ucf-i3d/train": Features("ucf-crime", "train", "deepmil", 10, per_crop=True),
    "ucf-i3d/test": Features("ucf-crime", "test", "deepmil", 10, per_crop=True),
    "SH_Train_ten_crop_i3d": Features("shanghaitech", "train", "rtfm", 10),
    "SH_Test_ten_crop_i3d": Features("shanghaitech", "test", "rtfm", 10),
    "i3d-features/RGB": Features("xd-violence", "train", "xdviodet", 5, per_crop=True),
    "i3d-features/RGBTest": Features("xd-violence", "test", "xdviodet", 5, per_crop=True),
    "xd-resnet50/train": Features("xd-violence", "train", "vadclip", 10, name=".npy"),
    "xd-resnet50/test": Features("xd-violence", "test", "vadclip", 10, name=".npy"),
}


def blocks() -> Iterator[tuple[str, list[str]]]:
    """The page's commands, a block at a time, and the section that it stands in."""
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
            joined = block.replace("\\\n", " ")
            yield title, [line.removeprefix("$ ") for line in joined.splitlines()]


def is_raw(commands: list[str]) -> bool:
    return commands[0].removeprefix("vad ").startswith(RAW)


WALKED = [(title, commands) for title, commands in blocks() if not is_raw(commands)]
PARSED = [(title, commands) for title, commands in blocks() if is_raw(commands)]


def test_the_page_has_the_sections_that_are_walked() -> None:
    sections = {"UCF-Crime", "ShanghaiTech", "XD-Violence", "CUHK Avenue"}
    assert {title for title, _ in PARSED} == sections
    assert sections | {"Across datasets", "All methods, with intervals"} <= {t for t, _ in WALKED}


@pytest.mark.parametrize("commands", [c for _, c in PARSED], ids=[t for t, _ in PARSED])
def test_commands_from_raw_videos_are_understood(commands: list[str]) -> None:
    for command in commands:
        check(shlex.split(command)[1:])


def test_a_misspelt_option_is_found() -> None:
    with pytest.raises(click.UsageError, match="No such option"):
        check(["extract", "--recipes", "i3d-rgb-tencrop", "--out", "a.h5"])
    with pytest.raises(click.UsageError, match="Missing parameter: out"):
        check(["manifest", "build", "ucf-crime", "--root", "videos"])


def check(words: list[str]) -> None:
    """Parse a command as far as that goes without the files that it names."""
    command: click.Command = vad
    context = click.Context(vad)
    while isinstance(command, click.Group):
        command = command.get_command(context, words[0]) or pytest.fail(f"no command {words[0]}")
        context, words = click.Context(command, parent=context, info_name=words[0]), words[1:]
    given, rest, _ = command.make_parser(context).parse_args(args=list(words))
    assert not rest
    for parameter in command.params:
        if isinstance(parameter.type, click.Path) and given.get(str(parameter.name)):
            continue  # it is not there
        value, _ = parameter.consume_value(context, given)
        parameter.process_value(context, value)


@pytest.mark.parametrize(
    "commands",
    [c for title, c in WALKED if title not in ("Time", "All methods, with intervals")],
    ids=lambda commands: shlex.split(commands[-1])[2],
)
def test_a_number_from_published_features(
    commands: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(commands, tmp_path, monkeypatch)
    for command in commands:
        output = walk(command)
    assert re.search(r"^mean +0\.|^auc +0\.", output, re.MULTILINE)


def test_all_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a table of two small rows: the widths of the real one take longer than a test may."""
    (commands,) = [c for title, c in WALKED if title == "All methods, with intervals"]
    (imports,) = [c[:2] for _, c in WALKED if "--out ucf-2048-train.h5" in c[0]]
    prepare(imports, tmp_path, monkeypatch)
    (tmp_path / "table.toml").write_text(
        '[rows.full]\nsettings = {"head.width" = 4}\n[rows.sultani]\nconfig = "sultani"\n'
    )
    for command in (*imports, *commands):
        walk(command)
    assert (tmp_path / "runs/ucf-2048-methods/table.md").is_file()


@pytest.mark.parametrize(
    ("title", "dataset", "rules"),
    [
        ("UCF-Crime", "ucf-crime", ("rtfm", "deepmil", "frames")),
        ("ShanghaiTech", "shanghaitech", ("rtfm", "frames")),
        ("XD-Violence", "xd-violence", ("xdviodet", "frames")),
    ],
)
def test_frames_that_evaluation_has_to_count(
    title: str, dataset: str, rules: tuple[str, ...]
) -> None:
    manifest = shipped.find_manifest(dataset)
    wanted = []
    for name, rule in (load_rule(rule, manifest.rules) for rule in rules):
        labels = [rule_labels(entry, name, rule) for entry in manifest]
        wanted.append((sum(map(len, labels)), sum(int(video.sum()) for video in labels)))
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    told = re.findall(r"`frames (\d+), (\d+) abnormal`", section)
    assert [(int(frames), int(abnormal)) for frames, abnormal in told] == wanted


def test_configs_of_the_page_are_as_it_says() -> None:
    assert {name: load_config(name) for name in ("ucf-crime", "shanghaitech", "xd-violence")} == (
        dict.fromkeys(("ucf-crime", "shanghaitech", "xd-violence"), load_config("clav-como"))
    )
    row = next(line for line in PAGE.splitlines() if line.startswith("| `avenue-weak`"))
    told = {name: int(value) for name, value in re.findall(r"`([a-z.]+)` (\d+)", row)}
    assert load_config("avenue-weak") == load_config("clav-como", told)


def prepare(commands: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short lists in place of the shipped ones, and the folders that the commands name."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VAD_HOME", str(folder / "home"))
    lists = folder / "shipped"
    for name in ("ucf-crime", "shanghaitech", "xd-violence", "avenue-weak"):
        for side, manifest in shipped.load_dataset(name).sides.items():
            write_manifest(lists / name / f"{side}.jsonl", shortest(manifest))
        shutil.copy(shipped.DATASETS[name] / "dataset.toml", lists / name)
        monkeypatch.setitem(shipped.DATASETS._items, name, lists / name)
        assert len(shipped.find_manifest(name)) <= 2 * VIDEOS
    words = {word for command in commands for word in shlex.split(command)}
    for path, features in FOLDERS.items():
        if path in words:
            write_features(folder / path, features)
    if "avenue-i3d" in words:
        write_avenue(folder, lists / "avenue-weak")


def shortest(manifest: Manifest) -> list[Entry]:
    kept = {
        entry.id
        for side in (manifest.normal, manifest.abnormal)
        for entry in sorted(side, key=lambda entry: entry.frames or 0)[:VIDEOS]
    }
    return [entry for entry in manifest if entry.id in kept]


def write_features(folder: Path, features: Features) -> None:
    manifest = shipped.find_manifest(features.dataset, features.side)
    name, rule = load_rule(features.rule, manifest.rules)
    folder.mkdir(parents=True)
    for entry in manifest:
        known = entry.frames and (rule.count == "decoded" or entry.container_frames)
        snippets = label_count(entry, name, rule) // 16 if known else 5
        array = random(snippets, features.crops)
        tail = entry.id.rpartition("/")[2]
        if not features.per_crop:
            np.save(folder / f"{tail}{features.name}", array)
        for crop in range(features.crops if features.per_crop else 0):
            np.save(folder / f"{tail}__{crop}.npy", array[:, crop])


def write_avenue(folder: Path, lists: Path) -> None:
    """Features of both sides, and manifests as `vad manifest build --count` leaves them."""
    built = folder / "built" / "avenue-weak"
    built.mkdir(parents=True)
    shutil.copy(lists / "dataset.toml", built)
    for side in ("train", "test"):
        counted = [
            entry.model_copy(update={"frames": entry.frames or 100})
            for entry in read_manifest(lists / f"{side}.jsonl")
        ]
        write_manifest(built / f"{side}.jsonl", counted)
        for entry in counted:
            path = folder / "avenue-i3d" / f"{entry.id}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, random((entry.frames or 0) // 16, 10))


def random(snippets: int, crops: int) -> np.ndarray:
    return np.random.default_rng(0).random((snippets, crops, WIDTH), np.float32)


def walk(command: str) -> str:
    """Run a line of the page, shortened; gives what it printed."""
    if not command.startswith("vad "):
        subprocess.run(command, shell=True, check=True)
        return ""
    words = shlex.split(command)[1:]
    words += shlex.split(QUICK.get(words[0], "").format(table="table.toml"))
    result = CliRunner().invoke(vad, words)
    assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception!r}"
    return result.stdout
