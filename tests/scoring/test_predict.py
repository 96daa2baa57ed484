"""New videos get scores, alarms and a picture each; a bad one is told and the others go on."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from vad_toolkit.core.files import sha256_file
from vad_toolkit.core.progress import ProgressEvent
from vad_toolkit.errors import DecodeError, InputError, VadError, WeightsError
from vad_toolkit.extraction.extractor import OnFrames
from vad_toolkit.extraction.in_progress import Extracted
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.models.registry import build_model
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.recipes.recipe import Recipe
from vad_toolkit.scoring.predict import predict
from vad_toolkit.training.checkpoint import describe_checkpoint, save_checkpoint
from vad_toolkit.training.load_config import load_config
from vad_toolkit.video.encode import write_video
from vad_toolkit.weights.catalogue import CATALOGUE
from vad_toolkit.weights.store import get_weights

WIDTH = 8
FRAMES = 70
FPS = 10.0


class FakeExtractor:
    """Features from the file's name alone; `bad*` does not decode, `still*` has no frame rate, and
    `damaged*` has copies in the place of three lost frames."""

    def __init__(
        self,
        recipe: Recipe,
        device: str,
        decoder: str,
        timeout_seconds: float,
        *,
        allow_damaged: int,
    ) -> None:
        self.recipe = recipe

    def extract_many(
        self, videos: Sequence[VideoSource], on_frames: OnFrames
    ) -> Iterator[Extracted]:
        for video in videos:
            if video.path.name.startswith("bad"):
                error = DecodeError(f"{video.path} cannot be decoded: no frames")
                yield Extracted(video, None, error)
            else:
                on_frames(video, FRAMES, FRAMES)
                yield Extracted(video, self.features(video.path), None)

    def features(self, path: Path) -> VideoFeatures:
        rng = np.random.default_rng(zlib.crc32(path.name.encode()))
        meta = VideoMeta(
            frames=FRAMES,
            frames_reported=FRAMES + 2,
            frames_duplicated=3 if path.name.startswith("damaged") else 0,
            fps=0.0 if path.name.startswith("still") else FPS,
            width=64,
            height=48,
            source_sha256="c" * 64,
            decoder="fake",
            decoder_version="1",
        )
        shape = (self.recipe.snippet_count(FRAMES), self.recipe.crop_count, WIDTH)
        return VideoFeatures(meta, {"rgb": rng.standard_normal(shape).astype(np.float16)})


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vad_toolkit.scoring.predict.Extractor", FakeExtractor)


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[float]], None]:
    """A function that fixes the model's snippet scores, of which a video here has five."""

    def fix(values: list[float]) -> None:
        monkeypatch.setattr(
            "vad_toolkit.scoring.frame_scores.score_snippets",
            lambda model, features, device: np.array(values, np.float32),
        )

    return fix


