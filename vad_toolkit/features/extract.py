"""Raw videos to features: decode once, resize and crop on the device, network, pack.

A video is decoded forward by a child process that can be killed (`video.worker`), its frames cross
to the device once as uint8, and its features become a part of the pack as soon as it is finished.
One bad video is a line in `failures.jsonl`; the others go on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import Tensor

from vad_toolkit.backbones.store import load_backbone
from vad_toolkit.device import pick_device
from vad_toolkit.errors import DecodeError, InputError, PackError
from vad_toolkit.features.crops import crop_views, iter_snippets, network_input, resize_frames
from vad_toolkit.features.ids import check_ids
from vad_toolkit.features.parts import PartStore
from vad_toolkit.features.recipe import Recipe
from vad_toolkit.features.video import VideoFeatures, VideoMeta
from vad_toolkit.files import write_text
from vad_toolkit.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.video.files import find_videos, source_bytes, source_sha256
from vad_toolkit.video.frame_folder import EXAMPLE, is_frame_folder
from vad_toolkit.video.worker import DecodeWorker, FrameStream

FAILURES = "failures.jsonl"
# Clips a forward pass. Two fill the caches of a CPU best (benchmarks/extract.py); a GPU wants many.
BATCH_CLIPS = {"cpu": 2, "cuda": 64}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class VideoSource:
    """A video to extract: its id in the pack, and where it lies."""

    id: str
    path: Path


@dataclass(frozen=True)
class Failure:
    """One video that could not be used, and why, in one line."""

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class ExtractSummary:
    """What an extraction did.

    `reused` videos were in the pack or its parts already; `notes` tell of parts that were damaged
    and therefore made again.
    """

    pack: Path
    extracted: tuple[str, ...]
    reused: tuple[str, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    frames: int
    snippets: int
    seconds: float


class Extractor:
    """Features of one video after another, with one network and one decoder process.

    A context manager. Raises WeightsError when the recipe's weights are not in the cache, and
    InputError for a device that is not there.
    """

    def __init__(
        self,
        recipe: Recipe,
        device: str = "auto",
        decoder: str = "auto",
        timeout_seconds: float = 60.0,
        allow_damaged: int = 0,
    ) -> None:
        self.recipe = recipe
        self.device = pick_device(device)
        self.dtype = DTYPES[recipe.precision]
        self.network = load_backbone(recipe.weights["rgb"], self.device, self.dtype)
        self.batch_clips = BATCH_CLIPS[self.device.type]
        self.decoder = decoder
        self.allow_damaged = allow_damaged
        self.worker = DecodeWorker(timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the decoder process."""
        self.worker.close()

    def extract(self, path: Path, progress: ProgressCallback = silent) -> VideoFeatures:
        """Features (N, C, D) float16 of one video.

        Where the first decoder fails and another is worth a try, the video is read again from its
        start with that one. `progress` counts this video's frames.

        Raises:
            DecodeError: the video cannot be decoded, is damaged, or has too few frames.
        PackError: its features are not finite, or too large for float16.
        """
        try:
            return self._extract_with(path, self.decoder, progress)
        except DecodeError as first:
            if first.retry is None:
                raise
            try:
                return self._extract_with(path, first.retry, progress)
            except DecodeError as second:
                raise DecodeError(f"{second} (before, with another decoder: {first})") from first

    def _extract_with(self, path: Path, decoder: str, progress: ProgressCallback) -> VideoFeatures:
        with self.worker.stream(
            path, decoder, self.recipe.snippet_frames, allow_damaged=self.allow_damaged
        ) as stream:
            frames = self._frames_on_device(stream, progress)
            features = self._features(frames)
            stats, info = stream.stats, stream.info
        if not len(features):
            raise DecodeError(
                f"{path} has {stats.frames_decoded} frames, fewer than one snippet takes "
                f"({self.recipe.snippet_frames} frames, tail rule {self.recipe.tail!r})"
            )
        meta = VideoMeta(
            frames=stats.frames_decoded,
            frames_reported=stats.frames_reported,
            frames_duplicated=stats.frames_duplicated,
            fps=info.fps,
            width=info.width,
            height=info.height,
            source_sha256=source_sha256(path),
            decoder=info.decoder,
            decoder_version=info.decoder_version,
        )
        return VideoFeatures(meta=meta, streams={"rgb": features})

    def _frames_on_device(
        self, stream: FrameStream, progress: ProgressCallback
    ) -> Iterator[Tensor]:
        """Chunks as they come, resized on the device: uint8 (n, 3, height, width)."""
        done = 0
        for chunk in stream:
            frames = torch.from_numpy(chunk).to(self.device, non_blocking=True)
            yield resize_frames(frames, self.recipe.resize)
            done += len(chunk)
            progress(
                ProgressEvent("frames", done, max(done, stream.info.frames_reported), "frames")
            )

    @torch.inference_mode()
    def _features(
        self, frames: Iterable[Tensor]
    ) -> np.ndarray[tuple[int, int, int], np.dtype[np.float16]]:
        clips = (
            crop
            for snippet in iter_snippets(frames, self.recipe)
            for crop in crop_views(snippet, self.recipe)
        )
        outputs = []
        while batch := list(islice(clips, self.batch_clips)):
            found = self.network(network_input(torch.stack(batch), self.dtype)).float()
            outputs.append(found.half())
        if not outputs:
            return np.zeros((0, self.recipe.crop_count, 0), np.float16)
        flat = torch.cat(outputs)  # (N * C, D)
        return flat.reshape(-1, self.recipe.crop_count, flat.shape[1]).cpu().numpy()


