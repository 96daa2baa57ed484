"""Opening a video: choosing the decoder and checking its options."""

from __future__ import annotations

from pathlib import Path

from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.video.backends.decord import DECORD_MEMORY_LIMIT, decord_bytes
from vad_toolkit.video.probe import FRAMES, ContainerFacts, probe
from vad_toolkit.video.reader import VideoReader

DECODERS = ("auto", "decord", "pyav")

# Where Decord gave every frame, bit for bit, when read in sequence. Not among them: AVI, where the
# decoders differ after damage, MPEG-TS, of which it gives no frame at all, GIF, which it refuses.
DECORD_CONTAINERS = ("mov", "matroska", "flv", "asf", "mpeg")

# Of other codecs (H.264, MPEG-4 and their kin), FFmpeg repairs damaged pictures with parts of
# others. PyAV tells which; Decord hands them out as if they were whole, and of HEVC even pictures
# that are not there.
DECORD_CODECS = ("vp8", "vp9", "mjpeg", "ffv1")


def open_video(path: Path, decoder: str = "auto", allow_damaged: int = 0) -> VideoReader:
    """Open a video in this process; `worker.DecodeWorker` does the same in one that can be killed.

    With "auto", Decord is left for PyAV when it cannot open the file. Once it has given frames it
    is not left: the DecodeError then has `retry="pyav"`, and the caller reads again from the start.

    `allow_damaged`: how many lost frames are accepted in a file; "auto" then takes PyAV. Those with
    a good frame after them are replaced by copies, each of the frame before it (at the very start:
    after it), so that no other frame is shifted; what is lost at the end is left away. `stats`
    counts both.

    Raises InputError for wrong values, DecodeError for a file that cannot be decoded.
    """
    check_options(decoder, allow_damaged)
    facts = probe(path)
    chosen = choose_decoder(facts, allow_damaged) if decoder == "auto" else decoder
    if facts.container == FRAMES:
        if decoder != "auto":
            raise DecodeError(f"{path}: {decoder} reads no folder of frames; use the decoder auto")
        from vad_toolkit.video.backends.images import PillowReader

        return PillowReader(facts)
    if chosen == "decord":
        from vad_toolkit.video.backends.decord import DecordReader

        try:
            return DecordReader(facts, retry="pyav" if decoder == "auto" else None)
        except DecodeError as error:
            if error.retry is None:
                raise
    from vad_toolkit.video.backends.pyav import PyAVReader

    return PyAVReader(facts, allow_damaged)


def check_options(decoder: str, allow_damaged: int) -> None:
    """Raise InputError where `decoder` is none of DECODERS, or cannot do what is asked of it."""
    if decoder not in DECODERS:
        raise InputError(f"unknown decoder {decoder!r}; allowed: {', '.join(DECODERS)}")
    if allow_damaged < 0:
        raise InputError(f"{allow_damaged} damaged frames; allowed: 0 or more")
    if allow_damaged and decoder == "decord":
        raise InputError("Decord cannot go on after a lost frame; use the decoder auto or pyav")


def choose_decoder(facts: ContainerFacts, allow_damaged: int = 0) -> str:
    """Name the decoder that "auto" starts with: "decord", "pyav" or "pillow"."""
    if facts.container == FRAMES:
        return "pillow"
    if allow_damaged or facts.structure.damage:
        return "pyav"
    is_known = facts.codec in DECORD_CODECS and facts.has_container(*DECORD_CONTAINERS)
    if facts.cut or not is_known:
        return "pyav"
    frames = facts.frames_estimated
    if frames == 0 or decord_bytes(facts, frames) > DECORD_MEMORY_LIMIT:
        return "pyav"
    return "decord"
