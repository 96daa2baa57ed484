"""`vad predict`."""

from __future__ import annotations

import click


@click.command("predict")
def predict() -> None:
    """Not built yet."""
