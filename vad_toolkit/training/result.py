"""What a run came to: `result.json`, written last, so that it marks a finished run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from vad_toolkit.errors import InputError
from vad_toolkit.files import write_json
from vad_toolkit.training.folder import RESULT


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
