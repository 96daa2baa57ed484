"""Facts of a video's container, read with PyAV before decoding starts.

Only the first picture is decoded, which is needed for the rotation and the true picture size. A
folder of frames counts as a container that states its number of frames, but no frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from vad_toolkit.core.files import AnyPath
from vad_toolkit.errors import DecodeError
from vad_toolkit.video.container import SOUND, Structure, examine
from vad_toolkit.video.paths import check_file, list_frames

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

FRAMES = "frames"  # the container's name of a folder of images

# A file may be a playlist that names other files or addresses; only the file itself is read.
CONTAINER_OPTIONS = {"protocol_whitelist": "file"}
NOT_VIDEO_FORMATS = frozenset({"concat", "concatf", "dash", "hls", "image2", "imf", "tty"})
EARLY_END_SECONDS, EARLY_END_SHARE, EARLY_END_FRAMES = 0.5, 0.02, 2  # tolerances of a duration tag
MOST_UNEVEN = 0.1  # of a frame's duration; a constant rate varies this much by rounding
FIRST_PICTURE_PACKETS = 128  # packets that are read at most to find the first picture


@dataclass(frozen=True)
class ContainerFacts:
    """Facts of the best video stream, as the container states them."""

    path: Path
    container: str  # libavformat's short names, separated by commas
    codec: str
    width: int  # pixels of the stored picture, before rotation
    height: int
    rotation: int  # degrees clockwise that make the picture upright: 0, 90, 180 or 270
    fps: float  # 0.0 if unknown
    frames_reported: int  # 0 if the container states none
    frames_estimated: int  # best guess of the number of frames, 0 if unknown
    samples: int | None = None  # visible frames in the sample table (MP4, MOV), if there is one
    cut: bool = False  # an edit list hides some samples
    seconds: float | None = None  # duration of the stream in Matroska's tag
    varies: bool = False  # the frame rate varies, as far as the container shows
    beyond_end: int = 0  # listed samples that would lie beyond the end of the file
    structure: Structure = SOUND  # damage of the container's structure

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as displayed, rotation applied."""
        size = (self.width, self.height)
        return size[::-1] if self.rotation in (90, 270) else size

    @property
    def kind(self) -> str:
        """Kind of the video: a "folder" of frames, or a "file"."""
        return "folder" if self.container == FRAMES else "file"

    def has_container(self, *names: str) -> bool:
        """Return whether one of these short names of libavformat is the container's."""
        return not set(names).isdisjoint(self.container.split(","))


def probe(path: AnyPath) -> ContainerFacts:
    """Return the facts of a file or folder of frames; raise DecodeError if it is not a video."""
    path = Path(path)
    if path.is_dir():
        return _probe_frames(path)
    container, stream = open_container(path)
    with container:
        rotation, size = _first_picture(container, stream)
        width, height = size or (stream.codec_context.width, stream.codec_context.height)
        if width < 1 or height < 1:
            raise DecodeError(f"{path}: no picture can be decoded, so its size is unknown")
        name = container.format.name
        has_table = "mov" in name.split(",") and stream.frames > 0
        entries = list(stream.index_entries) if has_table else []
        listed = len(entries)
        hidden = sum(entry.is_discard for entry in entries)
        length = path.stat().st_size
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        seconds = (container.duration or 0) / 1_000_000
        return ContainerFacts(
            path=path,
            container=name,
            codec=stream.codec_context.codec.canonical_name,
            width=width,
            height=height,
            rotation=rotation,
            fps=fps,
            frames_reported=max(stream.frames, 0),
            samples=listed - hidden if listed else None,
            # Samples outside every edit are not in the index at all.
            cut=hidden > 0 or 0 < listed < stream.frames,
            seconds=_duration_tag(stream),
            frames_estimated=listed or max(stream.frames, 0) or round(seconds * fps),
            varies=_varies(stream, [entry.timestamp for entry in entries]),
            beyond_end=sum(entry.pos + entry.size > length for entry in entries),
            structure=examine(path, name),
        )


def _probe_frames(folder: Path) -> ContainerFacts:
    """Return the facts of a folder of frames, from the number of images and the first one."""
    from vad_toolkit.video.image import read_image

    frames = list_frames(folder)
    first = read_image(folder / frames[0])
    size = first.pixels.shape[:2]
    height, width = size[::-1] if first.rotation in (90, 270) else size
    shown = (first.codec, width, height, first.rotation, 0.0)
    return ContainerFacts(folder, FRAMES, *shown, len(frames), len(frames), samples=len(frames))


def open_container(path: Path) -> tuple[InputContainer, VideoStream]:
    """Open `path` and return it with its best video stream, or raise DecodeError if it has none."""
    import av
    from av.stream import Disposition
    from av.video.stream import VideoStream

    check_file(path)
    try:
        container = av.open(str(path.absolute()), container_options=CONTAINER_OPTIONS)
    except (av.FFmpegError, UnicodeError) as error:
        raise DecodeError(f"{path}: not a readable video ({_reason(path, error)})") from error
    name = container.format.name
    stream = container.streams.best("video")
    if name in NOT_VIDEO_FORMATS or name.endswith("_pipe"):
        problem = f"not a video (its format is {name!r})"
    # FFmpeg also calls the cover picture of a music file a video stream.
    elif not isinstance(stream, VideoStream) or Disposition.attached_pic in stream.disposition:
        problem = "has no video stream"
    elif stream.codec_context is None:
        problem = "PyAV does not support its video codec"
    else:
        return container, stream
    container.close()
    raise DecodeError(f"{path}: {problem}")


def ends_early(end_seconds: float, facts: ContainerFacts) -> bool:
    """Return whether the last packet ends well before the time in the stream's duration tag."""
    if facts.seconds is None:
        return False
    tolerance = max(EARLY_END_SECONDS, EARLY_END_SHARE * facts.seconds)
    if facts.fps > 0:
        tolerance = max(tolerance, EARLY_END_FRAMES / facts.fps)
    return end_seconds < facts.seconds - tolerance


def _first_picture(
    container: InputContainer, stream: VideoStream
) -> tuple[int, tuple[int, int] | None]:
    """Return the rotation and size of the first picture, (0, None) if it cannot be found soon."""
    import av

    packets = container.demux(stream)
    for _ in range(FIRST_PICTURE_PACKETS):
        try:
            if (packet := next(packets, None)) is None:
                break
            for frame in packet.decode():
                # PyAV gives counter-clockwise degrees; the picture is turned back by as much.
                return 90 * (round(-frame.rotation / 90) % 4), (frame.width, frame.height)
        except av.FFmpegError:
            continue  # the backend reports damage
    return 0, None


def _varies(stream: VideoStream, times: list[int]) -> bool:
    """Return whether the frame rate varies, by the sample times or FFmpeg's estimate."""
    if len(times) > 2:
        steps = [after - before for before, after in pairwise(times)]
        return max(steps) > min(steps) + max(1, MOST_UNEVEN * min(steps))
    average, base = stream.average_rate, stream.base_rate
    return bool(average and base and base > average * (1 + MOST_UNEVEN))


def _duration_tag(stream: VideoStream) -> float | None:
    """Return the seconds in a Matroska stream's DURATION tag ("00:00:02.400000000"), if any."""
    try:
        hours, minutes, seconds = map(float, stream.metadata.get("DURATION", "").split(":"))
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds


def _reason(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        is_mp4 = file.read(8)[4:] == b"ftyp"
    if is_mp4 and isinstance(error, ValueError):
        return "an MP4 file without its index, cut short while it was written or copied"
    return getattr(error, "strerror", None) or str(error)
