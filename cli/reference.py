"""The command reference, docs/commands.md, made from the commands themselves: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from .main import vad

WIDTH = 90


def render() -> str:
    """All commands' help as one Markdown page."""
    parts = ["# Commands", "", "Made from the commands by `make docs`.", ""]
    for path, command in _commands("vad", vad):
        context = click.Context(command, info_name=path, terminal_width=WIDTH)
        parts += [f"## {path}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(parts)


def _commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _commands(f"{path} {name}", child)


if __name__ == "__main__":
    click.echo(render(), nl=False)
