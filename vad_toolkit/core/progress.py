"""How long work reports where it is: through a callback that the caller chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressEvent:
    """`done` of `total` `unit`s of `stage` ("extract", "frames"); `note` says what is in hand."""

    stage: str
    done: float
    total: float
    unit: str
    note: str = ""


ProgressCallback = Callable[[ProgressEvent], None]


def silent(event: ProgressEvent) -> None:
    """Report nothing: the default of every function that can report."""
