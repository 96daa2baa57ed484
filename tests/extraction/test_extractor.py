"""The features themselves, of one video and of many."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from vad_toolkit.core.crops import CENTER, TEN_CROP_ORDERS
from vad_toolkit.errors import DecodeError, InputError, WeightsError
from vad_toolkit.extraction import extractor as extractor_module
from vad_toolkit.extraction.decoding import Event, Failed, Frames, Opened
from vad_toolkit.extraction.extractor import Extractor
from vad_toolkit.extraction.resize import resize_frames
from vad_toolkit.extraction.sources import VideoSource, list_sources
from vad_toolkit.flow.tvl1 import TVL1
from vad_toolkit.recipes.recipe import Recipe, load_recipe
from vad_toolkit.video.open import open_video
from vad_toolkit.video.paths import source_sha256
from vad_toolkit.video.worker import DecodeWorker, FrameStream
from vad_toolkit.weights.store import get_weights, load_backbone


def test_features_are_the_networks_mean_over_a_snippet(
    videos: Path, recipe: Recipe, home: Path
) -> None:
    """The loop against the same steps done by hand, in float64."""
    path = videos / "good" / "1.mp4"
    made = Extractor(recipe).extract(path).streams["rgb"]
    reader = open_video(path)
    decoded = torch.from_numpy(np.concatenate(list(reader.chunks(100))))
    reader.close()
    network = load_backbone(recipe.weights["rgb"], dtype=torch.float64)
    for index in range(3):
        own = torch.arange(index * 16, min(index * 16 + 16, 33))
        snippet = resize_frames(decoded[own[torch.arange(16) % len(own)]], 64)
        view = tv.center_crop(snippet, [64, 64])
        clip = view.double().permute(1, 0, 2, 3)[None] * 2 / 255 - 1
        with torch.inference_mode():
            expected = network(clip)[0].numpy()
        np.testing.assert_allclose(made[index, 0], expected, rtol=2e-3, atol=1e-4)


def test_bfloat16_is_close(videos: Path, recipe: Recipe) -> None:
    fields = {**recipe.model_dump(), "resize": 32, "crop_size": 32}
    path = videos / "good" / "0.mp4"
    exact = Extractor(Recipe.model_validate(fields))
    quick = Extractor(Recipe.model_validate({**fields, "precision": "bfloat16"}))
    a = exact.extract(path).streams["rgb"].astype(np.float64).ravel()
    b = quick.extract(path).streams["rgb"].astype(np.float64).ravel()
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.999
    assert not np.array_equal(a, b)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("precision", "least"), [("float32", 0.9999), ("tf32", 0.9999), ("bfloat16", 0.999)]
)
@pytest.mark.parametrize("crops", [CENTER, TEN_CROP_ORDERS["gowtham"]])
def test_gpu_agrees_with_the_cpu(
    videos: Path, recipe: Recipe, gpu: str, precision: str, least: float, crops: tuple[str, ...]
) -> None:
    """The reference is float32 on the CPU; the bounds are the exactness that the docs state."""
    name = "center" if crops == CENTER else "ten"
    fields = {**recipe.model_dump(), "crops": name, "crop_order": crops, "crop_size": 56}
    own = Recipe.model_validate(fields)
    on_gpu = Recipe.model_validate({**fields, "precision": precision})
    path = videos / "good" / "1.mp4"
    reference, quick = Extractor(own, "cpu"), Extractor(on_gpu, gpu)
    a = reference.extract(path).streams["rgb"].astype(np.float64)
    b = quick.extract(path).streams["rgb"].astype(np.float64)
    assert a.shape == b.shape
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    assert cosine.min() >= least


def test_too_short_under_drop(videos: Path, recipe: Recipe) -> None:
    drop = Recipe.model_validate({**recipe.model_dump(), "tail": "drop", "snippet_frames": 40})
    with pytest.raises(DecodeError, match="33 frames, too few for one snippet"):
        Extractor(drop).extract(videos / "good" / "1.mp4")


def test_allowed_damage_is_counted_in_the_meta(
    videos: Path, recipe: Recipe, tmp_path: Path
) -> None:
    source = videos / "good" / "1.mp4"
    with av.open(str(source)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][-2]
        start, stop = packet.pos, packet.pos + packet.size
    data = source.read_bytes()
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data[:start] + bytes(stop - start) + data[stop:])
    with pytest.raises(DecodeError, match="frames lost: 1 of 33; allowed: 0"):
        Extractor(recipe, "cpu").extract(path)
    meta = Extractor(recipe, "cpu", allow_damaged=1).extract(path).meta
    assert (meta.frames, meta.frames_duplicated, meta.decoder) == (33, 1, "pyav")


def write_vp9(path: Path, count: int) -> Path:
    """A video that "auto" reads with Decord."""
    options = {"deadline": "realtime"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=8, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(count):
            pixels = np.full((64, 96, 3), 10 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_second_decoder_is_tried(
    videos: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the first has given frames already, which are then void."""
    path = write_vp9(tmp_path / "vp9.mp4", 20)
    extractor = Extractor(recipe)
    expected = extractor.extract(path)
    stream, end = DecodeWorker.stream, FrameStream.__next__

    def failing(self: FrameStream) -> object:
        chunk = end(self)
        if self.info.decoder == "decord" and len(chunk) < 16:
            raise DecodeError("lost some frames", retry="pyav")
        return chunk

    monkeypatch.setattr(FrameStream, "__next__", failing)
    made = extractor.extract(path)
    assert (expected.meta.decoder, made.meta.decoder) == ("decord", "pyav")
    np.testing.assert_array_equal(made.streams["rgb"], expected.streams["rgb"])

    def refusing(self: DecodeWorker, path: Path, decoder: str, size: int, **options: int) -> object:
        if decoder == "auto":
            raise DecodeError("cannot open it", retry="pyav")
        return stream(self, path, decoder, size, **options)

    monkeypatch.setattr(DecodeWorker, "stream", refusing)
    with pytest.raises(DecodeError, match=r"empty.*before, with another decoder: cannot open it"):
        extractor.extract(videos / "bad" / "empty.mp4")


