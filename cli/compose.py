"""`vad compose`."""

from __future__ import annotations

import click


@click.command("compose")
def compose() -> None:
    """Not built yet."""
