"""Run folders: their files, their lock, and the check that a folder belongs to a run.

    run.json        config, inputs, device and validation split: the identity of the run
    config.json     the config alone, as `--config` takes it
    log.jsonl       losses and validation results; locked while a process trains in the folder
    tensorboard/    the same numbers as TensorBoard scalars
    best.*, last.*  checkpoints
    state.safetensors  the state from which a stopped run resumes; removed at the end
    result.json     the result; written last, so that it marks a finished run

Nothing is overwritten: a folder with other contents, or with a run of another identity, is an
error. The same command resumes a stopped run and keeps a finished one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from vad_toolkit.core.files import TEMPORARY_MARK, check_new_folder, write_json
from vad_toolkit.core.locks import locked, remove_temporaries
from vad_toolkit.errors import InputError, VadError
from vad_toolkit.training.state import flatten

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

RUN = "run.json"
CONFIG = "config.json"
LOG = "log.jsonl"
RESULT = "result.json"
LOCK_SECONDS = 5.0  # a process that was just killed may need this long to release its lock

RunStatus = Literal["new", "begun", "finished"]


def check_run_folder(out: Path, run: Mapping[str, Any] | None = None) -> RunStatus:
    """Return the status of the run in folder `out`, which may be missing.

    Raises:
        InputError: If the folder has other contents, or its run differs from `run`, the expected
            contents of `run.json`, by more than the toolkit's version. If None, any run will do.
    """
    if not (out / RUN).is_file():
        if not (out.is_dir() and all(_is_trace(path) for path in out.iterdir())):
            check_new_folder(out, "runs")
        return "new"
    with _reading(out / RUN) as text:
        stored = dict(json.loads(text))
    if run is not None:
        old, new = _identity(stored), _identity(run)
        for key in [*new, *(old.keys() - new.keys())]:
            if (was := old.get(key)) != (now := new.get(key)):
                short = len(str(was)) <= 80 and len(str(now)) <= 80
                difference = f"{key} is {was!r} there, {now!r} here" if short else f"{key} differs"
                raise InputError(
                    f"{str(out)!r} holds another run ({difference}); choose another --out, or "
                    "resume that run with its own settings (runs are never overwritten)"
                )
    return "finished" if (out / RESULT).is_file() else "begun"


def check_seeds_folder(out: Path) -> None:
    """Raise InputError if `out` holds a run of one seed, or other contents and no seed-* folder."""
    if (out / RUN).is_file():
        raise InputError(f"{str(out)!r} holds a run of one seed; choose another --out for several")
    if not any(out.glob("seed-*")):
        check_run_folder(out)


@contextmanager
def claimed(out: Path, run: Mapping[str, Any]) -> Iterator[RunStatus]:
    """Hold the lock of a run folder, which is created if missing; yield the status of its run.

    The contents of `run.json` are `run`; its "config" is also written to `config.json`.

    Raises:
        InputError: As `check_run_folder`, or if another process trains in the folder.
    """
    check_run_folder(out, run)
    out.mkdir(parents=True, exist_ok=True)
    busy = f"another process trains in {str(out)!r}; wait for its end, or choose another --out"
    with locked(out / LOG, wait_seconds=LOCK_SECONDS, busy=busy):
        status = check_run_folder(out, run)  # again: nobody else can change it now
        remove_temporaries(out)
        if status == "new":
            write_json(out / RUN, run)
        if not (out / CONFIG).is_file():
            write_json(out / CONFIG, run["config"])
        yield status


def _is_trace(path: Path) -> bool:
    """Return whether a process that was killed before it wrote `run.json` may have left `path`."""
    return path.is_file() and (
        TEMPORARY_MARK in path.name or (path.name == LOG and not path.stat().st_size)
    )


@contextmanager
def _reading(path: Path) -> Iterator[str]:
    try:
        yield path.read_text(encoding="utf-8")
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}); choose another --out") from error


def _identity(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells runs apart: not the toolkit's version, nor the text of the notice."""
    flat = flatten(run)
    return {key: flat[key] for key in flat if key not in ("notice", "versions.vad-toolkit")}


class RunLog:
    """The log of a run: a line of `log.jsonl` and TensorBoard scalars for each logged step.

    A context manager. Entries after `step`, from an earlier run that was killed, are removed: the
    log keeps its first `keep_bytes`, and TensorBoard is told to ignore later steps.
    """

    def __init__(self, out: Path, tensorboard: bool, step: int = 0, keep_bytes: int = 0) -> None:
        """Open the log in the run folder. Raises VadError if it is shorter than `keep_bytes`."""
        path = out / LOG
        self._lines: BinaryIO = path.open("ab")
        if os.fstat(self._lines.fileno()).st_size < keep_bytes:
            self._lines.close()
            raise VadError(
                f"{path} has lost lines since its run was stopped; train again elsewhere"
            )
        self._lines.truncate(keep_bytes)
        self._writer: SummaryWriter | None = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # slow to import

            folder = out / "tensorboard"
            purge_step = step + 1 if folder.is_dir() else None
            self._writer = SummaryWriter(str(folder), purge_step=purge_step)

    def write(self, step: int, group: str, values: Mapping[str, float]) -> None:
        """Write the numbers of a step; `group` is "train" or "validation"."""
        line = json.dumps({"step": step, "group": group, **values})
        self._lines.write(f"{line}\n".encode())
        self._lines.flush()
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def sync(self) -> int:
        """Flush everything to the disk, and return the size of `log.jsonl` in bytes."""
        os.fsync(self._lines.fileno())
        if self._writer is not None:
            self._writer.flush()
        return os.fstat(self._lines.fileno()).st_size

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        if self._writer is not None:
            self._writer.close()


@dataclass(frozen=True)
class RunResult:
    """The result of one run, which can be used as the path of its folder.

    AUCs are video-level, on the validation videos; None without validation.
    """

    run: Path  # the run folder
    method: str
    seed: int
    steps: int
    best_step: int  # of best.safetensors
    best_auc: float | None
    last_auc: float | None
    training_videos: int
    validation_videos: int
    notice: str | None  # tells how the validation split differs from the requested one
    reused: bool = False  # True if the run had been finished before

    def __fspath__(self) -> str:
        return str(self.run)

    def write(self) -> None:
        """Write `result.json` into the run folder."""
        stored = {k: v for k, v in vars(self).items() if k not in ("run", "reused")}
        write_json(self.run / RESULT, stored)


def read_result(run: Path, *, reused: bool) -> RunResult:
    """Read the result of a finished run. Raises InputError if its file is damaged."""
    with _reading(run / RESULT) as text:
        return RunResult(run=run, reused=reused, **json.loads(text))
