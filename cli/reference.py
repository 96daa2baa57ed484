"""The command reference, docs/commands.md, made from the commands themselves: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from .main import vad

WIDTH = 90


def render() -> str:
    """All commands' help as one Markdown page."""
    parts = ["# Commands", "", "Made from the commands by `make docs`.", ""]
    top = click.Context(vad, info_name="vad", terminal_width=WIDTH, **vad.context_settings)
    for context in _contexts(top):
        parts += [f"## {context.command_path}", "", "```", context.get_help(), "```", ""]
    return "\n".join(parts)


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """A command's context, as `--help` would have it, and those of the commands in it."""
    yield context
    if isinstance(context.command, click.Group):
        for name, child in context.command.commands.items():
            yield from _contexts(click.Context(child, parent=context, info_name=name))


if __name__ == "__main__":
    click.echo(render(), nl=False)
