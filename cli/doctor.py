"""`vad doctor`."""

from __future__ import annotations

import click


@click.command("doctor")
def doctor() -> None:
    """Not built yet."""
