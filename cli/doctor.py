"""`vad doctor`: checks of the installation."""

from __future__ import annotations

from dataclasses import asdict

import click

from .common import json_option, print_json, print_table


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check versions, devices, decoders, weights and disk space, and report known problems.

    The exit code is 1 if there is a problem.

    \b
    Example:
      vad doctor
    """
    from vad_toolkit.doctor import examine

    findings = examine()
    rows = [asdict(finding) for finding in findings]
    if as_json:
        print_json(rows)
    else:
        print_table(rows)
    if any(finding.status == "problem" for finding in findings):
        raise SystemExit(1)
