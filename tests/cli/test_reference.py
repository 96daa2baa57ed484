"""The reference pages in docs/ are what the code says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from reference_pages import render_api, render_commands

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(("page", "render"), [("commands", render_commands), ("api", render_api)])
def test_reference_is_up_to_date(page: str, render: Callable[[], str]) -> None:
    assert (DOCS / f"{page}.md").read_text(encoding="utf-8") == render(), "run `make docs`"
