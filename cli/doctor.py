"""`vad doctor`."""

from __future__ import annotations

from dataclasses import asdict

import click

from .common import json_option, print_json, print_table


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Show versions, devices, decoders, weights and disk, and what is known to be bad.

    The exit code is 1 when there is a problem to mend.

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
