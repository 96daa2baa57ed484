"""`vad pack import`, `export` and `compare`: packs and published feature files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .common import (
    ANY_PATH,
    EXISTING,
    EXISTING_FILE,
    EXISTING_FOLDER,
    Function,
    json_option,
    print_json,
    print_pairs,
    print_table,
    progress_reporter,
)

LAYOUT_NAMES = ("rtfm", "per-crop", "ten-first", "video-features", "sultani")
SIDE_NAMES = ("train", "validation", "test", "all")

crop_order_option = click.option(
    "--crop-order",
    metavar="NAME",
    help="Order of the crops in the files: torchvision, gowtham, deepmil or mmaction2.  "
    "[default: the layout's]",
)


def layout_option(help_text: str, required: bool) -> Callable[[Function], Function]:
    """Return `--layout NAME`; plugins may add to the built-in names, which the help lists."""
    names = f"{', '.join(LAYOUT_NAMES[:-1])} or {LAYOUT_NAMES[-1]}"
    return click.option(
        "--layout", required=required, metavar="NAME", help=f"{help_text}: {names}."
    )


@click.command("import")
@click.argument("folder", metavar="[INPUT]", type=EXISTING_FOLDER, required=False)
@layout_option("Layout of the files. By default recognized by names and shapes", required=False)
@click.option("--rgb", type=EXISTING_FOLDER, help="Folder of RGB features; the same as INPUT.")
@click.option("--flow", type=EXISTING_FOLDER, help="Folder of flow features.")
@click.option(
    "--manifest",
    metavar="NAME-OR-FILE",
    required=True,
    help="The videos: a dataset such as ucf-crime, or a manifest file.",
)
@click.option(
    "--side",
    type=click.Choice(SIDE_NAMES),
    default="test",
    show_default=True,
    help="Side of a dataset.",
)
@click.option("--out", required=True, type=ANY_PATH, help="The pack to write (.h5), a new file.")
@click.option(
    "--list",
    "list_file",
    type=EXISTING_FILE,
    help="A published list: import only the files or videos that it names.",
)
@crop_order_option
@click.option(
    "--rule",
    metavar="NAME-OR-FILE",
    help="Ground-truth rule, which gives a video's number of snippets.  [default: the layout's]",
)
@click.option(
    "--features", default="not stated", help="Network and preprocessing in words, for the recipe."
)
@click.option("--license", default="not stated", help="License of the features.")
@click.option("--allow-missing", is_flag=True, help="Accept videos without a file.")
@json_option
def import_command(
    folder: Path | None, rgb: Path | None, flow: Path | None, as_json: bool, **options: Any
) -> None:
    """Write a pack of published feature files.

    Ids and frame counts come from the manifest. Files of no video and videos with another number of
    snippets than the rule gives are listed on stderr. Features are rounded to float16.

    \b
    Examples:
      vad pack import UCF_Test_ten_crop_i3d --layout rtfm --manifest ucf-crime --out test.h5
      vad pack import --rgb RGB --flow Flow --layout per-crop --manifest xd-violence \\
          --side train --out train.h5
    """
    from vad_toolkit.interchange.importing import import_features

    if folder and rgb:
        raise click.UsageError("INPUT and --rgb mean the same; give only one of them")
    if not (folder or rgb or flow):
        raise click.UsageError("no feature files given; give INPUT, or --rgb, --flow or both")
    folders = {"rgb": folder or rgb, "flow": flow}
    source = {stream: root for stream, root in folders.items() if root is not None}
    with progress_reporter() as progress:
        report = import_features(source, progress=progress, **options)
    for line in report.lines():
        click.echo(line, err=True)
    _print_facts(report.to_dict(), as_json)


@click.command("export")
@click.argument("pack", metavar="PACK", type=EXISTING_FILE)
@layout_option("Layout of the files", required=True)
@click.option("--out", required=True, type=ANY_PATH, help="The folder to write, new or empty.")
@click.option(
    "--manifest",
    metavar="NAME-OR-FILE",
    help="Also write lists, and labels of test videos: a dataset, or a manifest file.",
)
@click.option(
    "--side",
    type=click.Choice(SIDE_NAMES),
    help="Side of the manifest.  [default: all sides that the pack has; of a file: its name]",
)
@crop_order_option
@click.option(
    "--rule", metavar="NAME-OR-FILE", help="Ground-truth rule of the labels.  [default: the pack's]"
)
@click.option(
    "--path-prefix",
    metavar="TEXT",
    help="Start of the paths in lists, instead of the folder's absolute path.",
)
@json_option
def export_command(pack: Path, as_json: bool, **options: Any) -> None:
    """Write PACK as feature files, with the lists and label arrays that published code reads.

    Training lists have the abnormal videos first; test lists are in the manifest's order, like the
    labels. If labels do not fit the features, each video is named, no array is written, and the
    exit code is 1.

    \b
    Example:
      vad pack export test.h5 --layout rtfm --out files --manifest ucf-crime --side test
    """
    from vad_toolkit.interchange.exporting import export_features

    with progress_reporter() as progress:
        report = export_features(pack, progress=progress, **options)
    for line in (*report.notes, *report.problems):
        click.echo(line, err=True)
    facts = report.to_dict()
    rows = facts["lists"]
    _print_facts(facts, as_json, hide=("lists", "problems", "notes"))
    if rows and not as_json:
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
@click.option("--videos", "with_videos", is_flag=True, help="List videos, modalities and crops.")
@json_option
def compare_command(a: Path, b: Path, tolerance: float, with_videos: bool, as_json: bool) -> None:
    """Compare the features of A and B: packs, folders of feature files, or single files.

    Cosine and largest difference are measured per video, modality and crop. If the crops are in
    another order, it is found and named. The exit code is 1 if videos or shapes differ, crops are
    in another order than stated, or a cosine is below --tolerance.

    \b
    Examples:
      vad pack compare ours.h5 theirs.h5 --videos
      vad pack compare ours.h5 UCF_Test_ten_crop_i3d
    """
    from vad_toolkit.interchange.compare import compare

    with progress_reporter() as progress:
        result = compare(a, b, progress=progress)
    problems = result.problems(tolerance)
    rows = [
        {"video": id, "stream": stream, "crop": crop, **part.to_dict()}
        for id, streams in result.videos.items()
        for stream, crops in streams.items()
        for crop, part in crops.items()
    ]
    summary = [
        {"stream": stream, "crop": crop, "snippets": part.rows, **part.to_dict()}
        for (stream, crop), part in result.by_crop().items()
    ]
    matches = result.crops.values()
    if as_json:
        crops = [{"names": m.names, "place_in_b": m.index, "note": m.text} for m in matches]
        found = {"crops": crops, "summary": summary, "videos": rows, "problems": problems}
        print_json({"a": str(a), "b": str(b)} | found)
    else:
        print_table(rows if with_videos else summary)
        for match in matches:
            if match.stated and match.text:
                click.echo(match.text, err=True)
    for line in problems:
        click.echo(line, err=True)
    if problems:
        raise SystemExit(1)


INTERCHANGE = (import_command, export_command, compare_command)


def _print_facts(facts: dict[str, Any], as_json: bool, hide: tuple[str, ...] = ()) -> None:
    if as_json:
        print_json(facts)
    else:
        print_pairs({name: _shown(name, it) for name, it in facts.items() if name not in hide})


def _shown(name: str, value: Any) -> str:
    """Return a fact as one line: crops by the name of their order, other lists as a count."""
    if name == "crops":
        from vad_toolkit.core.crops import order_name

        return f"{len(value)}, {order_name(value) or ', '.join(value)}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item}" for key, item in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(value) if name == "streams" else str(len(value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
