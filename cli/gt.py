"""`vad gt`: frame-level ground truth as the one array that published code evaluates with."""

from __future__ import annotations

from pathlib import Path

import click

from .common import (
    ANY_PATH,
    EXISTING_FILE,
    json_option,
    print_json,
    print_pairs,
    print_table,
)


@click.group()
def gt() -> None:
    """Ground truth as global arrays of published code, made by named rules."""


@gt.command("export")
@click.argument("manifest", metavar="DATASET-or-FILE")
@click.option("--rule", required=True, metavar="RULE-or-FILE", help="See vad gt rules.")
@click.option("--out", type=ANY_PATH, required=True, help="New .npy file.")
@click.option(
    "--list", "order", type=ANY_PATH, help="New text file: id and label count of each video."
)
@click.option(
    "--pack", type=EXISTING_FILE, help="Refuse where its snippets do not cover these labels."
)
@click.option(
    "--side",
    type=click.Choice(("train", "validation", "test")),
    default="test",
    show_default=True,
    help="Of a shipped dataset.",
)
@json_option
def export(
    manifest: str,
    rule: str,
    out: Path,
    order: Path | None,
    pack: Path | None,
    side: str,
    as_json: bool,
) -> None:
    """Write the labels of all videos as one array, in the manifest's order.

    Of shipped datasets that is the order of the published lists. Inside, ground truth is bound to
    each video's id; see docs/ground-truth.md for what the rules are and who uses which.

    \b
    Examples:
      vad gt export ucf-crime --rule deepmil --out gt-ucf.npy --list gt-ucf.txt
      vad gt export test.jsonl --rule mine.toml --pack test.h5 --out gt.npy
    """
    from vad_toolkit.datasets.registry import find_manifest
    from vad_toolkit.datasets.truth.global_labels import global_labels, write_global_labels

    listed = find_manifest(manifest, side)
    if pack is not None:
        from vad_toolkit.evaluation.ground_truth import check_label_counts
        from vad_toolkit.packs.pack import FeaturePack

        with FeaturePack.open(pack) as opened:
            check_label_counts(listed, opened, rule)
    array = global_labels(listed, rule)
    digest = write_global_labels(array, out, order)
    values = {
        "videos": len(array.ids),
        "length": len(array.labels),
        "abnormal": array.abnormal,
        "dtype": str(array.labels.dtype),
        "sha256": digest,
    }
    if as_json:
        print_json(values | {"out": str(out), "list": order and str(order)})
    else:
        print_pairs(values)


@gt.command()
@click.option("--dataset", metavar="DATASET-or-FILE", help="Rules as this dataset reads them.")
@json_option
def rules(dataset: str | None, as_json: bool) -> None:
    """List the ground-truth rules: what they count, how they round, and what fills the tail.

    \b
    Examples:
      vad gt rules
      vad gt rules --dataset shanghaitech --json
    """
    from vad_toolkit.datasets.registry import find_manifest
    from vad_toolkit.datasets.truth.rules import RULES, load_rule

    changes = find_manifest(dataset).rules if dataset else {}
    rows = []
    for name in dict.fromkeys((*RULES, *changes)):
        _, rule = load_rule(name, changes)
        rows.append({"rule": name, **rule.model_dump(mode="json")})
    if as_json:
        print_json(rows)
    else:
        print_table(rows)
