"""Numbers and names in the README are those of the data files and of the public API."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from table import render

import vad_toolkit

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def test_speeds_are_those_of_the_data_files() -> None:
    assert render() in README, "put the output of `python benchmarks/table.py` into the README"


def foreign_names(code: str) -> set[str]:
    """Return what code takes from the toolkit beyond its public names."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vad_"):
            found.add(str(node.module))
        elif isinstance(node, ast.Import):
            found |= {
                alias.name
                for alias in node.names
                if alias.name.startswith("vad_") and alias.name != "vad_toolkit"
            }
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            is_ours = node.value.id == "vad"
            found |= {node.attr} - {*vad_toolkit.__all__} if is_ours else set()
    return found


def test_the_python_example_uses_public_names_and_is_short() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        assert not foreign_names(block)
        assert len(ast.parse(block).body) <= 8


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_use_public_names_only(path: Path) -> None:
    assert not foreign_names(path.read_text(encoding="utf-8"))


def test_foreign_names_are_found() -> None:
    code = "from vad_toolkit.packs.pack import A\nimport vad_toolkit as vad\nvad.nothing\nvad.train"
    assert foreign_names(code) == {"vad_toolkit.packs.pack", "nothing"}