@pytest.fixture(scope="session")
def two_streams(home: Path) -> Recipe:
    get_weights("i3d-flow-random")
    small = {
        "weights": {"rgb": "i3d-rgb-random", "flow": "i3d-flow-random"},
        "resize": 64,
        "crop_size": 64,
    }
    return load_recipe("i3d-rgb-flow-center", small)


def test_flow_beside_rgb(videos: Path, recipe: Recipe, two_streams: Recipe) -> None:
    """One pass over a video gives both; RGB is what it is alone, flow is TV-L1 of whole frames."""
    path = videos / "good" / "0.mp4"
    made = Extractor(two_streams).extract(path)
    alone = Extractor(recipe).extract(path)
    np.testing.assert_array_equal(made.streams["rgb"], alone.streams["rgb"])
    assert made.streams["flow"].shape == (2, 1, 1024)

    reader = open_video(path)
    decoded = torch.from_numpy(np.concatenate(list(reader.chunks(100))))
    reader.close()
    flow = TVL1()(resize_frames(decoded, 64))  # (19, 2, 64, 96)
    flow = torch.cat((flow, flow[-1:])).clamp(-20, 20) / 20
    network = load_backbone(two_streams.weights["flow"], dtype=torch.float64)
    for index, own in enumerate((range(16), [16, 17, 18, 19] * 4)):
        view = tv.center_crop(flow[list(own)], [64, 64])
        with torch.inference_mode():
            expected = network(view.double().permute(1, 0, 2, 3)[None])[0].numpy()
        np.testing.assert_allclose(made.streams["flow"][index, 0], expected, rtol=2e-3, atol=1e-4)


def test_another_network(videos: Path, home: Path) -> None:
    get_weights("i3d-resnet50-random")
    fields = {"weights": "i3d-resnet50-random", "resize": 64, "crop_size": 64, "crops": "five"}
    made = Extractor(load_recipe("rtfm", fields)).extract(videos / "good" / "0.mp4")
    assert made.streams["rgb"].shape == (2, 5, 2048)
    wrong = load_recipe("i3d-rgb-center", {"weights": "i3d-resnet50-random"})
    with pytest.raises(WeightsError, match="are of i3d-resnet50, but the recipe"):
        Extractor(wrong)


