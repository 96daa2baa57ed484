"""Which processes lie below one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vad_toolkit.core.processes import descendants

# A child that starts one of its own, tells its number, and waits until its input ends.
NESTED = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
child.communicate()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_children_and_theirs() -> None:
    before = descendants(os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", NESTED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        assert descendants(os.getpid()) - before == {child.pid, grandchild}
        assert descendants(child.pid) == {grandchild}
        assert descendants(grandchild) == set()
        child.communicate("")
    assert not descendants(os.getpid()) & {child.pid, grandchild}
