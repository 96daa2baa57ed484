"""Registries of named implementations, open to plugins.

The toolkit has one registry per pluggable concept: backbone, method, decoder, feature layout,
metric, flow algorithm and benchmark dataset. A plugin is a Python module that registers its own
implementations when it is imported. It is found in one of three ways:

- an installed package declares it in the entry-point group `vad_toolkit.plugins`;
- the user names it, as a module or a .py file: `vad --plugin MODULE ...`, or `load_plugin`;
- the environment variable VAD_PLUGINS lists it. `load_plugin` adds to this list, so that worker
  processes load the same plugins.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Generic, TypeVar, cast

from vad_toolkit.errors import InputError

PLUGIN_GROUP = "vad_toolkit.plugins"
PLUGIN_VARIABLE = "VAD_PLUGINS"

Item = TypeVar("Item")

_loaded: set[str] = set()  # plugins by module name, file or entry point
_loading: list[str] = []  # modules of the plugins that are being imported, outermost first


class Registry(Generic[Item]):
    """Implementations of one concept by name, in the order of their registration.

    Looking up or listing names first loads the plugins; nothing built in is imported before it
    is looked up.

    Args:
        kind: The concept, as error messages call it: "backbone".
        builtin: The toolkit's own implementations: each the object, or "module:attribute".
    """

    def __init__(self, kind: str, builtin: Mapping[str, Item | str]) -> None:
        self.kind = kind
        self._items: dict[str, Item | str] = dict(builtin)
        self._plugins: dict[str, str] = {}

    def register(self, name: str, item: Item) -> None:
        """Add an implementation.

        Registering the same name again from the same module replaces the implementation, so that
        a module can be reloaded.

        Raises:
            InputError: If another module has registered the name.
        """
        plugin = _registering_module()
        if name in self._items and self._plugins.get(name) != plugin:
            owner = self._plugins.get(name, "vad_toolkit")
            raise InputError(
                f"{self.kind} {name!r} is already registered by {owner}; choose another name"
            )
        self._items[name] = item
        self._plugins[name] = plugin

    def plugin_of(self, name: str) -> str | None:
        """Return the module that registered `name`, or None if it is built in."""
        return self._plugins.get(name)

    def check(self, name: str) -> str:
        """Return `name` without importing the implementation. Raises InputError if it is unknown.

        A plugin is looked for only if the name is not known yet.
        """
        if name not in self._items and name not in self:
            raise InputError(f"unknown {self.kind} {name!r}; available: {', '.join(self)}")
        return name

    def __getitem__(self, name: str) -> Item:
        """Return the implementation called `name`. Raises InputError if there is none."""
        item = self._items[self.check(name)]
        if isinstance(item, str):
            module, _, attribute = item.partition(":")
            item = self._items[name] = cast(
                Item, getattr(importlib.import_module(module), attribute)
            )
        return item

    def __contains__(self, name: object) -> bool:
        load_plugins()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        load_plugins()
        return iter(tuple(self._items))

    def __len__(self) -> int:
        load_plugins()
        return len(self._items)

    def items(self) -> Iterator[tuple[str, Item]]:
        """Yield every name with its implementation, which is imported."""
        for name in self:
            yield name, self[name]


def load_plugin(module_or_file: str) -> None:
    """Import a plugin, which registers its implementations, here and in worker processes.

    Args:
        module_or_file: A module's dotted name, or the path of a .py file.

    Raises:
        InputError: If it cannot be imported; the message says why.

    Example:
        >>> load_plugin("json")  # a module that registers nothing
    """
    name = module_or_file
    if name.endswith(".py"):
        path = Path(name).resolve()
        if not path.is_file():
            raise InputError(f"no plugin file {name!r}; give a .py file or the name of a module")
        name = str(path)
    if name not in _loaded:
        _loaded.add(name)
        with _importing(Path(name).stem if name.endswith(".py") else name):
            try:
                _import_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
            except Exception as error:
                _loaded.discard(name)
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                if isinstance(error, ModuleNotFoundError):
                    reason += "; give a .py file or the name of an installed module"
                raise InputError(
                    f"plugin {module_or_file!r} cannot be imported: {reason}"
                ) from error
    listed = _listed()
    if name not in listed:
        os.environ[PLUGIN_VARIABLE] = os.pathsep.join([*listed, name])


def load_plugins() -> None:
    """Load the installed plugins and those that VAD_PLUGINS lists, each once.

    A broken installed plugin is a warning, so that it cannot stop work that does not need it.

    Raises:
        InputError: If a plugin that VAD_PLUGINS lists cannot be imported.
    """
    if _loading:  # a plugin that looks something up while it is imported
        return
    if PLUGIN_GROUP not in _loaded:
        _loaded.add(PLUGIN_GROUP)
        for point in entry_points(group=PLUGIN_GROUP):
            with _importing(point.module):
                try:
                    point.load()
                except Exception as error:
                    warnings.warn(
                        f"plugin {point.value} is not available ({type(error).__name__}: {error})",
                        RuntimeWarning,
                        stacklevel=2,
                    )
    for name in _listed():
        load_plugin(name)


def _listed() -> list[str]:
    return [name for name in os.environ.get(PLUGIN_VARIABLE, "").split(os.pathsep) if name]


def _import_file(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise


@contextmanager
def _importing(module: str) -> Iterator[None]:
    _loading.append(module)
    try:
        yield
    finally:
        _loading.pop()


def _registering_module() -> str:
    """Return the plugin that is being imported, or else the calling module outside the toolkit."""
    if _loading:
        return _loading[-1]
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "vad_toolkit":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__"))
