"""Scores, alarms and a plot for new videos. The checkpoint says how features are made.

For each video, a file or a folder of frames, under its name (the path below the folder that was
named, without suffix):

    <name>.csv     frame,seconds,score
    <name>.json    alarms, and everything that decides them
    <name>.png     scores over time, with threshold and alarms

A video that cannot be used is a line in `failures.jsonl`; the others go on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.device import pick_device
from vad_toolkit.core.files import atomic_path, check_unused, sha256_file, write_json, write_text
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.errors import InputError, VadError
from vad_toolkit.extraction.extractor import Extractor
from vad_toolkit.extraction.failures import FAILURES, Failure
from vad_toolkit.extraction.meter import Meter
from vad_toolkit.extraction.sources import VideoSource, list_sources
from vad_toolkit.models.early_fusion import join
from vad_toolkit.packs.video import VideoMeta
from vad_toolkit.packs.write import creator_versions
from vad_toolkit.plots.timeline import plot_scores
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.scoring.alarms import Alarm, AlarmRule, find_alarms, known_fps
from vad_toolkit.scoring.frame_scores import frame_scores
from vad_toolkit.scoring.snippet_scores import score_snippets
from vad_toolkit.training.checkpoint import Checkpoint, load_checkpoint
from vad_toolkit.video.open import check_options

FORMAT = "vad-prediction"
FORMAT_VERSION = 1
LOST_FRAMES = "damaged, copies in the place of lost frames: {}"
NO_FRAME_RATE = "the video states no frame rate: seconds are left out (give it with --fps)"
GIVEN_FRAME_RATE = "the video states no frame rate: {:g} frames a second were given"
NOTHING_MERGED = "without a frame rate, merge_seconds and min_seconds were not applied"


@dataclass(frozen=True)
class Prediction:
    """One scored video. `fps` and `seconds` are None where no frame rate was stated or given."""

    name: str
    path: Path
    frames: int
    fps: float | None
    seconds: float | None
    max_score: float
    mean_score: float
    alarms: tuple[Alarm, ...]
    notes: tuple[str, ...]
    csv: Path
    json: Path
    plot: Path | None


@dataclass(frozen=True)
class PredictSummary:
    """What a prediction did. `failures` are the videos that could not be used, and why."""

    out: Path
    predictions: tuple[Prediction, ...]
    failures: tuple[Failure, ...]


def predict(
    checkpoint: Path,
    videos: Sequence[Path],
    out: Path,
    *,
    threshold: float = 0.5,
    merge_seconds: float = 0.0,
    min_seconds: float = 0.0,
    fps: float | None = None,
    device: str = "auto",
    decoder: str = "auto",
    timeout_seconds: float = 60.0,
    allow_damaged: int = 0,
    plots: bool = True,
    progress: ProgressCallback = silent,
) -> PredictSummary:
    """Score every frame of `videos`, files, frame folders or folders of these; write into `out`.

    A finished video's files are there at once, so that a killed run leaves what it had done.

    Args:
        checkpoint: a .safetensors file, or the folder of one run (its best step).
        out: a new or empty folder.
        threshold, merge_seconds, min_seconds: which stretches are alarms; see `AlarmRule`.
        fps: frames a second of videos that state none, as folders of frames; not used for others.
        timeout_seconds: the longest wait for a video to open, and for its next frames.
        allow_damaged: how many lost frames of a video file copies may take the place of.
        progress: counts frames, of the videos that were begun; the note says which is in hand.

    Raises:
        InputError: no videos, two with one name, files in `out`, or a value that is not allowed.
        WeightsError: the backbone's weights are not in the cache, or the checkpoint is damaged.
    """
    rule = AlarmRule(threshold, merge_seconds, min_seconds)
    if fps is not None and known_fps(fps) is None:
        raise InputError(f"fps {fps} has to be more than 0 frames a second, such as 25")
    check_options(decoder, allow_damaged)
    check_unused(out)
    sources = [replace(source, fps=fps) for source in list_sources(videos)]
    place = pick_device(device)
    loaded = load_checkpoint(checkpoint, place)
    recipe = loaded.recipe
    if isinstance(recipe, ImportedRecipe):
        raise InputError(
            f"{loaded.path} was trained on imported features ({recipe.layout}: {recipe.features}), "
            "which cannot be made of a video here; train on a pack of vad extract"
        )
    writer = _Writer(out, loaded, rule, fps, plots)

    predictions: list[Prediction] = []
    failures: list[Failure] = []
    extractor = Extractor(recipe, device, decoder, timeout_seconds, allow_damaged=allow_damaged)
    meter = Meter(sources, progress, "predict")
    with closing(extractor.extract_many(sources, meter.frames)) as results:
        for result in results:
            source, video = result.source, result.features
            try:
                if video is None:
                    assert result.error is not None
                    raise result.error
                features = join(video.streams, loaded.config.data.streams)
                snippet_scores = score_snippets(loaded.model, features, place)
                meta = video.meta
                scores = frame_scores(snippet_scores, recipe, meta.frames, meta.fps)
            except (VadError, OSError) as error:
                failures.append(Failure(source.id, str(source.path), str(error)))
                _write_failures(out / FAILURES, failures)
                meter.finished(source, 0)
                continue
            meter.finished(source, meta.frames)
            predictions.append(writer.write(source, meta, scores))
    order = {source.id: place for place, source in enumerate(sources)}
    predictions.sort(key=lambda prediction: order[prediction.name])
    return PredictSummary(out, tuple(predictions), tuple(failures))


class _Writer:
    """Writes the files of one video after another."""

    def __init__(
        self,
        out: Path,
        checkpoint: Checkpoint,
        rule: AlarmRule,
        default_fps: float | None,
        plots: bool,
    ) -> None:
        self.out = out
        self.rule = rule
        self.default_fps = default_fps
        self.plots = plots
        self.step = checkpoint.recipe.step
        self.facts = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "checkpoint": {
                "file": str(checkpoint.path),
                "sha256": sha256_file(checkpoint.path),
                "method": checkpoint.method,
                "step": checkpoint.step,
                "seed": checkpoint.seed,
            },
            "recipe_sha256": checkpoint.recipe_sha256,
            "step_frames": checkpoint.recipe.step,
            "versions": dict(creator_versions()),
        }

    def write(
        self, source: VideoSource, meta: VideoMeta, scores: NDArray[np.float32]
    ) -> Prediction:
        """Write the files of a video: CSV and picture, and JSON last."""
        fps = known_fps(meta.fps) or self.default_fps
        alarms = find_alarms(scores, fps, self.rule if fps else AlarmRule(self.rule.threshold))
        base = self.out / source.id
        csv, report, plot = (base.with_name(base.name + end) for end in (".csv", ".json", ".png"))
        prediction = Prediction(
            name=source.id,
            path=source.path,
            frames=meta.frames,
            fps=fps,
            seconds=None if fps is None else meta.frames / fps,
            max_score=float(scores.max()),
            mean_score=float(scores.mean(dtype="float64")),
            alarms=alarms,
            notes=self._notes(meta),
            csv=csv,
            json=report,
            plot=plot if self.plots else None,
        )
        _write_csv(csv, scores, fps)
        if self.plots:
            plot_scores(
                plot,
                scores,
                alarms=[(alarm.start, alarm.stop) for alarm in alarms],
                fps=fps,
                threshold=self.rule.threshold,
                title=source.id,
            )
        write_json(report, self._report(prediction, meta))
        return prediction

    def _notes(self, meta: VideoMeta) -> tuple[str, ...]:
        copies = meta.frames_duplicated
        damage = (LOST_FRAMES.format(copies),) if copies else ()
        if known_fps(meta.fps):
            return damage
        if self.default_fps:
            return (*damage, GIVEN_FRAME_RATE.format(self.default_fps))
        return (*damage, NO_FRAME_RATE, *((NOTHING_MERGED,) if self.rule.needs_fps else ()))

    def _report(self, prediction: Prediction, meta: VideoMeta) -> dict[str, Any]:
        return {
            **self.facts,
            "name": prediction.name,
            "video": str(prediction.path),
            "video_sha256": meta.source_sha256,
            "frames": prediction.frames,
            "frames_duplicated": meta.frames_duplicated,
            "fps": prediction.fps,
            "seconds": prediction.seconds,
            "width": meta.width,
            "height": meta.height,
            "decoder": f"{meta.decoder} {meta.decoder_version}",
            "max_score": prediction.max_score,
            "mean_score": prediction.mean_score,
            **asdict(self.rule),
            "alarms": [asdict(alarm) for alarm in prediction.alarms],
            "notes": list(prediction.notes),
        }


def _write_csv(path: Path, scores: NDArray[np.float32], fps: float | None) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii") as file:
        file.write("frame,seconds,score\n")
        file.writelines(_csv_rows(scores, fps))


def _csv_rows(scores: NDArray[np.float32], fps: float | None) -> Iterator[str]:
    """Scores with the fewest digits that give the same float32 again; seconds empty without fps."""
    for frame, score in enumerate(scores):
        seconds = "" if fps is None else f"{frame / fps:.6f}"
        yield f"{frame},{seconds},{np.format_float_positional(score, trim='0')}\n"


def _write_failures(path: Path, failures: Sequence[Failure]) -> None:
    lines = (json.dumps(asdict(failure), ensure_ascii=False) for failure in failures)
    write_text(path, "".join(f"{line}\n" for line in lines))
