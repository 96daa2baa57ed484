"""The log of a run: JSON lines and TensorBoard scalars, written as training goes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from vad_toolkit.errors import VadError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG = "log.jsonl"
TENSORBOARD = "tensorboard"


class RunLog:
    """Context manager: numbers of a step as a line of `log.jsonl` and as TensorBoard scalars.

    What was written after `step` of an earlier, killed run is cut off: the log keeps its first
    `keep_bytes`, and TensorBoard is told to pass over later steps.
    """

    def __init__(self, out: Path, *, tensorboard: bool, step: int = 0, keep_bytes: int = 0) -> None:
        """Open the log of run folder `out`, which is there.

        Raises:
            VadError: the log is shorter than `keep_bytes`.
        """
        path = out / LOG
        self._lines: BinaryIO = path.open("ab")
        if os.fstat(self._lines.fileno()).st_size < keep_bytes:
            self._lines.close()
            raise VadError(f"{path} has lost lines since its run was stopped: train anew elsewhere")
        self._lines.truncate(keep_bytes)
        self._writer: SummaryWriter | None = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # takes a while to import

            folder = out / TENSORBOARD
            self._writer = SummaryWriter(
                str(folder), purge_step=step + 1 if folder.is_dir() else None
            )

    def write(self, step: int, group: str, values: Mapping[str, float]) -> None:
        """One line: step, which `group` ("train" or "validation"), and its numbers."""
        line = json.dumps({"step": step, "group": group, **values})
        self._lines.write(f"{line}\n".encode())
        self._lines.flush()
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def sync(self) -> int:
        """Bring all that was written to the disk; the number of bytes in `log.jsonl`."""
        os.fsync(self._lines.fileno())
        if self._writer is not None:
            self._writer.flush()
        return os.fstat(self._lines.fileno()).st_size

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
