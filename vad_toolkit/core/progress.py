"""Progress events of long work, reported through a callback that the caller chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressEvent:
    """Progress of one stage of work.

    Attributes:
        stage: The stage, such as "extract".
        done: The finished units.
        total: All units; may be an estimate that changes.
        unit: The unit in the plural, such as "frames".
        note: The current item.
    """

    stage: str
    done: float
    total: float
    unit: str
    note: str = ""


ProgressCallback = Callable[[ProgressEvent], None]


def silent(event: ProgressEvent) -> None:
    """Ignore an event: the default wherever progress can be reported."""
