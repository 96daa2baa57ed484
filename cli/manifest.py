"""`vad manifest`: build, describe and check manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import (
    EXISTING_FILE,
    EXISTING_FOLDER,
    json_option,
    print_controls,
    print_json,
    print_pairs,
    print_table,
)
from .manifest_build import build


@click.group()
def manifest() -> None:
    """Build, describe and check manifests: lists of videos with labels and events."""


manifest.add_command(build)


@manifest.command()
@click.argument("dataset", metavar="DATASET|FILE")
@json_option
def info(dataset: str, as_json: bool) -> None:
    """Count the videos, classes, sources, frames and events of a dataset or of a manifest FILE.

    For a DATASET, given by its name, such as ucf-crime, its license, known traps, sides and
    published arrays of frame labels are printed too.

    \b
    Examples:
      vad manifest info ucf-crime
      vad manifest info manifests/cctv/test.jsonl --json
    """
    import dataclasses

    from vad_toolkit.datasets.registry import DATASETS, find_manifest, load_dataset
    from vad_toolkit.datasets.summary import summarize

    if dataset in DATASETS:
        loaded = load_dataset(dataset)
        sides = {
            side: dataclasses.asdict(summarize(manifest)) for side, manifest in loaded.sides.items()
        }
        _print_dataset(loaded.info.model_dump(mode="json"), sides, as_json)
        return
    values = dataclasses.asdict(summarize(find_manifest(dataset)))
    if as_json:
        print_json(values)
        return
    classes = values.pop("classes")
    print_pairs(
        {name.replace("_", " "): value for name, value in values.items()}
        | {f"class {name}": count for name, count in classes.items()}
    )


def _print_dataset(info: dict[str, Any], sides: dict[str, dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(info | {"sides": sides})
        return
    arrays, traps = info.pop("arrays"), info.pop("traps")
    info["rules"] = "; ".join(  # the dataset's changes of ground-truth rules
        f"{rule}: " + ", ".join(f"{field} {value}" for field, value in fields.items())
        for rule, fields in info["rules"].items()
    )
    info |= {f"sha256 of {side}": values.pop("sha256") for side, values in sides.items()}
    print_pairs({name.replace("_", " "): value or None for name, value in info.items()})
    for trap in traps:
        click.echo(f"trap: {trap}")
    click.echo()
    classes = {side: values.pop("classes") for side, values in sides.items()}
    rows: list[dict[str, Any]] = []
    for name in next(iter(sides.values())):
        if name != "dataset":
            counts = {side: values[name] for side, values in sides.items()}
            rows.append({"": name.replace("_", " ")} | counts)
    for name in sorted(set().union(*classes.values())):
        counts = {side: videos.get(name, 0) for side, videos in classes.items()}
        rows.append({"": f"class {name}"} | counts)
    print_table(rows)
    if arrays:
        click.echo()
        print_table([{"array": name} | values for name, values in arrays.items()])


@manifest.command()
@click.argument("manifest", metavar="DATASET|FILE")
@click.option("--root", type=EXISTING_FOLDER, help="Check that each video is in this folder.")
@click.option("--pack", type=EXISTING_FILE, help="Check that the videos fit this feature pack.")
@click.option(
    "--for",
    "side",
    type=click.Choice(["train", "validation", "test"]),
    help="Purpose of the manifest, and the side of a DATASET. Except in training, the events of "
    "abnormal videos must be known.  [default: train for a file train.jsonl, else test]",
)
@json_option
def check(manifest: str, side: str | None, as_json: bool, **options: Any) -> None:
    """Check a manifest: its lines, and whether its videos are in a folder and fit a pack.

    Problems are printed one per line; the exit code is 1 if there are any.

    \b
    Example:
      vad manifest check manifests/cctv/test.jsonl --root cctv_fights --pack cctv.h5
    """
    from vad_toolkit.datasets.registry import find_manifest
    from vad_toolkit.fit import check_manifest

    listed = find_manifest(manifest, side or "test")
    problems = check_manifest(listed, side=side, **options)
    if as_json:
        print_json({"videos": len(listed), "sha256": listed.sha256, "problems": problems})
    else:
        for problem in problems:
            click.echo(problem)
        click.echo(f"{len(listed)} videos, {len(problems)} problems", err=True)
    if problems:
        raise SystemExit(1)


@manifest.command()
@click.argument("manifest", metavar="DATASET|FILE")
@click.option(
    "--train",
    type=EXISTING_FILE,
    help="Training manifest of a FILE: the relation of length and label is learned from it, not "
    "from the test videos.",
)
@click.option(
    "--rule", default="frames", show_default=True, help="Ground-truth rule; see vad gt rules."
)
@json_option
def audit(manifest: str, train: Path | None, rule: str, as_json: bool) -> None:
    """Show which AUC is reached without looking at any video, and why.

    Controls are scores such as the length of a video or the nearness to its middle. A result says
    something about anomalies only as far as it exceeds them. Confounds are properties that tell
    abnormal from normal videos without any anomaly. See docs/controls.md.

    \b
    Examples:
      vad manifest audit shanghaitech
      vad manifest audit manifests/test.jsonl --train manifests/train.jsonl --json
    """
    from vad_toolkit.evaluation.audit import audit_manifest

    found = audit_manifest(manifest, train=train, rule=rule)
    if as_json:
        print_json(found.to_dict())
        return
    counts = found.counts
    print_pairs(
        {
            "dataset": found.dataset,
            "videos": f"{counts.videos}, {counts.abnormal_videos} abnormal",
            "frames": f"{counts.frames}, {counts.abnormal_frames} abnormal, rule {found.rule}",
        }
    )
    print_controls(found.controls)
    for confound in found.confounds:
        click.echo(f"confound: {confound}")
