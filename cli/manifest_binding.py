"""`vad manifest build BENCHMARK`: manifests that come with the toolkit, bound to raw videos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import EXISTING_FOLDER, progress_reporter
from .manifest_options import count_option, out_option, root_option, write_built

if TYPE_CHECKING:
    from vad_toolkit.datasets.registry import ShippedDataset

WAYS = """Videos may lie in other folders than published, under another suffix, or as folders of
numbered images. Each that is missing, renamed, ambiguous, damaged or of another length, and each
file that is not listed, is told on a line."""

allow_missing_option = click.option(
    "--allow-missing",
    is_flag=True,
    help="Leave out videos that cannot be used, and write down what numbers then mean.",
)


@dataclass(frozen=True)
class Benchmark:
    """What a benchmark's help says: its title, what ROOT and, where there are any, MASKS hold."""

    title: str
    root: str
    example_root: str
    masks: str | None = None
    example_masks: str = ""


BENCHMARKS = {
    "avenue": Benchmark(
        "CUHK Avenue in its official split: 16 normal videos for training, 21 for test.",
        "training_videos and testing_videos",
        "Avenue_Dataset",
        "the owners' 1_label.mat, 2_label.mat and so on",
        "ground_truth_demo/testing_label_mask",
    ),
    "avenue-weak": Benchmark(
        "CUHK Avenue in this toolkit's weakly-supervised split, since none is published.",
        "training_videos and testing_videos",
        "Avenue_Dataset",
        "the owners' 1_label.mat, 2_label.mat and so on",
        "ground_truth_demo/testing_label_mask",
    ),
    "cctv-fights": Benchmark(
        "The Surveillance Camera Fight Dataset, in this toolkit's split by source video.",
        "fight and noFight",
        "cctv_fights",
    ),
    "msad": Benchmark(
        "MSAD, evaluation protocol ii: 480 videos for training, 240 for test.",
        "the videos, in any folders",
        "MSAD",
    ),
    "shanghaitech": Benchmark(
        "ShanghaiTech Campus in the weakly-supervised split of Zhong et al.",
        "training/videos and testing/frames",
        "shanghaitech",
        "the owners' 01_0014.npy, 01_0015.npy and so on",
        "shanghaitech/testing/test_frame_mask",
    ),
    "tad": Benchmark(
        "TAD, the Traffic Anomaly Dataset: 400 videos for training, 100 for test.",
        "frames/abnormal and frames/normal",
        "TAD",
    ),
    "ubnormal": Benchmark(
        "UBnormal, with its validation side.",
        "Scene1 to Scene29",
        "UBnormal",
        "the owners' folders ..._annotations, whose maps of pixels are the only source of events",
        "UBnormal",
    ),
    "ucf-crime": Benchmark(
        "UCF-Crime: 1,610 videos for training, 290 for test.",
        "a folder a class, Training_Normal_Videos_Anomaly and Testing_Normal_Videos_Anomaly",
        "UCF_Crimes/Videos",
    ),
    "xd-violence": Benchmark(
        "XD-Violence: 3,954 videos for training, 800 for test.",
        "the videos, in any folders",
        "XD-Violence",
    ),
}


def binding_commands() -> list[click.Command]:
    """A command for each benchmark, and one for manifests that somebody shared."""
    return [*(_command(name, benchmark) for name, benchmark in BENCHMARKS.items()), shared]


def masks_option(help_text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--masks DIR`: take events from the masks in it."""
    return click.option("--masks", type=EXISTING_FOLDER, help=help_text)


def _command(name: str, benchmark: Benchmark) -> click.Command:
    def run(
        root: Path, out: Path, count: bool, allow_missing: bool, masks: Path | None = None
    ) -> None:
        from vad_toolkit.datasets.registry import shipped_dataset

        _bind(lambda: shipped_dataset(name), root, out, count, allow_missing, masks)

    example = f"vad manifest build {name} --root {benchmark.example_root} --out manifests/{name}"
    options = [root_option, out_option, count_option, allow_missing_option]
    if benchmark.masks is not None:
        options.append(
            masks_option(f"Take events from masks of frames or pixels: {benchmark.masks}.")
        )
        example += f" \\\n          --masks {benchmark.example_masks}"
    for option in reversed(options):
        run = option(run)
    text = (
        f"{benchmark.title}\n\nAs published, ROOT holds {benchmark.root}. {WAYS}\n\n"
        f"\b\nExample:\n  {example}"
    )
    return click.command(name, help=text)(run)


@click.command()
@click.argument("folder", type=EXISTING_FOLDER)
@root_option
@out_option
@count_option
@allow_missing_option
@masks_option("Take events from masks: VIDEO.npy, NUMBER_label.mat or folders VIDEO_annotations.")
def shared(
    folder: Path, root: Path, out: Path, count: bool, allow_missing: bool, masks: Path | None
) -> None:
    """Manifests that somebody shared: a FOLDER with dataset.toml, train.jsonl and test.jsonl.

    They are bound to the raw videos in ROOT as those of benchmarks are: videos may lie in other
    folders, under another suffix, or as folders of numbered images.

    \b
    Example:
      vad manifest build shared theirs --root videos --out manifests/theirs
    """
    from vad_toolkit.datasets.registry import read_dataset

    _bind(lambda: read_dataset(folder), root, out, count, allow_missing, masks)


def _bind(
    load: Callable[[], ShippedDataset],
    root: Path,
    out: Path,
    count: bool,
    allow_missing: bool,
    masks: Path | None,
) -> None:
    from vad_toolkit.datasets.building.binding import bind
    from vad_toolkit.datasets.building.build import refuse_existing
    from vad_toolkit.datasets.building.masks import with_masks

    refuse_existing(out)
    with progress_reporter() as progress:
        binding = bind(load(), root, count=count, progress=progress)
    for line in binding.lines():
        click.echo(line, err=True)
    built = binding.build(allow_missing)
    if masks is not None:
        with progress_reporter() as progress:
            built = with_masks(built, masks, progress=progress)
    write_built(built, out)
