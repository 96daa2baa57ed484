"""Reference pages that are generated from the code: docs/commands.md and docs/api.md."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from vad_cli.main import vad

import vad_toolkit

WIDTH = 90
SIGNATURE_WIDTH = 88


def render_commands() -> str:
    """Return the help of all commands as one Markdown page."""
    parts = ["# Commands", "", "Generated from the commands by `make docs`.", ""]
    top = click.Context(vad, info_name="vad", terminal_width=WIDTH, **vad.context_settings)
    for context in _contexts(top):
        parts += [f"## {context.command_path}", "", "```", context.get_help(), "```", ""]
    return "\n".join(parts)


def render_api() -> str:
    """Return the signatures and docstrings of all public names as one Markdown page."""
    parts = [
        "# Python API",
        "",
        "Generated from the docstrings by `make docs`. `import vad_toolkit as vad`; paths may be",
        "strings, and a manifest may be a file, a `Manifest` or the name of a dataset. Examples",
        "run in a folder with `videos/`, `new-video.mp4`, `manifests/`, `features.h5` and `run/`.",
        "",
    ]
    for name in _in_order():
        thing = getattr(vad_toolkit, name)
        title = name if inspect.ismodule(thing) else _signature(name, thing)
        parts += [f"## {name}", "", "```python", title, "```", "", "```text"]
        parts += [inspect.getdoc(thing) or "", "```", ""]
    return "\n".join(parts)


def _in_order() -> list[str]:
    """Return the public names in the order of `__init__.pyi`, which is that of a pipeline."""
    stub = Path(vad_toolkit.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    imports = [node for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom)]
    return [alias.name for node in imports for alias in node.names]


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """Yield the context of a command, as `--help` has it, and those of the commands inside it."""
    yield context
    if isinstance(context.command, click.Group):
        for name, child in context.command.commands.items():
            yield from _contexts(click.Context(child, parent=context, info_name=name))


def _signature(name: str, thing: Any) -> str:
    """Return `name(...) -> ...`, with one parameter per line if it is long."""
    if dataclasses.is_dataclass(thing) or inspect.isclass(thing):
        return f"class {name}"
    signature = inspect.signature(thing)
    returned = (
        ""
        if signature.return_annotation is inspect.Signature.empty
        else _type(signature.return_annotation)
    )
    arrow = f" -> {returned}" if returned else ""
    parameters = [_parameter(parameter) for parameter in signature.parameters.values()]
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        parameters.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    line = f"{name}({', '.join(parameters)}){arrow}"
    if len(line) <= SIGNATURE_WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {item}," for item in parameters), f"){arrow}"])


def _parameter(parameter: inspect.Parameter) -> str:
    text = parameter.name
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        text = f"*{text}"
    elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
        text = f"**{text}"
    if parameter.annotation is not inspect.Parameter.empty:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is not inspect.Parameter.empty:
        default = parameter.default
        shown = default.__name__ if callable(default) else repr(default)
        text += f" = {shown}" if ":" in text else f"={shown}"
    return text


def _type(annotation: Any) -> str:
    """Return an annotation as it is written in the source."""
    return annotation if isinstance(annotation, str) else str(inspect.formatannotation(annotation))


if __name__ == "__main__":
    import sys

    click.echo({"commands": render_commands, "api": render_api}[sys.argv[1]](), nl=False)
