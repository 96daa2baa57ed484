"""`vad gt`: frame-level ground truth as the single array that published code evaluates with."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from .common import ANY_PATH, EXISTING_FILE, json_option, print_json, print_pairs, print_table


@click.group()
def gt() -> None:
    """Write ground truth as the global arrays of published code, by named rules."""


@gt.command("export")
@click.argument("manifest", metavar="DATASET|FILE")
@click.option(
    "--rule", required=True, metavar="RULE|FILE", help="Ground-truth rule; see vad gt rules."
)
@click.option("--out", type=ANY_PATH, required=True, help="New .npy file.")
@click.option(
    "--list", "order", type=ANY_PATH, help="New text file: id and label count of each video."
)
@click.option(
    "--pack", type=EXISTING_FILE, help="Require that the snippets of this pack cover these labels."
)
@click.option(
    "--side",
    type=click.Choice(("train", "validation", "test")),
    default="test",
    show_default=True,
    help="Side of a DATASET.",
)
@json_option
def export(manifest: str, rule: str, as_json: bool, **options: Any) -> None:
    """Write the frame labels of all videos as one array, in the manifest's order.

    For benchmark datasets this is the order of the published lists. docs/ground-truth.md describes
    the rules and lists who uses which.

    \b
    Examples:
      vad gt export ucf-crime --rule deepmil --out gt-ucf.npy --list gt-ucf.txt
      vad gt export test.jsonl --rule mine.toml --pack test.h5 --out gt.npy
    """
    from vad_toolkit.evaluation.ground_truth import export_ground_truth

    values = dataclasses.asdict(export_ground_truth(manifest, rule, **options))
    out, order = values.pop("out"), values.pop("order")
    if as_json:
        print_json(values | {"out": str(out), "list": order and str(order)})
    else:
        print_pairs(values)


@gt.command()
@click.option("--dataset", metavar="DATASET|FILE", help="Show the rules as this dataset has them.")
@json_option
def rules(dataset: str | None, as_json: bool) -> None:
    """List the ground-truth rules: frame count, rounding, ends of events and tail.

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
