"""What all `vad manifest build` commands share: options, and writing what was built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import ANY_PATH, EXISTING_FOLDER, print_table

if TYPE_CHECKING:
    from vad_toolkit.datasets.building.build import BuiltDataset

root_option = click.option(
    "--root", required=True, type=EXISTING_FOLDER, help="The folder of raw videos."
)
out_option = click.option(
    "--out", required=True, type=ANY_PATH, help="The folder to write the manifests into."
)
count_option = click.option(
    "--count", is_flag=True, help="Decode every video and count its frames: slow and exact."
)


def write_built(built: BuiltDataset, out: Path) -> None:
    """Write a dataset and say what it holds; exit with 1 where videos were left out."""
    from vad_toolkit.datasets.building.build import write_dataset
    from vad_toolkit.datasets.manifest import read_manifest
    from vad_toolkit.datasets.summary import summarise

    for line in (*built.notes, *(f"left out: {failure}" for failure in built.failures)):
        click.echo(line, err=True)
    rows: list[dict[str, Any]] = []
    for path in write_dataset(built, out)[1:]:  # the first is dataset.toml
        summary = summarise(read_manifest(path))
        rows.append(
            {
                "manifest": path,
                "videos": summary.videos,
                "normal": summary.normal,
                "abnormal": summary.abnormal,
                "sources": summary.sources,
                "events": summary.events,
            }
        )
    print_table(rows)
    if built.failures:
        raise SystemExit(1)
