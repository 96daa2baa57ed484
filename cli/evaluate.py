"""`vad eval`."""

from __future__ import annotations

import click


@click.command("eval")
def evaluate() -> None:
    """Not built yet."""
