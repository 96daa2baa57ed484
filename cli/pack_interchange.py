"""`vad pack import`, `export`, `compare`: published feature files into packs, out of them, against
them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    ANY_PATH,
    EXISTING,
    EXISTING_FILE,
    EXISTING_FOLDER,
    json_option,
    print_json,
    print_pairs,
    print_table,
    progress_reporter,
)

if TYPE_CHECKING:
    from vad_toolkit.datasets.manifest import Manifest
    from vad_toolkit.interchange.importing import ImportReport

LAYOUT_NAMES = ("rtfm", "per-crop", "ten-first", "video-features", "sultani")
SIDE_NAMES = ("train", "validation", "test", "all")

layout_option = click.option(
    "--layout", required=True, type=click.Choice(LAYOUT_NAMES), help="How the files are laid out."
)
crop_order_option = click.option(
    "--crop-order",
    metavar="NAME",
    help="Order of the crops in the files: torchvision, gowtham, deepmil or mmaction2.  "
    "[default: the layout's]",
)


@click.command("import")
@click.argument("folder", metavar="[INPUT]", type=EXISTING_FOLDER, required=False)
@layout_option
@click.option("--rgb", type=EXISTING_FOLDER, help="Folder of RGB features; the same as INPUT.")
@click.option("--flow", type=EXISTING_FOLDER, help="Folder of flow features.")
@click.option(
    "--manifest",
    "manifest_name",
    metavar="NAME-OR-FILE",
    required=True,
    help="The videos: a shipped dataset, such as ucf-crime, or a manifest file.",
)
@click.option(
    "--side",
    type=click.Choice(SIDE_NAMES),
    default="test",
    show_default=True,
    help="Of a shipped dataset.",
)
@click.option("--out", required=True, type=ANY_PATH, help="The pack to write (.h5); a new file.")
@click.option(
    "--list",
    "list_file",
    type=EXISTING_FILE,
    help="A published list: only the files that it names are taken, whatever their folders.",
)
@crop_order_option
@click.option(
    "--rule",
    metavar="NAME-OR-FILE",
    help="Ground-truth rule that says how many snippets a video has.  [default: the layout's]",
)
@click.option(
    "--features", default="not stated", help="Network and preprocessing in words, for the recipe."
)
@click.option("--license", "license_text", default="not stated", help="Terms of the features.")
@click.option("--allow-missing", is_flag=True, help="Accept videos without a file.")
@json_option
def import_command(
    folder: Path | None,
    layout: str,
    rgb: Path | None,
    flow: Path | None,
    manifest_name: str,
    side: str,
    out: Path,
    list_file: Path | None,
    crop_order: str | None,
    rule: str | None,
    features: str,
    license_text: str,
    allow_missing: bool,
    as_json: bool,
) -> None:
    """Make a pack of published feature files.

    Ids and frame counts come from the manifest. What does not fit (files of no video, videos of
    another snippet count than the rule gives) is told line by line. Features are rounded to
    float16.

    \b
    Examples:
      vad pack import UCF_Test_ten_crop_i3d --layout rtfm --manifest ucf-crime --out test.h5
      vad pack import --rgb RGB --flow Flow --layout per-crop --manifest xd-violence \\
          --side train --out train.h5
    """
    from vad_toolkit.interchange.importing import import_pack

    if folder and rgb:
        raise click.UsageError("INPUT and --rgb are the same: give one")
    if not (folder or rgb or flow):
        raise click.UsageError("give INPUT, or --rgb, --flow or both: folders of feature files")
    folders = {"rgb": folder or rgb, "flow": flow}
    manifest = _one_manifest(manifest_name, side)
    with progress_reporter() as progress:
        report = import_pack(
            {stream: root for stream, root in folders.items() if root is not None},
            layout,
            manifest,
            out,
            list_file=list_file,
            crop_order=crop_order,
            rule=rule,
            features=features,
            license=license_text,
            allow_missing=allow_missing,
            progress=progress,
        )
    for line in report.lines():
        click.echo(line, err=True)
    facts = _import_facts(report)
    if as_json:
        print_json(facts)
    else:
        print_pairs({name: _shown(name, value) for name, value in facts.items()})


@click.command("export")
@click.argument("file", metavar="PACK", type=EXISTING_FILE)
@layout_option
@click.option("--out", required=True, type=ANY_PATH, help="The folder to write; new or empty.")
@click.option(
    "--manifest",
    "manifest_name",
    metavar="NAME-OR-FILE",
    help="Write lists, and labels of test videos: a shipped dataset, or a manifest file.",
)
@click.option(
    "--side",
    type=click.Choice(SIDE_NAMES),
    help="Of a shipped dataset.  [default: all that the pack has; of a file: its name]",
)
@crop_order_option
@click.option(
    "--rule", metavar="NAME-OR-FILE", help="Ground-truth rule of the labels.  [default: the pack's]"
)
@click.option(
    "--path-prefix",
    metavar="TEXT",
    help="What lists have before the file names in place of the folder's absolute path.",
)
@json_option
def export_command(
    file: Path,
    layout: str,
    out: Path,
    manifest_name: str | None,
    side: str | None,
    crop_order: str | None,
    rule: str | None,
    path_prefix: str | None,
    as_json: bool,
) -> None:
    """Write PACK as feature files, with lists and label arrays that published code reads.

    Training lists have the abnormal videos first; test lists are in the manifest's order, which is
    that of the labels. Where labels would not fit the features, each video is named, no array is
    written, and the exit code is 1.

    \b
    Example:
      vad pack export test.h5 --layout rtfm --out files --manifest ucf-crime --side test
    """
    from vad_toolkit.interchange.exporting import export_pack
    from vad_toolkit.packs.pack import FeaturePack

    with FeaturePack.open(file) as opened, progress_reporter() as progress:
        report = export_pack(
            opened,
            layout,
            out,
            _sides(manifest_name, side, opened.ids) if manifest_name is not None else {},
            crop_order=crop_order,
            rule=rule,
            path_prefix=path_prefix,
            progress=progress,
        )
    for line in (*report.notes, *report.problems):
        click.echo(line, err=True)
    rows = [
        {"file": name, "lines": lines, "abnormal": abnormal}
        for name, (lines, abnormal) in {**report.lists, **report.arrays}.items()
    ]
    facts = {
        "out": str(out),
        "layout": report.layout,
        "crops": list(report.crops),
        "streams": list(report.streams),
        "videos": report.videos,
        "feature_files": report.files,
        "rule": report.rule,
        "videos_in_no_list": report.unlisted,
        "videos_not_in_the_pack": report.absent,
    }
    if as_json:
        print_json({**facts, "lists": rows, "problems": report.problems, "notes": report.notes})
    else:
        print_pairs({name: _shown(name, value) for name, value in facts.items()})
        if rows:
            click.echo()
            print_table(rows)
    if report.problems:
        raise SystemExit(1)


@click.command("compare")
@click.argument("a", metavar="A", type=EXISTING)
@click.argument("b", metavar="B", type=EXISTING)
@click.option(
    "--tolerance",
    default=0.999,
    show_default=True,
    type=click.FloatRange(-1, 1),
    help="The lowest cosine that counts as equal.",
)
@click.option("--videos", "with_videos", is_flag=True, help="List videos, streams and crops too.")
@json_option
def compare_command(a: Path, b: Path, tolerance: float, with_videos: bool, as_json: bool) -> None:
    """Compare features of A and B: packs, folders of feature files, or single files.

    Cosine and largest difference are measured for each video, stream and crop. Another order of the
    crops is found and named. The exit code is 1 where A and B have other videos or shapes, crops in
    another order than is stated, or a cosine below --tolerance.

    \b
    Examples:
      vad pack compare ours.h5 theirs.h5 --videos
      vad pack compare ours.h5 UCF_Test_ten_crop_i3d
    """
    from vad_toolkit.interchange.compare import compare_paths

    with progress_reporter() as progress:
        report = compare_paths(a, b, progress=progress)
    problems = report.problems(tolerance)
    rows = [
        {
            "video": id,
            "stream": stream,
            "crop": crop,
            "cosine_mean": part.cosine_mean,
            "cosine_lowest": part.cosine_lowest,
            "largest_difference": part.largest_difference,
        }
        for id, streams in report.result.videos.items()
        for stream, crops in streams.items()
        for crop, part in crops.items()
    ]
    summary = [
        {
            "stream": stream,
            "crop": crop,
            "snippets": part.rows,
            "cosine_mean": part.cosine_mean,
            "cosine_lowest": part.cosine_lowest,
            "largest_difference": part.largest_difference,
        }
        for (stream, crop), part in report.result.by_crop().items()
    ]
    if as_json:
        print_json(
            {
                "a": str(a),
                "b": str(b),
                "crops": [
                    {"names": match.names, "place_in_b": match.index, "note": match.text}
                    for match in report.result.crops.values()
                ],
                "summary": summary,
                "videos": rows,
                "problems": problems,
            }
        )
    else:
        print_table(rows if with_videos else summary)
        for match in report.result.crops.values():
            if match.stated and match.text:
                click.echo(match.text, err=True)
    for line in problems:
        click.echo(line, err=True)
    if problems:
        raise SystemExit(1)


INTERCHANGE = (import_command, export_command, compare_command)


def _one_manifest(name_or_file: str, side: str) -> Manifest:
    from vad_toolkit.datasets.manifest import Manifest
    from vad_toolkit.datasets.registry import DATASETS, find_manifest, load_dataset

    if side != "all" or name_or_file not in DATASETS:
        return find_manifest(name_or_file, "test" if side == "all" else side)
    dataset = load_dataset(name_or_file)
    return Manifest(tuple(dataset), dataset.info.name, dataset.info.rules)


def _sides(name_or_file: str, side: str | None, ids: tuple[str, ...]) -> dict[str, Manifest]:
    """The manifests that lists are wanted for, by side: those of which the pack has videos."""
    from vad_toolkit.datasets.registry import DATASETS, find_manifest, load_dataset

    if name_or_file not in DATASETS:
        stem = Path(name_or_file).stem
        chosen = side or (stem if stem in SIDE_NAMES else "all")
        if chosen == "all":
            raise click.UsageError(f"--side: say whether {name_or_file} is train or test")
        return {chosen: find_manifest(name_or_file, chosen)}
    if side not in (None, "all"):
        return {str(side): find_manifest(name_or_file, str(side))}
    sides = dict(load_dataset(name_or_file).sides)
    there = {name: part for name, part in sides.items() if not set(ids).isdisjoint(part.by_id)}
    return there or sides


def _import_facts(report: ImportReport) -> dict[str, Any]:
    return {
        "pack": str(report.pack),
        "dataset": report.dataset,
        "layout": report.layout,
        "rule": report.rule,
        "streams": dict(report.width),
        "crops": list(report.crops),
        "videos": report.videos,
        "snippets": report.snippets,
        "extra_files": report.extra,
        "listed_without_file": report.absent,
        "missing": report.missing,
        "cut": [list(row) for row in report.cut],
        "other_snippet_count": [
            {"id": id, "by_rule": wanted, "there": there} for id, wanted, there in report.misfits
        ],
        "snippet_count_not_checked": report.unchecked,
        "float16_largest_error": report.rounding_absolute,
        "float16_largest_relative_error": report.rounding_relative,
    }


def _shown(name: str, value: Any) -> str:
    """A fact on one line: the order of crops by its name, of lists that are told above a count."""
    if name == "crops":
        from vad_toolkit.core.crops import order_name

        return f"{len(value)}, {order_name(value) or ', '.join(value)}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item}" for key, item in value.items()) or "-"
    if name == "streams":
        return ", ".join(value)
    if isinstance(value, list):
        return str(len(value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
