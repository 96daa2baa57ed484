"""Registries look names up, load plugins once, and say what is available."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vad_toolkit.core import registry as registry_module
from vad_toolkit.core.registry import Registry, load_plugin, load_plugins
from vad_toolkit.errors import InputError


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts without plugins, and leaves none behind."""
    monkeypatch.delenv("VAD_PLUGINS", raising=False)
    monkeypatch.setattr(registry_module, "_loaded", set())
    before = set(sys.modules)
    yield
    os.environ.pop("VAD_PLUGINS", None)
    for name in set(sys.modules) - before:
        if name.startswith("plugin_"):
            del sys.modules[name]


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> Registry[object]:
    """A registry that plugins of these tests find as `math.numbers`."""
    found: Registry[object] = Registry("number", {"pi": "math:pi", "two": 2})
    monkeypatch.setattr("math.numbers", found, raising=False)
    return found


def write_plugin(folder: Path, name: str, body: str = "math.numbers.register('six', 6)") -> Path:
    path = folder / f"{name}.py"
    path.write_text(f"import math\n{body}\n", encoding="utf-8")
    return path


def test_a_built_in_is_imported_when_it_is_looked_up(numbers: Registry[object]) -> None:
    assert list(numbers) == ["pi", "two"]
    assert numbers["two"] == 2
    assert numbers["pi"] == pytest.approx(3.14159265)
    assert numbers.plugin_of("pi") is None


def test_an_unknown_name_lists_what_is_available(numbers: Registry[object]) -> None:
    with pytest.raises(InputError, match=r"^unknown number 'ten'; available: pi, two$"):
        numbers["ten"]
    assert "ten" not in numbers
    assert len(numbers) == 2


def test_a_name_belongs_to_the_module_that_registered_it(numbers: Registry[object]) -> None:
    numbers.register("three", 3)
    numbers.register("three", 3.0)  # the same module again, as when it is reloaded
    assert numbers["three"] == 3.0
    assert numbers.plugin_of("three") == __name__
    with pytest.raises(InputError, match="number 'two' is already registered by vad_toolkit"):
        numbers.register("two", 22)


def test_a_plugin_file(numbers: Registry[object], tmp_path: Path) -> None:
    path = write_plugin(tmp_path, "plugin_file")
    load_plugin(str(path))
    load_plugin(str(path))
    assert numbers["six"] == 6
    assert numbers.plugin_of("six") == "plugin_file"
    assert os.environ["VAD_PLUGINS"] == str(path)


def test_a_plugin_module(
    numbers: Registry[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin(tmp_path, "plugin_module")
    monkeypatch.syspath_prepend(tmp_path)
    load_plugin("plugin_module")
    assert numbers["six"] == 6


def test_plugins_of_the_environment_are_loaded_at_the_first_lookup(
    numbers: Registry[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAD_PLUGINS", str(write_plugin(tmp_path, "plugin_listed")))
    assert numbers["six"] == 6


def test_an_installed_plugin(
    numbers: Registry[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A distribution that declares the entry point, as pip would leave it on the path."""
    write_plugin(tmp_path, "plugin_installed")
    info = tmp_path / "plugin_installed-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-installed\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vad_toolkit.plugins]\nsix = plugin_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert numbers["six"] == 6
    assert numbers.plugin_of("six") == "plugin_installed"


def test_a_broken_installed_plugin_is_a_warning(
    numbers: Registry[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin(tmp_path, "plugin_broken", "raise RuntimeError('no license')")
    info = tmp_path / "plugin_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vad_toolkit.plugins]\nbroken = plugin_broken\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(RuntimeWarning, match=r"plugin_broken is not available \(RuntimeError: no l"):
        load_plugins()
    assert list(numbers) == ["pi", "two"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plugin_nowhere", r"'plugin_nowhere' cannot be imported: ModuleNotFoundError: .*; give a"),
        ("plugin_nowhere.py", r"no plugin file 'plugin_nowhere.py'; give a .py file or the name"),
    ],
)
def test_a_plugin_that_is_missing(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_plugin(name)
    assert "VAD_PLUGINS" not in os.environ


def test_a_plugin_that_fails_says_why_and_can_be_mended(
    numbers: Registry[object], tmp_path: Path
) -> None:
    path = write_plugin(tmp_path, "plugin_mended", "math.numbers.register('pi', 3)")
    with pytest.raises(InputError, match="number 'pi' is already registered by vad_toolkit"):
        load_plugin(str(path))
    write_plugin(tmp_path, "plugin_mended")
    load_plugin(str(path))
    assert numbers["six"] == 6


def test_a_reason_of_several_lines_becomes_one(tmp_path: Path) -> None:
    path = write_plugin(tmp_path, "plugin_lines", "raise RuntimeError('no\\n  license')")
    with pytest.raises(InputError, match=r"cannot be imported: RuntimeError: no license$"):
        load_plugin(str(path))


def test_worker_processes_load_the_same_plugins(tmp_path: Path) -> None:
    body = "from vad_toolkit.core import registry\nregistry.SEEN = True"
    load_plugin(str(write_plugin(tmp_path, "plugin_worker", body)))
    code = "from vad_toolkit.core import registry; registry.load_plugins(); print(registry.SEEN)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
