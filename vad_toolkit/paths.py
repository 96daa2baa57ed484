"""Relative paths as manifests and packs name videos by: what may be one.

A video id is such a path without suffix ("fight/fi001"): here features and datasets agree on it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

MAX_BYTES = 1024
MAX_PARTS = 32
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Parts of ASCII letters, digits, "_", "-", " " and ".", that do not begin with the last two.
_PLAIN = re.compile(rf"[\w-][\w .-]*(?:/[\w-][\w .-]*){{0,{MAX_PARTS - 1}}}", re.ASCII)


def check_relative_path(text: str) -> str:
    """Give back `text` when it is a relative POSIX path with nothing to resolve in it.

    Raises:
        ValueError: an empty text, an absolute path, a component that is empty, "." or "..", a
            control or broken character, more than 32 components or 1,024 bytes.
    """
    if len(text) <= MAX_BYTES and _PLAIN.fullmatch(text):
        return text  # as nearly all are: manifests have millions of them
    parts = text.split("/")
    if any(part in ("", ".", "..") for part in parts) or len(parts) > MAX_PARTS:
        raise ValueError(
            f"has to be a relative path of at most {MAX_PARTS} parts, "
            "none of them empty, '.' or '..'"
        )
    if CONTROL_CHARACTERS.search(text):
        raise ValueError("control characters are not allowed")
    if len(text.encode("utf-8")) > MAX_BYTES:
        raise ValueError(f"may have at most {MAX_BYTES} bytes")
    return text


def path_inside(root: Path, path: str) -> Path:
    """`root / path`, where no symbolic link on the way leads out of `root`.

    Raises:
        ValueError: it leads out, or `path` itself is not relative (`check_relative_path`).
    """
    inside = root / check_relative_path(path)
    real = Path(os.path.realpath(inside))
    if not real.is_relative_to(os.path.realpath(root)):
        raise ValueError(
            f"leads out of {root}, by a link to {real}; name the folder that really holds it, or "
            "copy the file"
        )
    return inside
