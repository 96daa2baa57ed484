"""Shared parts of the commands: options, tables and JSON on stdout, progress on stderr."""

from __future__ import annotations

import json
import math
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vad_toolkit.core.progress import ProgressCallback, ProgressEvent
from vad_toolkit.errors import InputError

if TYPE_CHECKING:
    from vad_toolkit.evaluation.controls import Controls

Function = TypeVar("Function", bound=Callable[..., Any])
Show = Callable[[ProgressEvent, float], None]  # displays an event and the rate per second

EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, path_type=Path)
ANY_PATH = click.Path(path_type=Path)
PLAIN_INTERVAL_SECONDS = 10.0


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."
)
timeout_option = click.option(
    "--timeout",
    "timeout_seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds without an answer before a video is given up.",
)


def settings_option(help_text: str) -> Callable[[Function], Function]:
    """Add `--set KEY=VALUE`, many times; read the values with `parse_settings`."""
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=help_text)


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
    """Return KEY=VALUE texts as a mapping; values are TOML (7, true, [1, 2]), else plain text."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set {setting!r}: must be KEY=VALUE, as in --set crops=center")
        try:
            values[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[key.strip()] = text.strip()
    return values


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Print rows as an aligned table on stdout; floats with four decimals, None as '-'."""
    if not rows:
        return
    names = list(columns or rows[0])
    lines = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(map(str.ljust, line, widths)).rstrip())


def print_pairs(pairs: Mapping[str, Any]) -> None:
    """Print names and values on stdout, one pair per line, aligned."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        click.echo(f"{name.ljust(width)}  {_cell(value)}")


def print_controls(controls: Controls) -> None:
    """Print what scores that look at no features achieve, after an empty line."""
    click.echo()
    print_table([{"control": name, **values} for name, values in controls.values.items()])
    if controls.length is not None and controls.length_from_test:
        click.echo(
            "length: learned from the test videos, since lengths of training videos are not known",
            err=True,
        )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


@contextmanager
def progress_reporter() -> Iterator[ProgressCallback]:
    """Show progress on stderr: live bars on a terminal, a line every ten seconds elsewhere."""
    started: dict[str, tuple[float, float]] = {}  # time and amount done at the start of each stage
    latest: dict[str, float] = {}  # amount done of each stage
    with ExitStack() as stack:
        is_live = sys.stderr.isatty()
        show = stack.enter_context(_live_bars()) if is_live else _plain_lines()

        def callback(event: ProgressEvent) -> None:
            now = time.monotonic()
            if event.done < latest.get(event.stage, math.inf):  # it starts, perhaps once more
                started[event.stage] = now, event.done
            latest[event.stage] = event.done
            begin, base = started[event.stage]
            show(event, (event.done - base) / max(now - begin, 1e-9))

        yield callback


def _plain_lines() -> Show:
    printed: dict[str, float] = {}  # time of the last line of each stage

    def show(event: ProgressEvent, rate: float) -> None:
        now = time.monotonic()
        finished = event.done >= event.total
        if not finished and now - printed.setdefault(event.stage, now) < PLAIN_INTERVAL_SECONDS:
            return
        printed[event.stage] = now
        left = "" if finished or rate <= 0 else f", {(event.total - event.done) / rate:.0f} s left"
        note = f", {event.note}" if event.note else ""
        done = f"{event.done:.0f}/{event.total:.0f} {event.unit}, {rate:.1f} {event.unit}/s"
        click.echo(f"{event.stage}: {done}{left}{note}", err=True)

    return show


@contextmanager
def _live_bars() -> Iterator[Show]:
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
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def show(event: ProgressEvent, rate: float) -> None:
            fields: dict[str, Any] = {"unit": event.unit, "note": event.note, "rate": rate}
            if event.stage not in tasks:
                tasks[event.stage] = bars.add_task(event.stage, **fields)
            task = tasks[event.stage]
            bars.update(task, completed=event.done, total=event.total, **fields)

        yield show
