"""`vad extract`."""

from __future__ import annotations

import click


@click.command("extract")
def extract() -> None:
    """Not built yet."""
