"""Examples in docstrings run, each in a folder like that of README's session."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import vad_toolkit

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SKIPPED = {"vad_toolkit.backbones.triton_kernels", "vad_toolkit.flow.tvl1_kernels"}  # need Triton


def modules() -> Iterator[str]:
    for info in pkgutil.walk_packages(vad_toolkit.__path__, "vad_toolkit."):
        source = Path(importlib.util.find_spec(info.name).origin).read_text("utf-8")  # type: ignore[union-attr,arg-type]
        if ">>>" in source and info.name not in SKIPPED:
            yield info.name


@pytest.mark.parametrize("module", list(modules()))
def test_examples(
    module: str, session_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = importlib.import_module(module)
    folder = tmp_path / "session"
    shutil.copytree(session_folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VAD_PLUGINS", "")  # undone after examples that load one
    if module.startswith("vad_toolkit.weights"):  # its examples write into the cache
        monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    report: list[str] = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(loaded, module):
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)
    assert runner.tries


def test_every_public_function_has_an_example() -> None:
    for name in vad_toolkit.__all__:
        thing = getattr(vad_toolkit, name)
        if inspect.isfunction(thing):
            assert ">>>" in (inspect.getdoc(thing) or ""), f"vad_toolkit.{name} has no example"
