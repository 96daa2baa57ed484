"""Findings of `vad doctor`: what works, and what is reported when a part does not."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from vad_toolkit import doctor
from vad_toolkit.doctor import Finding
from vad_toolkit.errors import DecodeError
from vad_toolkit.video.worker import DecodeWorker


def test_each_decoder_of_files_reads_a_small_video() -> None:
    findings = list(doctor._decoders())
    assert [finding.subject for finding in findings] == ["decoder pyav", "decoder decord"]
    assert {finding.status for finding in findings} == {"ok"}
    assert all(finding.detail.endswith(", 8 of 8 frames") for finding in findings)


def test_a_decoder_that_fails_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(worker: DecodeWorker, path: Path, decoder: str) -> None:
        raise DecodeError(f"{decoder} is broken")

    monkeypatch.setattr(DecodeWorker, "stream", fail)
    assert next(iter(doctor._decoders())) == Finding("decoder pyav", "problem", "pyav is broken")


def test_missing_and_slow_packages_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "rich":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.9.1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = {finding.subject: finding for finding in doctor._packages()}
    assert found["numpy"].status == "ok"
    assert found["rich"].detail == "not installed: pip install vad-toolkit"
    assert found["torch"].status == "problem"
    assert "install 2.10 or newer" in found["torch"].detail


def test_low_disk_space_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "not" / "there"))
    monkeypatch.setattr(doctor, "LITTLE_DISK_GIB", 0.0)
    assert doctor._disk().status == "ok"
    monkeypatch.setattr(doctor, "LITTLE_DISK_GIB", 1e9)
    finding = doctor._disk()
    assert finding.status == "note"
    assert finding.detail.endswith(f"GiB at {tmp_path}")
    assert [item.status for item in doctor._weights()] == ["ok", "note"]
