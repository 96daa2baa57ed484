"""From files to a pack: resume, failures, and the features themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vad_toolkit.backbones.store import get_weights
from vad_toolkit.errors import DecodeError, InputError, PackError, WeightsError
from vad_toolkit.features.extract import (
    Extractor,
    VideoSource,
    extract_pack,
    list_sources,
)
from vad_toolkit.features.pack import FeaturePack
from vad_toolkit.features.recipe import Recipe, load_recipe
from vad_toolkit.progress import ProgressEvent
from vad_toolkit.video.encode import write_video
from vad_toolkit.video.files import source_sha256
from vad_toolkit.video.reader import open_video


def frames(count: int, seed: int, size: tuple[int, int] = (64, 96)) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    texture = generator.integers(0, 256, (*size, 3), np.uint8)
    return (np.roll(texture, 2 * index, axis=1) for index in range(count))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own with random weights: real plumbing, no download."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAD_HOME", str(folder))
        get_weights("i3d-rgb-random")
        yield folder


@pytest.fixture(scope="session")
def recipe(home: Path) -> Recipe:
    """Small crops: the network is the real one, the arithmetic a tenth."""
    small = {"weights": "i3d-rgb-random", "resize": 64, "crop_size": 64}
    return load_recipe("i3d-rgb-center", small)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three good videos and three bad files, in a folder with a space."""
    folder = tmp_path_factory.mktemp("some videos")
    for index, count in enumerate((20, 33, 16)):
        write_video(folder / "good" / f"{index}.mp4", frames(count, index), fps=8)
    (folder / "bad").mkdir()
    (folder / "bad" / "empty.mp4").touch()
    (folder / "bad" / "text.mp4").write_text("this is no video")
    whole = (folder / "good" / "1.mp4").read_bytes()
    (folder / "bad" / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    return folder


def test_good_videos_are_in_the_pack_and_bad_ones_in_failures(
    videos: Path, recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "pack.h5"
    events: list[ProgressEvent] = []
    sources = list_sources([videos])
    summary = extract_pack(sources, recipe, out, dataset="some", progress=events.append)
    assert summary.extracted == ("good/0", "good/1", "good/2")
    assert (summary.frames, summary.snippets) == (69, 2 + 3 + 1)
    lines = [json.loads(x) for x in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["bad/empty", "bad/text", "bad/truncated"]
    assert all(line["reason"] and "\n" not in line["reason"] for line in lines)
    with FeaturePack.open(out) as pack:
        assert pack.ids == ("good/0", "good/1", "good/2")
        assert pack.dataset == "some"
        assert pack.meta("good/1").frames == 33
        assert pack.features("good/1").shape == (3, 1, 1024)
        assert pack.verify() == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["failures.jsonl", "pack.h5"]
    assert events[-1].done == events[-1].total == 69
    assert all(event.done <= event.total for event in events)


def test_second_run_reuses_everything_and_first_failure_goes_away(
    videos: Path, recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "pack.h5"
    copies = {p.stem: p.read_bytes() for p in (videos / "good").iterdir()}
    folder = tmp_path / "in"
    folder.mkdir()
    for name, content in copies.items():
        (folder / f"{name}.mp4").write_bytes(content if name != "2" else b"broken")
    first = extract_pack(list_sources([folder]), recipe, out)
    assert [failure.id for failure in first.failures] == ["2"]
    (folder / "2.mp4").write_bytes(copies["2"])
    second = extract_pack(list_sources([folder]), recipe, out)
    assert second.extracted == ("2",)
    assert second.reused == ("0", "1")
    assert not (tmp_path / "failures.jsonl").exists()
    stamp = out.stat().st_mtime_ns
    third = extract_pack(list_sources([folder]), recipe, out)
    assert third.extracted == ()
    assert out.stat().st_mtime_ns == stamp
    with FeaturePack.open(out) as pack:
        digest = pack.content_sha256
    fresh = tmp_path / "fresh.h5"
    extract_pack(list_sources([folder]), recipe, fresh)
    with FeaturePack.open(fresh) as pack:
        assert pack.content_sha256 == digest


def test_failures_of_two_packs_share_a_file(videos: Path, recipe: Recipe, tmp_path: Path) -> None:
    bad = [VideoSource("bad", videos / "bad" / "empty.mp4")]
    good = VideoSource("good", videos / "good" / "0.mp4")
    (tmp_path / "failures.jsonl").write_text("somebody's note\n[1]\n")
    for name in ("one.h5", "two.h5", "two.h5"):
        extract_pack([*bad, good], recipe, tmp_path / name)
    foreign, number, *lines = (tmp_path / "failures.jsonl").read_text().splitlines()
    assert (foreign, number) == ("somebody's note", "[1]")
    assert [json.loads(line)["pack"] for line in lines] == ["one.h5", "two.h5"]


def test_nothing_usable_leaves_no_pack(videos: Path, recipe: Recipe, tmp_path: Path) -> None:
    summary = extract_pack(list_sources([videos / "bad"]), recipe, tmp_path / "pack.h5")
    assert len(summary.failures) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["failures.jsonl"]


def test_other_recipe_at_the_same_place_is_refused(
    videos: Path, recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "pack.h5"
    sources = list_sources([videos / "good"])[:1]
    extract_pack(sources, recipe, out)
    other = load_recipe("i3d-rgb-center", {"weights": "i3d-rgb-random", "step": 8})
    with pytest.raises(InputError, match="recipe"):
        extract_pack(sources, other, out)


def test_missing_weights(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "nothing here"))
    sources = list_sources([videos / "good"])
    with pytest.raises(WeightsError, match="run `vad weights get i3d-rgb-k400`"):
        extract_pack(sources, load_recipe("i3d-rgb-center"), tmp_path / "pack.h5")


def test_features_are_the_networks_mean_over_a_snippet(
    videos: Path, recipe: Recipe, home: Path
) -> None:
    """The loop against the same steps done by hand, in float64."""
    from vad_toolkit.backbones.store import load_backbone
    from vad_toolkit.features.crops import crop_views, resize_frames
    from vad_toolkit.video.reader import open_video

    path = videos / "good" / "1.mp4"
    with Extractor(recipe) as extractor:
        made = extractor.extract(path).streams["rgb"]
    reader = open_video(path)
    decoded = torch.from_numpy(np.concatenate(list(reader.chunks(100))))
    reader.close()
    network = load_backbone(recipe.weights["rgb"], dtype=torch.float64)
    for index in range(3):
        own = torch.arange(index * 16, min(index * 16 + 16, 33))
        snippet = resize_frames(decoded[own[torch.arange(16) % len(own)]], 64)
        clip = crop_views(snippet, recipe).double().permute(0, 2, 1, 3, 4) * 2 / 255 - 1
        with torch.inference_mode():
            expected = network(clip)[0].numpy()
        np.testing.assert_allclose(made[index, 0], expected, rtol=2e-3, atol=1e-4)


def test_bfloat16_is_close(videos: Path, recipe: Recipe) -> None:
    half = Recipe.model_validate({**recipe.model_dump(), "precision": "bfloat16"})
    path = videos / "good" / "0.mp4"
    with Extractor(recipe) as exact, Extractor(half) as quick:
        a = exact.extract(path).streams["rgb"].astype(np.float64).ravel()
        b = quick.extract(path).streams["rgb"].astype(np.float64).ravel()
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.999
    assert not np.array_equal(a, b)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "least"), [("float32", 0.9999), ("bfloat16", 0.999)])
def test_gpu_agrees_with_the_cpu(
    videos: Path, recipe: Recipe, gpu: str, precision: str, least: float
) -> None:
    """The reference is float32 on the CPU; the bounds are the exactness that the docs state."""
    on_gpu = Recipe.model_validate({**recipe.model_dump(), "precision": precision})
    path = videos / "good" / "1.mp4"
    with Extractor(recipe, "cpu") as reference, Extractor(on_gpu, gpu) as quick:
        a = reference.extract(path).streams["rgb"].astype(np.float64)
        b = quick.extract(path).streams["rgb"].astype(np.float64)
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    assert cosine.min() >= least


def test_too_short_under_drop(videos: Path, recipe: Recipe, tmp_path: Path) -> None:
    drop = Recipe.model_validate({**recipe.model_dump(), "tail": "drop", "snippet_frames": 40})
    with (
        Extractor(drop) as extractor,
        pytest.raises(DecodeError, match="33 frames, fewer than one"),
    ):
        extractor.extract(videos / "good" / "1.mp4")


def test_second_decoder_is_tried(
    videos: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = videos / "good" / "0.mp4"
    with Extractor(recipe) as extractor:
        stream = extractor.worker.stream

        def failing(path: Path, decoder: str, size: int) -> object:
            if decoder == "auto":
                raise DecodeError("lost some frames", retry="pyav")
            return stream(path, decoder, size)

        monkeypatch.setattr(extractor.worker, "stream", failing)
        assert extractor.extract(path).meta.decoder == "pyav"
        with pytest.raises(DecodeError, match=r"empty.*before, with another decoder: lost some"):
            extractor.extract(videos / "bad" / "empty.mp4")


def test_sources(tmp_path: Path) -> None:
    for name in ("a.mp4", "b c/d.avi", "b c/a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [s.id for s in list_sources([tmp_path])] == ["a", "b c/a", "b c/d"]
    assert [s.id for s in list_sources([tmp_path / "b c" / "d.avi"])] == ["d"]
    with pytest.raises(InputError, match="would both be 'a'"):
        list_sources([tmp_path, tmp_path / "b c" / "a.mp4"])
    with pytest.raises(InputError, match="no video or folder"):
        list_sources([tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no videos below"):
        list_sources([tmp_path / "empty"])


def test_sources_that_are_folders_of_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mp4", "b/01.02/000.jpg", "b/01.02/001.jpg", "b/03/000.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    named = [VideoSource("01.02", tmp_path / "b" / "01.02")]
    assert [s.id for s in list_sources([tmp_path])] == ["a", "b/01.02", "b/03"]
    assert list_sources([tmp_path / "b" / "01.02"]) == named
    monkeypatch.chdir(tmp_path / "b" / "01.02")
    assert list_sources([Path()]) == [VideoSource("01.02", Path())]
    assert list_sources([Path("../03/../01.02/.")])[0].id == "01.02"
    with pytest.raises(InputError, match=r"would both be '01.02'"):
        list_sources([tmp_path / "b", tmp_path / "b" / "01.02"])
    (tmp_path / "b" / "03" / "more").mkdir()
    with pytest.raises(InputError, match=r"03: numbered images .* beside the folder 'more'"):
        list_sources([tmp_path])


def test_frames_as_files_give_the_features_of_the_video(
    videos: Path, recipe: Recipe, tmp_path: Path
) -> None:
    video, folder = videos / "good" / "1.mp4", tmp_path / "01.02"
    folder.mkdir()
    reader = open_video(video)
    for index, frame in enumerate(np.concatenate(list(reader.chunks(16)))):
        Image.fromarray(frame).save(folder / f"{index}.png")
    reader.close()
    with Extractor(recipe) as extractor:
        expected, made = extractor.extract(video), extractor.extract(folder)
        np.testing.assert_array_equal(made.streams["rgb"], expected.streams["rgb"])
        meta = made.meta
        assert (meta.frames, meta.frames_reported, meta.fps) == (33, 33, 0.0)
        assert (meta.width, meta.height, meta.decoder) == (96, 64, "pillow")
        assert meta.source_sha256 == source_sha256(folder)
        (folder / "20.png").unlink()
        with pytest.raises(DecodeError, match="frame 20 is missing") as caught:
            extractor.extract(folder)
        assert "another decoder" not in str(caught.value)


def test_bad_ids(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no videos to extract"):
        extract_pack([], recipe, tmp_path / "pack.h5")
    twice = [VideoSource("a", tmp_path / "1.mp4"), VideoSource("a", tmp_path / "2.mp4")]
    with pytest.raises(PackError, match="'a' is there twice"):
        extract_pack(twice, recipe, tmp_path / "pack.h5")
    inside = [VideoSource("a", tmp_path / "1.mp4"), VideoSource("a/b", tmp_path / "2.mp4")]
    with pytest.raises(PackError, match="cannot be a video and a folder of videos"):
        extract_pack(inside, recipe, tmp_path / "pack.h5")
    assert list(tmp_path.iterdir()) == []


def test_features_that_are_not_finite_are_a_failure(
    videos: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One video whose numbers leave float16 is listed; the others are kept."""
    whole = Extractor._features

    def broken(self: Extractor, frames: object) -> np.ndarray:
        made = whole(self, frames)  # type: ignore[arg-type]
        return np.full_like(made, np.inf) if len(made) == 1 else made

    monkeypatch.setattr(Extractor, "_features", broken)
    summary = extract_pack(list_sources([videos / "good"]), recipe, tmp_path / "pack.h5")
    assert summary.extracted == ("0", "1")
    assert [failure.id for failure in summary.failures] == ["2"]
