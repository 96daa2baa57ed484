"""`vad pack`."""

from __future__ import annotations

import click


@click.group("pack")
def pack() -> None:
    """Not built yet."""
