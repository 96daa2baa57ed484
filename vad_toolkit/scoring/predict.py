"""Prediction: scores, alarms and a plot of each new video, from a trained checkpoint.

The checkpoint determines how features are extracted. Each video, a file or a folder of frames, gets
three files named after its path below the given folder, without suffix:

    <name>.csv     frame,seconds,score
    <name>.json    alarms, and everything that determines them
    <name>.png     scores over time, with threshold and alarms

A video that fails is a line in `failures.jsonl`; the others continue.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.device import pick_device
from vad_toolkit.core.files import AnyPath, atomic_path, check_new_folder, sha256_file, write_json
from vad_toolkit.core.progress import ProgressCallback, silent
from vad_toolkit.errors import InputError, VadError
from vad_toolkit.extraction.extractor import Extractor
from vad_toolkit.extraction.failures import FAILURES, Failure, write_failures
from vad_toolkit.extraction.meter import Meter
from vad_toolkit.extraction.sources import VideoSource, list_sources
from vad_toolkit.models.early_fusion import join
from vad_toolkit.packs.video import VideoMeta
from vad_toolkit.packs.write import creator_versions
from vad_toolkit.plots.timeline import plot_scores
from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.scoring.alarms import Alarm, AlarmRule, find_alarms, known_fps
from vad_toolkit.scoring.frame_scores import score_video
from vad_toolkit.training.checkpoint import load_checkpoint
from vad_toolkit.video.registry import check_options


@dataclass(frozen=True)
class Prediction:
    """One scored video. `fps` and `seconds` are None if the frame rate is not known."""

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
class PredictionResult:
    """Result of `predict`; predictions are in the order in which the videos were listed."""

    out: Path
    predictions: tuple[Prediction, ...]
    failures: tuple[Failure, ...]

    @property
    def alarms(self) -> tuple[Alarm, ...] | Mapping[str, tuple[Alarm, ...]]:
        """The alarms of the video; with several videos, of each scored one by its name.

        Raises:
            VadError: If there is one video and it could not be scored.
        """
        if len(self.predictions) + len(self.failures) > 1:
            return {prediction.name: prediction.alarms for prediction in self.predictions}
        for failure in self.failures:
            raise VadError(f"{failure.path} could not be scored: {failure.reason}")
        return self.predictions[0].alarms

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        predictions = [
            {
                name: str(value) if isinstance(value, Path) else value
                for name, value in asdict(prediction).items()
            }
            for prediction in self.predictions
        ]
        return {**asdict(self), "out": str(self.out), "predictions": predictions}


def predict(
    run: AnyPath,
    videos: AnyPath | Sequence[AnyPath],
    out: AnyPath,
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
) -> PredictionResult:
    """Score every frame of videos and write scores, alarms and plots into `out`.

    The files of a video are written as soon as it is scored, so that a killed run keeps them.

    Args:
        run: A checkpoint (.safetensors), or the folder of one run, of which the best step is used.
        videos: A video file, a folder of frames, a folder of videos, or several of these.
        out: New or empty folder.
        threshold: Frames with a score >= this are in an alarm.
        merge_seconds: Two alarms become one if the gap between them is shorter than this.
        min_seconds: Alarms shorter than this are dropped, after merging.
        fps: Frames per second of videos without a frame rate, such as folders of frames; not used
            for others.
        device: "auto", "cpu", "cuda" or "cuda:N".
        decoder: Name of a video decoder, or "auto".
        timeout_seconds: The longest wait for a video to open, and for its next frames.
        allow_damaged: Number of lost frames per video file that copies may replace.
        plots: Whether to write plots.
        progress: Called with the number of frames done.

    Raises:
        InputError: If there are no videos, two have one name, `out` contains files, or an option is
            out of range.
        WeightsError: If the backbone's weights are not in the cache, or the checkpoint is damaged.

    Example:
        >>> result = predict("run/seed-0", "new-video.mp4", "scores", threshold=0.0, plots=False)
        >>> [(alarm.start, alarm.stop) for alarm in result.alarms]
        [(0, 24)]
    """
    rule = AlarmRule(threshold, merge_seconds, min_seconds)
    if fps is not None and known_fps(fps) is None:
        raise InputError(f"fps must be a number > 0 such as 25, got {fps}")
    check_options(decoder, allow_damaged)
    out = Path(out)
    check_new_folder(out)
    paths = [videos] if isinstance(videos, str | os.PathLike) else videos
    sources = [replace(source, fps=fps) for source in list_sources([Path(path) for path in paths])]
    place = pick_device(device)
    checkpoint = load_checkpoint(Path(run), place)
    recipe = checkpoint.recipe
    if isinstance(recipe, ImportedRecipe):
        raise InputError(
            f"{checkpoint.path} was trained on imported features ({recipe.layout}: "
            f"{recipe.features}), which cannot be extracted from a video here; train on a pack "
            "of vad extract"
        )
    facts = {
        "format": "vad-prediction",
        "format_version": 1,
        "checkpoint": {
            "file": str(checkpoint.path),
            "sha256": sha256_file(checkpoint.path),
            "method": checkpoint.info.method,
            "step": checkpoint.info.step,
            "seed": checkpoint.info.seed,
        },
        "recipe_sha256": checkpoint.info.recipe_sha256,
        "step_frames": recipe.step,
        "versions": dict(creator_versions()),
    }
    predictions: list[Prediction] = []
    failures: list[Failure] = []
    extractor = Extractor(
        recipe,
        device,
        decoder=decoder,
        timeout_seconds=timeout_seconds,
        allow_damaged=allow_damaged,
    )
    meter = Meter(sources, progress, "predict")
    with closing(extractor.extract_many(sources, meter.frames)) as results:
        for result in results:
            source, video = result.source, result.features
            try:
                if video is None:
                    assert result.error is not None
                    raise result.error
                features = join(video.streams, checkpoint.config.data.streams)
                meta = video.meta
                _, scores = score_video(checkpoint, features, meta.frames, meta.fps, place)
            except (VadError, OSError) as error:
                failures.append(Failure(source.id, str(source.path), str(error)))
                write_failures(out / FAILURES, failures)
                meter.finished(source, 0)
                continue
            meter.finished(source, meta.frames)
            predictions.append(_write(out, facts, rule, fps, plots, source, meta, scores))
    order = {source.id: position for position, source in enumerate(sources)}
    predictions.sort(key=lambda prediction: order[prediction.name])
    return PredictionResult(out, tuple(predictions), tuple(failures))


def _write(
    out: Path,
    facts: Mapping[str, Any],
    rule: AlarmRule,
    default_fps: float | None,
    plots: bool,
    source: VideoSource,
    meta: VideoMeta,
    scores: NDArray[np.float32],
) -> Prediction:
    """Write the CSV and the plot of a video, and its JSON last: `facts` and those of the video."""
    fps = known_fps(meta.fps) or default_fps
    notes = []
    if meta.frames_duplicated:
        notes.append(f"damaged: {meta.frames_duplicated} lost frames were replaced by copies")
    if fps is None:
        notes.append("the video has no frame rate, so there are no seconds; set it with --fps")
        if rule.needs_fps:
            notes.append("merge_seconds and min_seconds need a frame rate and were not applied")
    elif known_fps(meta.fps) is None:
        notes.append(f"the video has no frame rate; {fps:g} frames per second were set")
    applied = rule if fps else AlarmRule(rule.threshold)
    alarms = find_alarms(scores, fps, **asdict(applied))
    csv, report, plot = (out / f"{source.id}.{end}" for end in ("csv", "json", "png"))
    prediction = Prediction(
        name=source.id,
        path=source.path,
        frames=meta.frames,
        fps=fps,
        seconds=None if fps is None else meta.frames / fps,
        max_score=float(scores.max()),
        mean_score=float(scores.mean(dtype="float64")),
        alarms=alarms,
        notes=tuple(notes),
        csv=csv,
        json=report,
        plot=plot if plots else None,
    )
    with atomic_path(csv) as temporary, temporary.open("w", encoding="ascii") as file:
        file.write("frame,seconds,score\n")
        file.writelines(_csv_rows(scores, fps))
    if plots:
        plot_scores(
            plot,
            scores,
            alarms=[(alarm.start, alarm.stop) for alarm in alarms],
            fps=fps,
            threshold=rule.threshold,
            title=source.id,
        )
    scored = asdict(prediction)
    for name in ("path", "csv", "json", "plot"):
        del scored[name]
    of_video = {
        "video": str(source.path),
        "video_sha256": meta.source_sha256,
        "frames_duplicated": meta.frames_duplicated,
        "width": meta.width,
        "height": meta.height,
        "decoder": f"{meta.decoder} {meta.decoder_version}",
    }
    write_json(report, {**facts, **scored, **asdict(rule), **of_video})
    return prediction


def _csv_rows(scores: NDArray[np.float32], fps: float | None) -> Iterator[str]:
    """Yield rows with the fewest digits that reproduce each float32; no seconds without `fps`."""
    for frame, score in enumerate(scores):
        seconds = "" if fps is None else f"{frame / fps:.6f}"
        yield f"{frame},{seconds},{np.format_float_positional(score, trim='0')}\n"
