"""`vad manifest`."""

from __future__ import annotations

import click


@click.group("manifest")
def manifest() -> None:
    """Not built yet."""
