from __future__ import annotations

import fcntl
import re
from pathlib import Path

import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.training import run_folder as folder_module
from vad_toolkit.training.run_folder import check_run_folder, check_seeds_folder, claimed

RUN = {"config": {"steps": 3, "head": {"width": 4}}, "seed": 0, "training_videos": ["a", "b"]}


def test_a_new_or_empty_folder_is_fine(tmp_path: Path) -> None:
    assert check_run_folder(tmp_path / "new") == "new"
    assert check_run_folder(tmp_path) == "new"
    check_seeds_folder(tmp_path)


@pytest.mark.parametrize("name", ["full", "full/file"])
def test_what_exists_is_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    message = f"{tmp_path / name} already exists and is not an empty folder; choose another --out"
    for check in (check_run_folder, check_seeds_folder):
        with pytest.raises(InputError, match=re.escape(message)):
            check(tmp_path / name)


def test_how_far_a_run_is(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with claimed(out, RUN) as reached:
        assert reached == "new"
    with claimed(out, RUN) as reached:
        assert reached == "begun"
    (out / "result.json").write_text("{}")
    assert check_run_folder(out, RUN) == "finished"
    assert (out / "config.json").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed is 0 there, 1 here"),
        ({"config": {"steps": 3, "head": {"width": 5}}}, "config.head.width is 4 there, 5 here"),
        ({"training_videos": ["a"] * 100}, "training_videos differs"),
        ({"more": True}, "more is None there, True here"),
    ],
)
def test_the_first_difference_is_told(tmp_path: Path, changes: dict, message: str) -> None:
    with claimed(tmp_path, RUN):
        pass
    with pytest.raises(InputError, match=f"holds another run {re.escape(f'({message})')}"):
        check_run_folder(tmp_path, {**RUN, **changes})


def test_a_description_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run.json cannot be read \(.*\); choose another --out"):
        check_run_folder(tmp_path, RUN)


def test_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "LOCK_SECONDS", 0.0)
    with (tmp_path / "log.jsonl").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with (
            pytest.raises(InputError, match=r"another process trains in .* choose another --out"),
            claimed(tmp_path, RUN),
        ):
            pass
    with claimed(tmp_path, RUN) as reached:  # it ended
        assert reached == "new"
