"""Progress events of long work, reported through a callback that the caller chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressEvent:
    """Progress of one stage of work."""

    stage: str  # such as "extract"
    done: float  # finished units
    total: float  # all units; may be an estimate that changes
    unit: str  # in the plural, such as "frames"
    note: str = ""  # the current item


ProgressCallback = Callable[[ProgressEvent], None]


def silent(event: ProgressEvent) -> None:
    """Ignore an event: the default wherever progress can be reported."""
