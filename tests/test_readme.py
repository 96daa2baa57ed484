"""What the README shows is what the data files and the library say."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

from table import render

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def test_speeds_are_those_of_the_data_files() -> None:
    assert render() in README, "put the output of `python benchmarks/table.py` into the README"


def test_python_example_names_what_there_is() -> None:
    """Every name that the example imports exists, and it is as short as the README promises."""
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None
    tree = ast.parse(code.group(1))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    for node in imports:
        module = importlib.import_module(str(node.module))
        assert all(hasattr(module, alias.name) for alias in node.names)
    assert len(tree.body) - len(imports) <= 10


def test_every_page_that_is_linked_is_there() -> None:
    root = Path(__file__).resolve().parents[1]
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    for page in pages:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
