"""`vad train`."""

from __future__ import annotations

import click


@click.command("train")
def train() -> None:
    """Not built yet."""
