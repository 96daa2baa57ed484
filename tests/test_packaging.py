"""The packages of a wheel are found automatically, and there is one source of the version."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

import pytest
import setuptools

import vad_toolkit

ROOT = Path(__file__).parents[1]


def test_every_package_is_in_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, list[str]] = {}
    monkeypatch.setattr(setuptools, "setup", given.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    folders = [file.parent for file in (ROOT / "vad_toolkit").rglob("__init__.py")]
    found = [".".join(folder.relative_to(ROOT).parts) for folder in folders]
    assert sorted(given["packages"]) == sorted([*found, "vad_cli", "vad_manifests"])


def test_every_folder_of_modules_is_a_package() -> None:
    for folder in {file.parent for file in (ROOT / "vad_toolkit").rglob("*.py")}:
        assert (folder / "__init__.py").is_file(), folder


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert f"## {vad_toolkit.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {vad_toolkit.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_every_data_file_is_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    for path in (ROOT / "vad_toolkit").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            package = next(folder for folder in path.parents if (folder / "__init__.py").is_file())
            assert any(path in package.glob(pattern) for pattern in patterns), path
