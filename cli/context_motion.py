"""`vad context-motion`: datasets in which only motion and surroundings together tell anything."""

from __future__ import annotations

from pathlib import Path

import click

from .common import ANY_PATH, json_option, print_json, print_table, progress_reporter

LEVELS = ("same", "near", "far")


level_option = click.option(
    "--level",
    type=click.Choice(LEVELS),
    required=True,
    help="Where the surroundings of a motion are seen: in the same snippet, in the one before or "
    "after, or only far from it in the video.",
)
seed_option = click.option(
    "--seed", default=0, show_default=True, help="Seed of all that is drawn."
)
TRAIN = "Training videos of each label (16, 32, ...)."
TEST = "Test videos of each label."


@click.group("context-motion")
def context_motion() -> None:
    """A synthetic benchmark: motion alone and surroundings alone tell nothing.

    Only their relation distinguishes abnormal videos from normal ones. docs/context-motion.md shows
    what can be reached at each level, and why.
    """


@context_motion.command()
@level_option
@seed_option
@click.option("--train", default=160, show_default=True, help=TRAIN)
@click.option("--test", default=64, show_default=True, help=TEST)
@click.option("--crops", default=1, show_default=True, help="1, 5 or 10; they differ in noise.")
@click.option("--out", type=ANY_PATH, required=True, help="New or empty folder.")
@json_option
def vectors(
    level: str, seed: int, train: int, test: int, crops: int, out: Path, as_json: bool
) -> None:
    """Draw a dataset of feature vectors: a pack with both splits, and their manifests.

    Prints what scores can reach on the test videos: the ROC-AUC of oracles that know how the
    vectors were drawn and see motions only, surroundings only, a window, or the whole video.

    \b
    Example:
      vad context-motion vectors --level far --out far
      vad train --pack far/pack.h5 --manifest far/train.jsonl --out run --config context-motion
      vad eval run --pack far/pack.h5 --manifest far/test.jsonl
    """
    from vad_toolkit.experiments.context_motion.courses import Level, Size, plan_videos
    from vad_toolkit.experiments.context_motion.oracles import reach
    from vad_toolkit.experiments.context_motion.vectors import draw_codes, write_vectors

    size = Size(train, test)
    with progress_reporter() as progress:
        write_vectors(out, Level(level), seed, size, crops, progress)
    plans = [plan for plan in plan_videos(size, seed) if plan.split == "test"]
    row = reach(plans, Level(level), draw_codes(seed))
    if as_json:
        print_json({"level": level, "seed": seed, "out": str(out), "reach": row})
    else:
        print_table([{"oracle": name, "auc": value} for name, value in row.items()])


@context_motion.command()
@level_option
@seed_option
@click.option("--train", default=80, show_default=True, help=TRAIN)
@click.option("--test", default=32, show_default=True, help=TEST)
@click.option(
    "--jobs", default=-1, show_default="one per core", help="Processes that draw in parallel."
)
@click.option("--out", type=ANY_PATH, required=True, help="New folder, or one of the same dataset.")
@json_option
def videos(
    level: str, seed: int, train: int, test: int, jobs: int, out: Path, as_json: bool
) -> None:
    """Render a dataset of videos for the real I3D: figures at their spots, or in close-up.

    160 x 128 pixels; with resize=128 and crop_size=112, extraction is about four times as fast as
    at the usual size. The same command again draws only missing videos.

    \b
    Example:
      vad context-motion videos --level far --out far
      vad extract far/videos --recipe i3d-rgb-center --set resize=128 --set crop_size=112 \\
                  --out far/features.h5
      vad ablate --pack far/features.h5 --manifest far/manifests/train.jsonl \\
                 --test far/manifests/test.jsonl --config clav-como-small --out far/parts
    """
    from vad_toolkit.experiments.context_motion.courses import Level, Size
    from vad_toolkit.experiments.context_motion.videos import render_videos

    size = Size(train, test)
    with progress_reporter() as progress:
        made = render_videos(out, Level(level), seed, size, jobs=jobs, progress=progress)
    row = {
        "videos": str(made.videos),
        "train": str(made.train),
        "test": str(made.test),
        "rendered": made.rendered,
        "reused": made.reused,
    }
    print_json(row) if as_json else print_table([row])
