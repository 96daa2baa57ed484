"""The run folder: what lies in it, who uses it, and whether it is this run's.

    run.json        settings, inputs, device, who was held out: what makes this run this run
    config.json     the settings alone, as `--config` takes them
    log.jsonl       losses and validation; locked while a process trains here
    tensorboard/    the same as scalars
    best.*, last.*  checkpoints
    state.safetensors  where a stopped run goes on; removed at the end
    result.json     what the run came to: written last, so that it marks a finished run

Never overwritten: a folder that holds anything else, or a run of other settings, is refused. The
same command goes on with a run that was stopped, and keeps one that is finished.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from vad_toolkit.core.files import TEMPORARY_MARK, write_json
from vad_toolkit.errors import InputError, VadError

RUN = "run.json"
CONFIG = "config.json"
RESULT = "result.json"
LOCK_SECONDS = 5.0  # what a process that was just killed may take to let go

Reached = Literal["new", "begun", "finished"]


def check_run_folder(out: Path, run: Mapping[str, Any] | None = None) -> Reached:
    """How far the run in folder `out` is.

    Args:
        run: what `run.json` has to hold; None where that is not known yet.

    Raises:
        InputError: something else is there, or a run that differs from `run`.
    """
    if not out.exists():
        return "new"
    stored = _read_run(out)
    if stored is None:
        if out.is_dir() and all(_is_trace(path) for path in out.iterdir()):
            return "new"
        raise InputError(
            f"{str(out)!r} exists and is not empty: a run never overwrites; name another"
        )
    if run is not None and (difference := _first_difference(stored, run)):
        raise InputError(
            f"{str(out)!r} holds another run ({difference}): a run never overwrites; name another "
            "folder, or give the settings of that run to go on with it"
        )
    return "finished" if (out / RESULT).is_file() else "begun"


def check_seeds_folder(out: Path) -> None:
    """Refuse a folder for `seed-*` folders that holds other things and none of them, or a run."""
    if (out / RUN).is_file():
        raise InputError(f"{str(out)!r} holds a run of one seed: name another folder for several")
    if not any(out.glob("seed-*")):
        check_run_folder(out)


@contextmanager
def claimed(out: Path, run: Mapping[str, Any]) -> Iterator[Reached]:
    """Hold a run folder, made where it is not there; gives how far its run is.

    Raises:
        InputError: as `check_run_folder`, or another process trains there.
    """
    check_run_folder(out, run)
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOG).open("ab") as log:
        _lock(log.fileno(), out)
        reached = check_run_folder(out, run)  # now that nobody else is at it
        for path in out.iterdir():
            if TEMPORARY_MARK in path.name and path.is_file():
                path.unlink()  # what a killed process was writing
        if reached == "new":
            write_json(out / RUN, run)
        if not (out / CONFIG).is_file():
            write_json(out / CONFIG, run["config"])
        yield reached


def _lock(descriptor: int, out: Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise InputError(f"{str(out)!r}: another process trains there") from None
            time.sleep(0.05)


def _is_trace(path: Path) -> bool:
    """What a process leaves that was killed before it had written `run.json`."""
    return path.is_file() and (
        TEMPORARY_MARK in path.name or (path.name == LOG and not path.stat().st_size)
    )


def _read_run(out: Path) -> dict[str, Any] | None:
    path = out / RUN
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): name another folder") from error
    return stored if isinstance(stored, dict) else {}


def _first_difference(stored: Mapping[str, Any], run: Mapping[str, Any], prefix: str = "") -> str:
    for key in [*run, *(stored.keys() - run.keys())]:
        old, new = stored.get(key), run.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if inner := _first_difference(old, new, f"{prefix}{key}."):
                return inner
        elif old != new:
            short = all(len(str(value)) <= 80 for value in (old, new))
            values = f" is {old!r} there, {new!r} here" if short else " differs"
            return f"{prefix}{key}{values}"
    return ""


# The log of a run: JSON lines and TensorBoard scalars, written as training goes.

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


# What a run came to: `result.json`, written last, so that it marks a finished run.


@dataclass(frozen=True)
class TrainResult:
    """What one run came to. AUCs are video-level, on validation videos; None without validation."""

    run: Path
    method: str
    seed: int
    steps: int
    best_step: int
    best_auc: float | None
    last_auc: float | None
    training_videos: int
    validation_videos: int
    notice: str | None  # where the validation split is not what was asked for
    reused: bool = False  # the run was finished before

    def write(self) -> None:
        """Write `result.json` into the run folder."""
        stored = asdict(self)
        del stored["run"], stored["reused"]
        write_json(self.run / RESULT, stored)


def read_result(run: Path, *, reused: bool) -> TrainResult:
    """The result of a finished run. Raises InputError where its file is damaged."""
    path = run / RESULT
    try:
        return TrainResult(run=run, reused=reused, **json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}): name another folder") from error
