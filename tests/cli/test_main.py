"""The frame of the command line: help, errors, exit codes, and what is not imported for them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from vad_cli.main import vad as group

HEAVY = ("torch", "decord", "av", "h5py", "matplotlib", "sklearn", "pydantic", "numpy")


def commands(command: click.Command, path: str = "vad") -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, f"{path} {name}")
    else:
        yield path, command


@pytest.mark.parametrize(("path", "command"), list(commands(group)))
def test_every_command_has_help_with_an_example(path: str, command: click.Command) -> None:
    text = command.help or ""
    assert "Example" in text, path
    assert f"{path} " in text or text.rstrip().endswith(path), path
    assert (command.get_short_help_str() or "").endswith((".", "...")), path


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from vad_cli.main import vad\n"
        "vad(['--help'], standalone_mode=False)\n"
        f"loaded = [name for name in {HEAVY} if name in sys.modules]\n"
        "sys.exit(', '.join(loaded) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "vad extract" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("extrakt",), 2, "No such command 'extrakt'"),
        (("extract", "--out", "x.h5"), 2, "give either videos or folders, or a manifest"),
        (
            ("extract", "nothing.mp4", "--out", "x.h5"),
            2,
            "'nothing.mp4' does not exist; give a video file",
        ),
        (("weights", "get", "i3d"), 1, "unknown weights 'i3d'; available: "),
        (("pack", "info", "nothing.h5"), 2, "nothing.h5"),
    ],
)
def test_errors_are_one_line_and_a_code(
    vad, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:  # type: ignore[no-untyped-def]
    done = vad(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(vad, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = vad("--debug", "weights", "get", "i3d", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(number: signal.Signals, code: int) -> None:
    """A command that waits is ended by a signal, with its code and without a traceback."""
    waiting = (
        "import signal, time, vad_cli.main as m\n"
        # A shell's background job, as the tests themselves may be, is born with SIGINT ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "@m.vad.command('wait')\n"
        "def wait():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "m.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", waiting, "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            _, errors = process.communicate()
        finally:
            process.kill()
    assert process.returncode == code
    assert "Traceback" not in errors
