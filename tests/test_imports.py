"""Imports run one way, as docs/architecture.md has it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import vad_toolkit

ROOT = Path(vad_toolkit.__file__).parent
# What everything may rest on; what rests on that alone; what rests on both.
BASE = {"crops", "device", "errors", "files", "forced_end", "paths"}
BASE |= {"processes", "progress", "winograd"}
MIDDLE = {"backbones", "flow", "video"}
UPPER = {"datasets", "features", "models"}


def imported(source: str) -> Iterator[str]:
    """The parts of the library that a module imports, wherever it does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "vad_toolkit":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vad_toolkit."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            names = (alias.name.split(".") for alias in node.names)
            yield from (name[1] for name in names if name[0] == "vad_toolkit" and len(name) > 1)


@pytest.fixture(scope="module")
def parts() -> dict[str, set[str]]:
    """Each part of the library (a package or a module below its root), and what it imports."""
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        part = path.relative_to(ROOT).parts[0].removesuffix(".py")
        found.setdefault(part, set()).update(imported(path.read_text(encoding="utf-8")))
    return {part: names & found.keys() - {part} for part, names in found.items()}


def test_no_part_imports_itself_through_others(parts: dict[str, set[str]]) -> None:
    assert tuple(TopologicalSorter(parts).static_order())  # raises CycleError


def test_layers(parts: dict[str, set[str]]) -> None:
    assert parts.keys() >= BASE | MIDDLE | UPPER
    for layer, below in ((BASE, BASE), (MIDDLE, BASE | MIDDLE), (UPPER, BASE | MIDDLE)):
        for part in layer:
            assert parts[part] <= below, part


@pytest.mark.parametrize(
    "source",
    [
        "import vad_toolkit.packs.pack",
        "from vad_toolkit import features",
        "def later():\n    from vad_toolkit.packs.pack import PackReader",
    ],
)
def test_an_import_is_seen_however_it_is_written(source: str) -> None:
    assert list(imported(source)) == ["features"]


def test_others_are_no_part() -> None:
    assert list(imported("import numpy as np\nfrom torch import nn\nimport vad_toolkit")) == []
