"""Entry point of `vad`: the group of commands, and errors turned into one line and an exit code."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator

import click

from vad_toolkit import __version__
from vad_toolkit.core.registry import load_plugin
from vad_toolkit.errors import VadError

from .ablate import ablate
from .compose import compose
from .context_motion import context_motion
from .demo import demo
from .doctor import doctor
from .evaluate import evaluate
from .extract import extract
from .gt import gt
from .manifest import manifest
from .pack import pack
from .predict import predict
from .probe import probe
from .signals import end_interrupted, handle_signals
from .train import train
from .weights import weights


@click.group(context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="vad")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def vad(debug: bool) -> None:
    """Video anomaly detection from video-level labels, from raw video to frame-level AUC.

    \b
    The stages, in order:
      vad probe      raw videos          -> facts and problems
      vad extract    raw videos          -> feature pack
      vad manifest   folders, datasets   -> train and test manifests
      vad train      pack + manifest     -> run with checkpoints
      vad eval       run + test manifest -> metrics and plots
      vad predict    run + new videos    -> frame scores, alarms

    `vad demo` runs them all on videos that it renders itself.
    """


for command in (
    *(demo, doctor, weights, manifest, gt, probe, extract, pack, compose, context_motion),
    *(train, evaluate, ablate, predict),
):
    vad.add_command(command)


def _load_plugins(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> None:
    for name in names:
        load_plugin(name)


def _commands(group: click.Group) -> Iterator[click.Command]:
    """Yield a group, its commands and the commands of the groups inside it."""
    yield group
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from _commands(command)
        else:
            yield command


# Every command takes --plugin, before or after its name, since nobody remembers which it is.
for command in _commands(vad):
    command.params.append(
        click.Option(
            ["--plugin"],
            metavar="MODULE",
            multiple=True,
            is_eager=True,  # before options whose values a plugin may add to are looked at
            expose_value=False,
            callback=_load_plugins,
            help="Import this module or .py file, which registers methods, backbones, decoders "
            "and the like. May be repeated.",
        )
    )


def main() -> None:
    """Run `vad` with the arguments of the process, and exit."""
    handle_signals()
    debug = "--debug" in sys.argv
    try:
        code = vad.main(prog_name="vad", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        end_interrupted(signal.SIGINT)
    except SystemExit as end:
        # SIGTERM: 143 from our handler, 15 from the one that Ray puts in its place.
        if end.code in (signal.SIGTERM, 128 + signal.SIGTERM):
            end_interrupted(signal.SIGTERM)
        raise
    except VadError as error:
        if debug:
            traceback.print_exc()
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `vad ... | head`
        sys.stderr.close()
        sys.exit(1)