def list_sources(inputs: Sequence[Path]) -> list[VideoSource]:
    """Videos named one by one, or all below a folder; a folder's ids are paths relative to it.

    The id of a file has no suffix. A folder of frames is one video, also where it is named itself.

    Raises:
        InputError: nothing there, a folder without videos or one that may or may not be a video
            (`find_videos`), or two videos with one id.
    """
    sources: dict[str, VideoSource] = {}
    for item in inputs:
        if not item.exists():
            raise InputError(f"no video or folder {str(item)!r}")
        is_video = not item.is_dir() or is_frame_folder(item)
        videos = [item] if is_video else find_videos(item)
        if not videos:
            raise InputError(
                f"no videos below {str(item)!r}: neither files nor folders of frames ({EXAMPLE})"
            )
        for path in videos:
            name = Path(_own_name(item)) if is_video else path.relative_to(item)
            source = VideoSource((name if path.is_dir() else name.with_suffix("")).as_posix(), path)
            if (other := sources.get(source.id)) is not None:
                raise InputError(
                    f"{other.path} and {path} would both be {source.id!r}: rename one of them, or "
                    "run them separately"
                )
            sources[source.id] = source
    return list(sources.values())


def _own_name(path: Path) -> str:
    """The last part of a path, also where that is "." or ".."."""
    return path.name if path.name not in ("", "..") else path.resolve().name


