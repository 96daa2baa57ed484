"""`vad weights`."""

from __future__ import annotations

import click


@click.group("weights")
def weights() -> None:
    """Not built yet."""
