"""The command reference in the docs is what the commands say."""

from __future__ import annotations

from pathlib import Path

from vad_cli.reference import render

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"


def test_reference_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `make docs`"
