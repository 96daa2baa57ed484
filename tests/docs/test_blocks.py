"""Every block of README and docs runs as printed, in the order of its page.

A page is one session in a folder with the results of README's first session: `videos/` (small clips
in `normal/` and `fight/`), `new-video.mp4`, `manifests/`, `features.h5` and `run/`. Blocks that
cannot run here are marked with `<!-- not run: reason -->` and skip with that reason.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from pages import GENERATED, PAGES, Block, blocks
from vad_cli.main import vad

BLOCKS = {page.name: blocks(page) for page in PAGES if page.name not in GENERATED}
RUNS = {name: [b for b in found if b.reason is None] for name, found in BLOCKS.items()}
NOT_RUN = [block for found in BLOCKS.values() for block in found if block.reason is not None]


def run(block: Block, folder: Path) -> None:
    """Run a block in `folder`: Python and `vad` in this process, the rest as a shell would."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    if block.kind == "python":
        exec(compile(block.text, f"{block.page}, block {block.number}", "exec"), {})
    for command in block.commands if block.kind == "console" else ():
        if command.startswith("vad ") and not set(command) & set("|<>&;$`*"):
            arguments = shlex.split(command.replace("\\\n", " "), comments=True)[1:]
            result = CliRunner().invoke(vad, arguments)
            assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception!r}"
        else:
            check(["bash", "-euo", "pipefail", "-c", command], folder, environment)


def check(call: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        call, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{call[-1]}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [name for name, found in RUNS.items() if found])
def test_blocks_run_as_printed(
    page: str, session_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my videos"  # a path with a space
    if page == "README.md":  # its session begins with the videos alone
        shutil.copytree(session_folder / "videos", folder / "videos")
        shutil.copy(session_folder / "new-video.mp4", folder)
    else:
        shutil.copytree(session_folder, folder)
    monkeypatch.chdir(folder)
    for block in RUNS[page]:
        run(block, folder)


@pytest.mark.parametrize("block", NOT_RUN, ids=lambda block: f"{block.page}-{block.number}")
def test_blocks_that_are_not_run_say_why(block: Block) -> None:
    assert block.reason
    pytest.skip(f"{block.page}, block {block.number}: {block.reason}")


def test_blocks_are_found() -> None:
    assert len(BLOCKS["README.md"]) >= 3
    assert sum(map(len, RUNS.values())) >= 15


def test_commands_of_a_block() -> None:
    text = "$ vad a \\\n      --b\noutput\n$ vad c   # why\n"
    assert Block("page", 1, "console", text, None).commands == [
        "vad a \\\n      --b",
        "vad c   # why",
    ]
