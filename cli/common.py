"""What commands share: data on stdout as table or JSON, progress on stderr, KEY=VALUE settings."""

from __future__ import annotations

import json
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from vad_toolkit.core.progress import ProgressCallback, ProgressEvent
from vad_toolkit.errors import InputError

Function = TypeVar("Function", bound=Callable[..., Any])

EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, path_type=Path)
ANY_PATH = click.Path(path_type=Path)
PLAIN_INTERVAL_SECONDS = 10.0


def json_option(function: Function) -> Function:
    """`--json`: data as JSON on stdout instead of a table."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def settings_option(help_text: str) -> Callable[[Function], Function]:
    """`--set KEY=VALUE`, many times; read the values with `parse_settings`."""
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=help_text)


def device_option(function: Function) -> Function:
    """`--device auto|cpu|cuda|cuda:N`."""
    return click.option(
        "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."
    )(function)


def timeout_option(function: Function) -> Function:
    """Add `--timeout SECONDS` for videos that hang."""
    return click.option(
        "--timeout",
        default=60.0,
        show_default=True,
        type=click.FloatRange(min=0, min_open=True),
        help="Seconds without an answer before a video is given up.",
    )(function)


def decoder_options(function: Function) -> Function:
    """Add `--decoder NAME`, `--allow-damaged N` and `--timeout SECONDS`."""
    decoder = click.option(
        "--decoder",
        default="auto",
        show_default=True,
        metavar="NAME",
        callback=_check_decoder,
        help="auto, pyav, decord, pillow or a plugin's. auto chooses Pillow for folders of frames, "
        "Decord for undamaged VP8, VP9, MJPEG and FFV1, and PyAV for the rest.",
    )
    allow_damaged = click.option(
        "--allow-damaged",
        default=0,
        show_default=True,
        type=click.IntRange(min=0),
        metavar="N",
        help="Accept up to N lost frames per video file; they are replaced by copies and counted.",
    )
    return decoder(allow_damaged(timeout_option(function)))


def _check_decoder(context: click.Context, option: click.Parameter, name: str) -> str:
    """Refuse an unknown decoder before the command starts."""
    from vad_toolkit.video.registry import check_options

    check_options(name, 0)
    return name


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE texts as a mapping; a value is TOML (7, true, [1, 2]) or else plain text."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set {setting!r}: has to be KEY=VALUE, as in --set crops=center")
        try:
            values[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[key.strip()] = text.strip()
    return values


def print_json(value: Any) -> None:
    """JSON on stdout."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Rows as an aligned table on stdout; floats with four decimals, None as '-'."""
    if not rows:
        return
    names = list(columns or rows[0])
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(names)]
    click.echo(
        "  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True)).rstrip()
    )
    for row in cells:
        click.echo(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def print_pairs(pairs: Mapping[str, Any]) -> None:
    """Names and values, one a line, aligned, on stdout."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        click.echo(f"{name.ljust(width)}  {_cell(value)}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    return str(value)


@contextmanager
def progress_reporter() -> Iterator[ProgressCallback]:
    """Progress on stderr: a live bar on a terminal, a plain line every ten seconds elsewhere."""
    if sys.stderr.isatty():
        with _live_bar() as callback:
            yield callback
    else:
        yield _PlainLines()


class _PlainLines:
    def __init__(self) -> None:
        self.stage = ""
        self.started = 0.0
        self.printed = 0.0

    def __call__(self, event: ProgressEvent) -> None:
        now = time.monotonic()
        if event.stage != self.stage:
            self.stage, self.started, self.printed, self.base = event.stage, now, now, event.done
        finished = event.done >= event.total
        if not finished and now - self.printed < PLAIN_INTERVAL_SECONDS:
            return
        self.printed = now
        rate = (event.done - self.base) / max(now - self.started, 1e-9)
        left = "" if finished or rate <= 0 else f", {(event.total - event.done) / rate:.0f} s left"
        note = f", {event.note}" if event.note else ""
        click.echo(
            f"{event.stage}: {event.done:.0f}/{event.total:.0f} {event.unit}, "
            f"{rate:.1f} {event.unit}/s{left}{note}",
            err=True,
        )


@contextmanager
def _live_bar() -> Iterator[ProgressCallback]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
        TextColumn("{task.fields[rate]:.1f}/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    tasks: dict[str, Any] = {}
    started: dict[str, tuple[float, float]] = {}
    with Progress(*columns, console=Console(stderr=True)) as bar:

        def callback(event: ProgressEvent) -> None:
            now = time.monotonic()
            if event.stage not in tasks:
                tasks[event.stage] = bar.add_task(event.stage, unit=event.unit, rate=0.0, note="")
                started[event.stage] = (now, event.done)
            begin, base = started[event.stage]
            bar.update(
                tasks[event.stage],
                completed=event.done,
                total=event.total,
                unit=event.unit,
                rate=(event.done - base) / max(now - begin, 1e-9),
                note=event.note,
            )

        yield callback
