"""Opening a video in this process, with the decoder that suits it."""

from __future__ import annotations

from vad_toolkit.core.files import AnyPath
from vad_toolkit.errors import DecodeError
from vad_toolkit.video.probe import ContainerFacts, probe
from vad_toolkit.video.reader import VideoReader
from vad_toolkit.video.registry import AUTO, DECODERS, FALLBACK, check_options


def open_video(path: AnyPath, decoder: str = AUTO, allow_damaged: int = 0) -> VideoReader:
    """Open a video in this process; `worker.DecodeWorker` does the same in a separate process.

    Args:
        path: A video file, or a folder of numbered images.
        decoder: Name of a registered decoder. "auto" chooses one that suits the video, and takes
            PyAV if that decoder cannot open the file.
        allow_damaged: Number of lost frames to accept in a file. Each lost frame that a good frame
            follows is replaced by a copy of the frame before it (at the start: after it), so that
            the other frames keep their positions. Frames lost at the end are left out. The reader's
            `stats` count both.

    Raises:
        InputError: If an argument is not allowed.
        DecodeError: If the video cannot be decoded.

    Example:
        with closing(open_video("camera.mp4")) as reader:
            for frames in reader.chunks(16):  # uint8 (n, height, width, 3)
                ...
    """
    check_options(decoder, allow_damaged)
    facts = probe(path)
    name = choose_decoder(facts, allow_damaged) if decoder == AUTO else decoder
    chosen = DECODERS[name]
    if chosen.reads != facts.kind:
        raise DecodeError(
            f"{path}: is a {facts.kind}, which decoder {name} does not read; use decoder auto"
        )
    try:
        return chosen.open(facts, allow_damaged)
    except DecodeError:
        if decoder != AUTO or name == FALLBACK or chosen.reads != "file":
            raise
    return DECODERS[FALLBACK].open(facts, allow_damaged)


def choose_decoder(facts: ContainerFacts, allow_damaged: int = 0) -> str:
    """Return the name of the decoder that "auto" starts with: the last registered that suits."""
    for name in reversed(tuple(DECODERS)):
        decoder = DECODERS[name]
        if decoder.reads == facts.kind and decoder.suits(facts, allow_damaged):
            return name
    raise DecodeError(f"{facts.path}: no decoder suits it; name one")
