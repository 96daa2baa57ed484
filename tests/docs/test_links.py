"""Every page that is linked is there."""

from __future__ import annotations

import re

from pages import PAGES


def test_every_page_that_is_linked_is_there() -> None:
    for page in PAGES:
        prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#:]+)\)", prose):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