def test_a_frame_rate(videos: Path, recipe: Recipe) -> None:
    """The videos have 8 frames a second: at 4, every other one is taken."""
    path = videos / "good" / "1.mp4"
    slow = load_recipe("i3d-rgb-center", {**recipe.model_dump(), "frame_rate": 4})
    made = Extractor(slow).extract(path)
    assert made.meta.frames == 33
    assert made.streams["rgb"].shape == (2, 1, 1024)  # of 17 frames
    assert not np.array_equal(made.streams["rgb"], Extractor(recipe).extract(path).streams["rgb"])


def test_a_rate_that_only_the_manifest_knows(recipe: Recipe, tmp_path: Path) -> None:
    """A folder of frames states none."""
    for index in range(33):
        Image.new("RGB", (96, 64), (7 * index, 0, 0)).save(tmp_path / f"{index}.png")
    slow = load_recipe("i3d-rgb-center", {**recipe.model_dump(), "frame_rate": 4})
    (found,) = Extractor(slow).extract_many([VideoSource("a", tmp_path, fps=8.0)])
    assert found.features is not None
    assert (found.features.meta.fps, found.features.meta.frames) == (8.0, 33)
    assert found.features.streams["rgb"].shape == (2, 1, 1024)
    with pytest.raises(DecodeError, match="but the video has no"):
        Extractor(slow).extract(tmp_path)


@pytest.mark.parametrize(("decode_jobs", "batch_size"), [(1, 2), (3, 2), (3, 5)])
def test_company_changes_nothing(
    videos: Path, recipe: Recipe, decode_jobs: int, batch_size: int
) -> None:
    """A video's features are the same bits, whatever else is decoded or in its batch with it."""
    sources = list_sources([videos])
    alone = Extractor(recipe, batch_size=batch_size)
    together = Extractor(recipe, decode_jobs=decode_jobs, batch_size=batch_size)
    found = {item.source.id: item for item in together.extract_many(sources)}
    assert set(found) == {source.id for source in sources}
    for source in sources:
        item = found[source.id]
        if source.id.startswith("bad"):
            assert isinstance(item.error, DecodeError)
            continue
        assert item.features is not None
        expected = alone.extract(source.path)
        assert item.features.meta == expected.meta
        np.testing.assert_array_equal(item.features.streams["rgb"], expected.streams["rgb"])


def test_a_video_fails_once(videos: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a second decoder begins it again, after we gave it up."""
    path = videos / "good" / "1.mp4"
    without_rate = replace(open_video(path).info, fps=0.0)
    opened = Opened(0, without_rate)
    frames = Frames(0, torch.zeros((16, 64, 96, 3), dtype=torch.uint8))
    script = [opened, frames, opened, frames, Failed(0, DecodeError("lost a frame"))]
    monkeypatch.setattr(
        extractor_module, "DecodeAhead", lambda paths, **_: nullcontext(played(paths, script))
    )
    slow = load_recipe("i3d-rgb-center", {**recipe.model_dump(), "frame_rate": 4})
    (found,) = Extractor(slow).extract_many([VideoSource("a", path)])
    assert "but the video has no" in str(found.error)


def played(paths: Iterable[Path], script: Iterable[Event]) -> Iterator[Event]:
    list(paths)  # all are taken
    yield from script


def test_leaving_early_leaves_no_decoder(videos: Path, recipe: Recipe) -> None:
    before = set(threading.enumerate())
    results = Extractor(recipe, decode_jobs=2).extract_many(list_sources([videos / "good"]))
    next(results)
    results.close()
    assert set(threading.enumerate()) <= before


def test_tf32_is_for_gpus(recipe: Recipe) -> None:
    half = Recipe.model_validate({**recipe.model_dump(), "precision": "tf32"})
    with pytest.raises(InputError, match="tf32 needs a CUDA device"):
        Extractor(half, "cpu")


def test_frames_as_files_give_the_features_of_the_video(
    videos: Path, recipe: Recipe, tmp_path: Path
) -> None:
    video, folder = videos / "good" / "1.mp4", tmp_path / "01.02"
    folder.mkdir()
    reader = open_video(video)
    for index, frame in enumerate(np.concatenate(list(reader.chunks(16)))):
        Image.fromarray(frame).save(folder / f"{index}.png")
    reader.close()
    extractor = Extractor(recipe)
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
