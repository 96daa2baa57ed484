"""What a process still does when it ends at once."""

from __future__ import annotations

import subprocess
import sys

ENDS = """
import atexit, os, threading
from vad_toolkit.forced_end import before_forced_end, end_now
def fails(): raise OSError("of no account here")
atexit.register(print, "a farewell")
with before_forced_end(lambda: os.write(1, b"left")):
    pass
with before_forced_end(fails), before_forced_end(lambda: os.write(1, b"inside")):
    threading.Thread(target=end_now, args=(7,)).start()
    threading.Event().wait()
"""


def test_acts_of_the_blocks_it_is_in_and_no_farewells() -> None:
    ended = subprocess.run([sys.executable, "-c", ENDS], capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, b"inside", b"")