def make_checkpoint(path: Path, recipe: Recipe, width: int) -> Path:
    config = load_config("sultani", {"head.hidden": [4, 2]})
    torch.manual_seed(0)
    info = describe_checkpoint(
        config,
        recipe,
        pack_sha256="a" * 64,
        manifest_sha256="b" * 64,
        input_dim=width,
        step=10,
        seed=3,
        metric=0.75,
        validation_loss=0.5,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(path, build_model(config, width), info)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "run" / "best.safetensors", Recipe(crops="center"), WIDTH)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with two videos of one name in different places, and a file that is no video."""
    folder = tmp_path / "videos"
    for name in ("a.mp4", "gate/a.mp4", "gate/b.c.avi", "notes.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.usefixtures("fake")
def test_each_video_has_its_files_and_folders_are_kept(
    checkpoint: Path, videos: Path, tmp_path: Path
) -> None:
    summary = predict(checkpoint, [videos], tmp_path / "out")
    assert [prediction.name for prediction in summary.predictions] == ["a", "gate/a", "gate/b.c"]
    assert summary.failures == ()
    assert files(tmp_path / "out") == {
        f"{name}{suffix}"
        for name in ("a", "gate/a", "gate/b.c")
        for suffix in (".csv", ".json", ".png")
    }


@pytest.mark.usefixtures("fake")
def test_scores_and_alarms(
    checkpoint: Path,
    videos: Path,
    tmp_path: Path,
    scores: Callable[[list[float]], None],
) -> None:
    scores([0.125, 0.75, 0.25, 0.5, 0.9])
    (prediction,) = predict(checkpoint, [videos / "a.mp4"], tmp_path / "out").predictions
    table = list(rows(prediction.csv))
    assert len(table) == FRAMES
    assert table[0] == {"frame": "0", "seconds": "0.000000", "score": "0.125"}
    assert table[17] == {"frame": "17", "seconds": "1.700000", "score": "0.75"}
    assert np.float32(table[69]["score"]) == np.float32(0.9)

    report = json.loads(prediction.json.read_text())
    assert [(a["start"], a["stop"]) for a in report["alarms"]] == [(16, 32), (48, 70)]
    assert report["alarms"][1]["start_seconds"] == 4.8
    assert report["alarms"][1]["stop_seconds"] == 7.0
    assert report["alarms"][1]["peak_frame"] == 64
    assert (report["frames"], report["fps"], report["seconds"]) == (70, 10.0, 7.0)
    assert report["frames_duplicated"] == 0
    assert (report["threshold"], report["merge_seconds"], report["min_seconds"]) == (0.5, 0.0, 0.0)
    assert report["checkpoint"]["sha256"] == sha256_file(checkpoint)
    assert report["checkpoint"]["seed"] == 3
    assert report["recipe_sha256"] == Recipe(crops="center").sha256
    assert report["video_sha256"] == "c" * 64
    assert report["notes"] == []
    assert "vad-toolkit" in report["versions"]


@pytest.mark.usefixtures("fake")
def test_alarm_options_reach_the_alarms(
    checkpoint: Path,
    videos: Path,
    tmp_path: Path,
    scores: Callable[[list[float]], None],
) -> None:
    scores([0.125, 0.75, 0.25, 0.5, 0.9])
    (prediction,) = predict(
        checkpoint,
        [videos / "a.mp4"],
        tmp_path / "out",
        threshold=0.7,
        merge_seconds=3.3,
        min_seconds=1.0,
        plots=False,
    ).predictions
    assert [(alarm.start, alarm.stop) for alarm in prediction.alarms] == [(16, 70)]
    assert prediction.plot is None
    assert files(tmp_path / "out") == {"a.csv", "a.json"}


@pytest.mark.usefixtures("fake")
def test_without_a_frame_rate_seconds_are_empty_and_said_so(
    checkpoint: Path,
    tmp_path: Path,
    scores: Callable[[list[float]], None],
) -> None:
    scores([0.9, 0.1, 0.9, 0.1, 0.1])
    (tmp_path / "still.mp4").touch()
    (prediction,) = predict(
        checkpoint, [tmp_path / "still.mp4"], tmp_path / "out", merge_seconds=60
    ).predictions
    assert next(rows(prediction.csv)) == {"frame": "0", "seconds": "", "score": "0.9"}
    report = json.loads(prediction.json.read_text())
    assert (report["fps"], report["seconds"]) == (None, None)
    assert [a["start"] for a in report["alarms"]] == [0, 32]
    assert {a["start_seconds"] for a in report["alarms"]} == {None}
    assert report["notes"] == [
        "the video has no frame rate, so there are no seconds; set it with --fps",
        "merge_seconds and min_seconds need a frame rate and were not applied",
    ]


@pytest.mark.usefixtures("fake")
def test_a_given_frame_rate_serves_those_that_state_none(
    checkpoint: Path,
    tmp_path: Path,
    scores: Callable[[list[float]], None],
) -> None:
    scores([0.9, 0.1, 0.9, 0.1, 0.1])
    videos = [tmp_path / "still", tmp_path / "moving.mp4"]
    videos[0].mkdir()
    (videos[0] / "000.jpg").touch()
    videos[1].touch()
    still, moving = predict(
        checkpoint, videos, tmp_path / "out", merge_seconds=1, fps=20
    ).predictions
    assert (still.name, still.fps, still.seconds) == ("still", 20, 3.5)
    assert [(a.start, a.stop, a.stop_seconds) for a in still.alarms] == [(0, 48, 2.4)]
    assert still.notes == ("the video has no frame rate; 20 frames per second were set",)
    assert (moving.fps, len(moving.alarms), moving.notes) == (FPS, 2, ())


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("fps", [0.0, -1.0, float("inf"), float("nan")])
def test_a_frame_rate_has_to_be_one(
    checkpoint: Path, videos: Path, tmp_path: Path, fps: float
) -> None:
    with pytest.raises(InputError, match=f"fps must be a number > 0 such as 25, got {fps}"):
        predict(checkpoint, [videos], tmp_path / "out", fps=fps)


@pytest.mark.usefixtures("fake")
def test_a_bad_video_is_listed_and_the_others_go_on(
    checkpoint: Path, videos: Path, tmp_path: Path
) -> None:
    (videos / "bad.mp4").touch()
    summary = predict(checkpoint, [videos], tmp_path / "out")
    assert len(summary.predictions) == 3
    (failure,) = summary.failures
    assert failure.id == "bad"
    (line,) = (tmp_path / "out" / "failures.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "id": "bad",
        "path": str(videos / "bad.mp4"),
        "reason": f"{videos / 'bad.mp4'} cannot be decoded: no frames",
    }
    assert not (tmp_path / "out" / "bad.csv").exists()


@pytest.mark.usefixtures("fake")
def test_scores_that_are_not_numbers_are_a_failure_of_that_video(
    checkpoint: Path,
    videos: Path,
    tmp_path: Path,
    scores: Callable[[list[float]], None],
) -> None:
    scores([0.1, float("nan"), 0.1, 0.1, 0.1])
    summary = predict(checkpoint, [videos / "a.mp4"], tmp_path / "out")
    assert summary.predictions == ()
    assert summary.failures[0].reason.startswith("the score of snippet 1 is nan")


@pytest.mark.usefixtures("fake")
def test_progress_goes_on_from_video_to_video(
    checkpoint: Path, videos: Path, tmp_path: Path
) -> None:
    events: list[ProgressEvent] = []
    predict(checkpoint, [videos], tmp_path / "out", plots=False, progress=events.append)
    assert [event.done for event in events] == [70, 140, 210, 210]
    assert [event.done < event.total for event in events] == [True, True, True, False]
    assert events[1].note == "video 2 of 3, gate/a"


@pytest.mark.usefixtures("fake")
def test_wrong_input_is_refused_before_anything_is_written(
    checkpoint: Path, videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="have the same id 'a'"):
        predict(checkpoint, [videos / "a.mp4", videos / "gate" / "a.mp4"], out)
    with pytest.raises(InputError, match="does not exist; give a video file"):
        predict(checkpoint, [videos / "none.mp4"], out)
    with pytest.raises(InputError, match="no checkpoint"):
        predict(tmp_path / "none", [videos], out)
    with pytest.raises(InputError, match=r"min_seconds must be a number >= 0, got -1"):
        predict(checkpoint, [videos], out, min_seconds=-1)
    with pytest.raises(InputError, match="unknown decoder 'vlc'"):
        predict(checkpoint, [videos], out, decoder="vlc")
    with pytest.raises(InputError, match=r"device must be .*, got 'tpu'"):
        predict(checkpoint, [videos], out, device="tpu")
    assert not out.exists()
    with pytest.raises(InputError, match="already exists and is not an empty folder; choose"):
        predict(checkpoint, [videos], videos)


def random_recipe() -> Recipe:
    """Small frames and weights without meaning, through the real decoder and network."""
    weights = CATALOGUE["i3d-rgb-random"].sha256
    assert weights is not None
    return Recipe(crops="center", resize=64, crop_size=64, weights={"rgb": weights})


def test_from_pixels_to_alarms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    run = make_checkpoint(tmp_path / "run" / "best.safetensors", random_recipe(), 1024).parent
    video = tmp_path / "moving.mp4"
    frames = (np.full((64, 80, 3), 5 * i, np.uint8) for i in range(20))
    write_video(video, frames, fps=10)
    (tmp_path / "text.mp4").write_text("no video")

    with pytest.raises(WeightsError, match="vad weights get i3d-rgb-random"):
        predict(run, [video], tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()

    get_weights("i3d-rgb-random")
    summary = predict(
        run, [video, tmp_path / "text.mp4"], tmp_path / "out", threshold=0.0, device="cpu"
    )
    (prediction,) = summary.predictions
    assert (prediction.frames, prediction.fps, prediction.seconds) == (20, 10.0, 2.0)
    assert [(alarm.start, alarm.stop) for alarm in prediction.alarms] == [(0, 20)]
    assert len(list(rows(prediction.csv))) == 20
    assert [failure.id for failure in summary.failures] == ["text"]


def test_copies_of_lost_frames_are_told(checkpoint: Path, fake: None, tmp_path: Path) -> None:
    (tmp_path / "damaged.mp4").touch()
    made = predict(checkpoint, [tmp_path / "damaged.mp4"], tmp_path / "out", allow_damaged=3)
    assert made.predictions[0].notes == ("damaged: 3 lost frames were replaced by copies",)


@pytest.mark.usefixtures("fake")
def test_alarms_of_one_video_and_by_name(
    checkpoint: Path, videos: Path, tmp_path: Path, scores: Callable[[list[float]], None]
) -> None:
    scores([0.125, 0.75, 0.25, 0.5, 0.9])
    one = predict(str(checkpoint), str(videos / "a.mp4"), str(tmp_path / "one"), plots=False)
    assert [(alarm.start, alarm.stop) for alarm in one.alarms] == [(16, 32), (48, 70)]
    several = predict(checkpoint, videos, tmp_path / "several", plots=False)
    assert several.alarms == dict.fromkeys(("a", "gate/a", "gate/b.c"), one.alarms)
    assert several.to_dict()["predictions"][0]["csv"] == str(tmp_path / "several" / "a.csv")
    (videos / "bad.mp4").touch()
    failed = predict(checkpoint, videos / "bad.mp4", tmp_path / "failed")
    with pytest.raises(VadError, match=r"bad\.mp4 could not be scored: .* no frames"):
        _ = failed.alarms
