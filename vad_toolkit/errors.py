"""Everything that can go wrong, as one tree.

    VadError                 base: one clear line for the user
    ├── InputError           an option, a value or a file that the user named is wrong (exit code 2)
    ├── DecodeError          a video cannot be decoded, wholly or in part
    ├── PackError            a feature pack cannot be used
    │   ├── PackCorrupt      its bytes do not match its digests, or parts of it are missing
    │   ├── PackUnsafe       it holds something that this toolkit refuses to open
    │   └── VideoNotFound    it does not have the video (also a KeyError)
    ├── ManifestError        a manifest is wrong, or does not fit a pack or its videos
    └── WeightsError         network weights are missing, damaged or not the ones that were named

A message states the value, the allowed values and the next step, on one line. The command
line prints it and exits with `exit_code`; code that uses the library catches `VadError` or a branch
of it.
"""

from __future__ import annotations


class VadError(Exception):
    """Base of all errors raised on purpose. `exit_code` is the exit code of the command line."""

    exit_code = 1


class InputError(VadError):
    """An option, a value or a file that the user named is wrong."""

    exit_code = 2


class DecodeError(VadError):
    """A video cannot be decoded. `retry` names another decoder worth a try, or is None."""

    def __init__(self, message: str, *, retry: str | None = None) -> None:
        super().__init__(message)
        self.retry = retry


class PackError(VadError):
    """A feature pack cannot be used."""


class PackCorrupt(PackError):
    """A pack whose bytes do not match its digests, or that is incomplete."""


class PackUnsafe(PackError):
    """A pack with content that is refused before reading: links, foreign types, bombs."""


class VideoNotFound(PackError, KeyError):
    """A pack does not have a video. It is a KeyError too, since a pack is a mapping."""

    __str__ = Exception.__str__  # that of KeyError puts the message in quotes


class ManifestError(VadError):
    """A manifest is wrong, or does not fit a pack or its videos."""


class WeightsError(VadError):
    """Network weights are missing, damaged or not the ones that were named."""
