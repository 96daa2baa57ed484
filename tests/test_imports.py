"""Imports run one way, between packages and inside of them, as docs/architecture.md says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import vad_toolkit

ROOT = Path(vad_toolkit.__file__).parent
# Packages of the library, lowest first. One imports only from earlier lines; the packages of one
# line do not know each other.
LAYERS = (
    {"errors"},
    {"core"},
    {"video", "flow", "backbones"},
    {"weights"},
    {"recipes"},
    {"packs", "datasets"},
    {"fit", "models"},
    {"training", "compose", "extraction", "interchange", "sharing", "plots"},
    {"scoring"},
    {"evaluation"},
    {"experiments", "doctor"},
    {"api"},
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, module: str, is_package: bool = False) -> Iterator[str]:
    """Yield the names that a module imports, absolute, at the top, inside functions or for types.

    `from a import b` gives "a.b", which may be a module or something in the module "a".
    """
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def depends_on(name: str, modules: set[str]) -> str | None:
    """Return the module of the library that an imported name is, or stands in."""
    while name not in modules:
        name, dot, _ = name.rpartition(".")
        if not dot:
            return None
    return name


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """Each module of the library, and the modules that it imports."""
    paths = {module_name(path): path for path in ROOT.rglob("*.py")}
    modules = set(paths)
    found: dict[str, set[str]] = {}
    for module, path in paths.items():
        names = imported(path.read_text("utf-8"), module, path.name == "__init__.py")
        targets = {depends_on(name, modules) for name in names}
        found[module] = {target for target in targets if target not in (None, module)}
    found.pop("vad_toolkit")  # the public names: it imports the API, lazily, and all import it
    return {module: targets - {"vad_toolkit"} for module, targets in found.items()}


def package_of(module: str) -> str:
    return module.split(".")[1]


def test_no_module_imports_itself_through_others(graph: dict[str, set[str]]) -> None:
    assert tuple(TopologicalSorter(graph).static_order())  # raises CycleError


def test_no_package_imports_itself_through_others(graph: dict[str, set[str]]) -> None:
    """Each package with a folder of its own counts, also those inside `experiments` and others."""
    packages: dict[str, set[str]] = {}
    for module, targets in graph.items():
        parent = module.rpartition(".")[0]
        packages.setdefault(parent, set()).update(target.rpartition(".")[0] for target in targets)
    apart = {
        package: {other for other in others if not related(package, other)}
        for package, others in packages.items()
    }
    assert tuple(TopologicalSorter(apart).static_order())


def related(package: str, other: str) -> bool:
    """A package and one inside it may import from each other; their modules still may not."""
    return f"{package}.".startswith(f"{other}.") or f"{other}.".startswith(f"{package}.")


def test_layers(graph: dict[str, set[str]]) -> None:
    place = {package: level for level, packages in enumerate(LAYERS) for package in packages}
    assert {package_of(module) for module in graph} == place.keys()
    for module, targets in graph.items():
        for target in targets:
            mine, theirs = package_of(module), package_of(target)
            assert mine == theirs or place[theirs] < place[mine], f"{module} imports {target}"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import vad_toolkit.packs.pack", ["vad_toolkit.packs.pack"]),
        ("from vad_toolkit import packs", ["vad_toolkit.packs"]),
        ("def later():\n    from vad_toolkit.packs.pack import A", ["vad_toolkit.packs.pack.A"]),
        ("from ..packs.pack import A", ["vad_toolkit.packs.pack.A"]),
        ("from . import reader", ["vad_toolkit.video.reader"]),
        ("from .reader import A, B", ["vad_toolkit.video.reader.A", "vad_toolkit.video.reader.B"]),
        ("import numpy as np\nfrom torch import nn", ["numpy", "torch.nn"]),
    ],
)
def test_an_import_is_seen_however_it_is_written(source: str, names: list[str]) -> None:
    assert list(imported(source, "vad_toolkit.video.open")) == names


def test_a_package_imports_relative_to_itself() -> None:
    assert list(imported("from .open import A", "vad_toolkit.video", is_package=True)) == [
        "vad_toolkit.video.open.A"
    ]


def test_a_cycle_is_found() -> None:
    with pytest.raises(CycleError):
        tuple(TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())
