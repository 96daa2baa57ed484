"""Check the language of code and documentation against the project's rules (CONTRIBUTING.md).

Prints one line per finding and exits with 1 if there is any:

- a docstring that starts with What, Which, Whether, How or Who;
- a banned phrase in a docstring, comment, message or documentation page.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = ("vad_toolkit", "cli", "examples", "benchmarks", "manifests")
PAGES = ("*.md", "docs/*.md", "benchmarks/*.md")
QUESTION = re.compile(r"(What|Which|Whether|How|Who)\b")
BANNED = {
    r"\b(has|have) to\b": "say must",
    r"\b(frame|video|step|line|snippet|GPU|core|process)s? a (second|step|line|video|GPU|core)\b": (
        "say per"
    ),
    r"(?<![Tt]here )\bis no (?!longer|more|less|such|need|reason|way|difference|faster)\w+": (
        "say is not a"
    ),
    r"\b([Ll]icence|labelled|[Cc]entre|[Cc]olour)": "use US spelling",
    r"\bwhat (was|is|were|are) (finished|done|there|given|asked)\b": "name the thing",
    r"\bcould not be had\b|\bto be had\b": "say available",
    r"\bso many\b": "give the number",
    r"\bcomes? out again\b": "say reproducible",
    r"\bnone of ours\b|\bof one's own\b": "say whose",
}
ALLOWED = re.compile(r"`[^`]*`|licence,")  # code, and a column of `vad weights list --json`
EXEMPT = {"CONTRIBUTING.md"}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the prose of a file: lines of a page; docstrings, comments and strings of a module."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        in_block = False
        for number, line in enumerate(source.splitlines(), 1):
            if line.startswith("```"):
                in_block = not in_block
            elif not in_block:
                yield number, line
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(node.value.splitlines()):
                yield node.lineno + offset, line
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("#"):
            yield number, line


def findings(path: Path) -> Iterator[str]:
    """Yield a line for each rule that a file breaks."""
    name = path.relative_to(ROOT)
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                doc = ast.get_docstring(node)
                if doc and QUESTION.match(doc):
                    word, line = doc.split()[0], getattr(node, "lineno", 1)
                    yield f"{name}:{line}: a docstring starts with {word!r}: name the thing"
    for number, line in texts(path):
        plain = ALLOWED.sub("", line)
        for pattern, advice in BANNED.items():
            if found := re.search(pattern, plain):
                yield f"{name}:{number}: {found[0]!r}: {advice}"


def main() -> int:
    files = [path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py"))]
    files += [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    found = [line for path in files if path.name not in EXEMPT for line in findings(path)]
    print("\n".join(dict.fromkeys(found)), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
