"""Console and Python blocks of the documentation, as a reader would copy them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GENERATED = ("api.md", "commands.md")  # signatures and help; their examples run elsewhere
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]*?) -->\s*\n)?```(?P<kind>console|python)\n(?P<text>.*?)```",
    re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One block: `reason` says why it is not run, if it is not."""

    page: str
    number: int
    kind: str
    text: str
    reason: str | None

    @property
    def commands(self) -> list[str]:
        """The commands of a console block: lines after "$ ", joined if they end in a backslash."""
        commands: list[str] = []
        continues = False
        for line in self.text.splitlines():
            if continues:
                commands[-1] += "\n" + line
            elif line.startswith("$ "):
                commands.append(line[2:])
            else:
                continue
            continues = commands[-1].endswith("\\")
        return commands


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [
        Block(page.name, number, match["kind"], match["text"], match["reason"])
        for number, match in enumerate(found, 1)
    ]
