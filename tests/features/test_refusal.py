"""Each command that reads packs refuses hostile ones: one line, exit code 1, nothing opened."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

COMMANDS = {
    "pack info": ("pack", "info", "PACK"),
    "pack verify": ("pack", "verify", "PACK", "--json"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_refuse_hostile_packs(
    hostile_pack: tuple[Path, str],
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from vad_cli.main import main

    path, match = hostile_pack
    arguments = [str(path) if item == "PACK" else item for item in COMMANDS[command]]
    monkeypatch.setattr("sys.argv", ["vad", *arguments])
    monkeypatch.setattr(signal, "signal", lambda *handler: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"Error: {path}: ")
    assert re.search(match, err)
    assert err.count("\n") == 1
