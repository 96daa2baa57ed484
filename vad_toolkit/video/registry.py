"""Registry of the video decoders.

Adding a decoder takes one module with a `Decoder` (see `video.reader`) and one registration. If the
module is loaded as a plugin (`core.registry`), every command and the decoder processes find it.
PyAV provides the facts that a decoder gets, so it must be able to open the file.
"""

from __future__ import annotations

from vad_toolkit.core.registry import Registry
from vad_toolkit.errors import InputError
from vad_toolkit.video.reader import Decoder

AUTO = "auto"  # not a decoder: chooses one for each video
FALLBACK = "pyav"  # reads the file if the decoder that "auto" chose cannot

# The order matters: "auto" asks the last one first (`choose_decoder`), and PyAV reads every file.
DECODERS: Registry[Decoder] = Registry(
    "decoder",
    {
        "pyav": "vad_toolkit.video.backends.pyav:PYAV",
        "decord": "vad_toolkit.video.backends.decord:DECORD",
        "pillow": "vad_toolkit.video.backends.images:PILLOW",
    },
)


def check_options(decoder: str, allow_damaged: int) -> None:
    """Raise InputError if there is no such decoder, or it cannot accept that many lost frames."""
    if allow_damaged < 0:
        raise InputError(f"allow_damaged must be an integer >= 0, got {allow_damaged}")
    if decoder == AUTO:
        return
    if decoder not in DECODERS:
        names = ", ".join((AUTO, *DECODERS))
        raise InputError(f"unknown decoder {decoder!r}; available: {names}")
    if allow_damaged and not DECODERS[decoder].replaces_lost_frames:
        raise InputError(f"decoder {decoder} cannot replace lost frames; use decoder auto or pyav")


def register_decoder(name: str, decoder: Decoder) -> None:
    """Add a decoder that `decoder=` and `--decoder` then accept.

    Args:
        name: Name of the decoder.
        decoder: How to open a video, and which videos "auto" may choose it for.

    Raises:
        InputError: If another module has registered the name.

    Example:
        >>> from vad_toolkit.video.backends.pyav import PyAVReader
        >>> from vad_toolkit.video.reader import Decoder
        >>> register_decoder("my-decoder", Decoder(open=PyAVReader))
    """
    DECODERS.register(name, decoder)
