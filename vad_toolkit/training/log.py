"""The run folder: never overwritten; JSON lines and TensorBoard scalars as training goes.

config.json    the whole config        run.json      inputs, device, who was held out
log.jsonl      losses and validation   tensorboard/  the same as scalars
best.*, last.* checkpoints
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from vad_toolkit.errors import InputError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"
TENSORBOARD = "tensorboard"


def check_run_folder(out: Path) -> None:
    """Refuse a place that something is in already. Raises InputError."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise InputError(
            f"{str(out)!r} exists and is not empty: a run never overwrites; name another"
        )


class RunLog:
    """Context manager: numbers of a step as a line of `log.jsonl` and as TensorBoard scalars."""

    def __init__(self, out: Path, tensorboard: bool) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._lines: TextIO = (out / LOG).open("w", encoding="utf-8")
        self._writer: SummaryWriter | None = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # takes a while to import

            self._writer = SummaryWriter(str(out / TENSORBOARD))

    def write(self, step: int, group: str, values: Mapping[str, float]) -> None:
        """One line: step, which `group` ("train" or "validation"), and its numbers."""
        self._lines.write(json.dumps({"step": step, "group": group, **values}) + "\n")
        self._lines.flush()
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        if self._writer is not None:
            self._writer.close()
