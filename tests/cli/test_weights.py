"""`vad weights`: known weights, cached weights, and errors; without a connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn
from vad_cli.main import vad

from vad_toolkit.errors import WeightsError
from vad_toolkit.flow.raft import weights_file
from vad_toolkit.weights.catalogue import CATALOGUE


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, and no connection to fill them."""

    def no_connection(*_: Any, **__: Any) -> None:
        raise OSError("no connection")

    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_connection)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(vad, ["weights", *arguments])


def listed() -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(run("list", "--json").stdout)}


def test_all_that_is_known_is_listed_with_the_way_to_get_it() -> None:
    rows = listed()
    assert set(rows) == {*CATALOGUE, "raft-large", "raft-small"}
    assert all(row["here"] == "no" and row["get"] for row in rows.values())


def test_what_is_here_is_told() -> None:
    assert "s3d-random" in run("get", "s3d-random").stdout
    file = weights_file("raft-small")
    file.parent.mkdir(parents=True)
    torch.save(nn.Linear(2, 2).state_dict(), file)
    here = {name for name, row in listed().items() if row["here"] == "yes"}
    assert here == {"s3d-random", "raft-small"}
    (line,) = (line for line in run("list").stdout.splitlines() if line.startswith("raft-small"))
    assert line.split()[1] == "yes"


def test_raft_without_a_connection() -> None:
    error = run("get", "raft-large").exception
    assert isinstance(error, WeightsError)
    assert str(error) == "torchvision cannot download raft-large (no connection)"


def test_an_unknown_name_is_refused() -> None:
    error = run("get", "nothing").exception
    assert isinstance(error, WeightsError)
    assert str(error).startswith("unknown weights 'nothing'; available: i3d-rgb-k400, ")
