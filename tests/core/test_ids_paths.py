"""Relative paths: the fast check and the thorough one agree."""

from __future__ import annotations

import pytest

from vad_toolkit.core import ids as paths
from vad_toolkit.core.ids import MAX_BYTES, MAX_PARTS, check_relative_path

LONG = "x" * MAX_BYTES
DEEP = "/".join(["d"] * MAX_PARTS)
GOOD = [
    "a",
    "a/b.mp4",
    "-x/_y/0",
    "a b/c. d",
    "a..b",
    "a.",
    ".a/..b",
    "\u6f22\u5b57/\u00fc",
    LONG,
    DEEP,
]
BAD = [
    ("", "none of them empty"),
    ("/a", "none of them empty"),
    ("a/", "none of them empty"),
    ("a//b", "none of them empty"),
    (".", "none of them empty, '.' or '..'"),
    ("a/../b", "none of them empty, '.' or '..'"),
    ("a/./b", "none of them empty, '.' or '..'"),
    ("../a", "none of them empty, '.' or '..'"),
    (f"{DEEP}/d", f"at most {MAX_PARTS} parts"),
    (f"{LONG}x", f"at most {MAX_BYTES:d} bytes"),
    ("\u00fc" * 513, f"at most {MAX_BYTES:d} bytes"),
    ("a\n", "control characters"),
    ("a\x00b", "control characters"),
    ("a\x85", "control characters"),
    ("a\ud800", "control characters"),
]


@pytest.fixture(params=["quick", "thorough"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check with the quick way first, as always, or never."""
    if request.param == "thorough":
        monkeypatch.setattr(paths, "_PLAIN", paths.re.compile(r"(?!)"))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("text", GOOD)
def test_a_path_is_given_back(text: str) -> None:
    assert check_relative_path(text) == text


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("text", "match"), BAD)
def test_what_is_no_plain_path(text: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        check_relative_path(text)