def extract_pack(
    videos: Sequence[VideoSource],
    recipe: Recipe,
    out: Path,
    *,
    dataset: str = "videos",
    licence: str = "not stated",
    device: str = "auto",
    decoder: str = "auto",
    timeout_seconds: float = 60.0,
    allow_damaged: int = 0,
    progress: ProgressCallback = silent,
) -> ExtractSummary:
    """Extract `videos` into the pack `out`; what is there already is kept, not made again.

    A finished video is safe at once, as a part of its own, so that a killed run goes on where it
    was. Videos that fail are listed in `failures.jsonl` beside the pack, one line each; with none,
    this pack has no lines there. When no video at all could be used, no pack is written.

    Of a video file, up to `allow_damaged` lost frames are accepted; copies take their place.

    Raises:
        InputError: no videos, or a pack or parts of another recipe at `out`.
        PackError: ids that cannot stand in one pack, such as one inside another.
        WeightsError: the recipe's weights are not in the cache.
    """
    if not videos:
        raise InputError("no videos to extract")
    check_ids(video.id for video in videos)
    started = time.monotonic()
    extracted: list[str] = []
    failures: list[Failure] = []
    frames = snippets = 0
    with PartStore(out, recipe, dataset=dataset, license=licence) as store:
        wanted = [video for video in videos if video.id not in store.completed]
        reused = tuple(video.id for video in videos if video.id in store.completed)
        if wanted:
            with Extractor(recipe, device, decoder, timeout_seconds, allow_damaged) as extractor:
                meter = _Meter(wanted, progress)
                for video in wanted:
                    try:
                        features = extractor.extract(video.path, meter.of(video))
                    except (DecodeError, PackError, OSError) as error:
                        failures.append(Failure(video.id, str(video.path), str(error)))
                        meter.finished(video, 0)
                        continue
                    store.add(video.id, features)
                    extracted.append(video.id)
                    frames += features.meta.frames
                    snippets += len(features.streams["rgb"])
                    meter.finished(video, features.meta.frames)
        if extracted or reused:
            store.finish()
        notes = tuple(store.notes)
    _write_failures(out, failures)
    return ExtractSummary(
        pack=out,
        extracted=tuple(extracted),
        reused=reused,
        failures=tuple(failures),
        notes=notes,
        frames=frames,
        snippets=snippets,
        seconds=time.monotonic() - started,
    )


class _Meter:
    """Frames done of all videos; the total is guessed from sizes in bytes: only decoding tells."""

    def __init__(self, videos: Sequence[VideoSource], progress: ProgressCallback) -> None:
        self.sizes = {video.id: source_bytes(video.path) for video in videos}
        self.bytes_left = sum(self.sizes.values())
        self.bytes_done = 0
        self.frames_done = 0
        self.videos_done = 0
        self.progress = progress

    def of(self, video: VideoSource) -> ProgressCallback:
        """The callback that one video's extraction reports its frames to."""

        def report(event: ProgressEvent) -> None:
            size = self.sizes[video.id]
            density = (self.frames_done + event.total) / max(self.bytes_done + size, 1)
            rest = density * (self.bytes_left - size)
            note = f"video {self.videos_done + 1} of {len(self.sizes)}, {video.id}"
            done = self.frames_done + event.done
            total = max(self.frames_done + event.total + rest, done + 1)
            self.progress(replace(event, stage="extract", done=done, total=total, note=note))

        return report

    def finished(self, video: VideoSource, frames: int) -> None:
        """Count a video as done; a failed one has no frames, and its bytes tell nothing."""
        size = self.sizes[video.id]
        self.bytes_left -= size
        self.videos_done += 1
        if frames:
            self.bytes_done += size
            self.frames_done += frames
        if self.videos_done == len(self.sizes):
            note = f"{self.videos_done} videos"
            done = self.frames_done
            self.progress(ProgressEvent("extract", done, done, "frames", note))


def _write_failures(out: Path, failures: Sequence[Failure]) -> None:
    """Replace this pack's lines in the `failures.jsonl` beside it; an empty file goes away."""
    path = out.parent / FAILURES
    there = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    kept = [line for line in there.splitlines() if _pack_of(line) != out.name]
    lines = kept + [
        json.dumps({"pack": out.name, **asdict(failure)}, ensure_ascii=False)
        for failure in failures
    ]
    if lines:
        write_text(path, "".join(f"{line}\n" for line in lines))
    else:
        path.unlink(missing_ok=True)


def _pack_of(line: str) -> str | None:
    """The pack that a line of `failures.jsonl` names; None for a line that is somebody else's."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry.get("pack") if isinstance(entry, dict) else None
