"""Settings: hashes that later fields do not change, one-line errors, and settings files."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, ValidationError, model_validator

from vad_toolkit import __version__
from vad_toolkit.core.settings import Settings, describe_error, read_settings
from vad_toolkit.errors import InputError


class Inner(Settings):
    VERSION_1 = frozenset({"rate"})
    rate: float = 0.5


class Outer(Settings):
    VERSION_1 = frozenset({"steps", "inner"})
    steps: int = Field(10, ge=1)
    inner: Inner = Inner(rate=0.1)


class NewerInner(Inner):
    decay: float = 0.0


class NewerOuter(Outer):
    inner: NewerInner = NewerInner(rate=0.1, decay=0.3)  # not the default of the inner class
    name: str | None = None


def test_fields_of_version_1_are_always_there() -> None:
    assert Outer().canonical_json() == '{"inner":{"rate":0.1},"steps":10}'
    assert Outer(steps=10).sha256 == Outer().sha256 != Outer(steps=11).sha256


def test_later_fields_are_there_when_they_differ_from_their_default() -> None:
    assert NewerOuter().sha256 == Outer().sha256
    assert NewerOuter(name="a").canonical_fields() == Outer().canonical_fields() | {"name": "a"}
    without = NewerOuter(inner=NewerInner(rate=0.1, decay=0.0))
    assert without.canonical_fields()["inner"] == {"rate": 0.1, "decay": 0.0}


def error_of(**fields: object) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(fields)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"steps": 0}, "steps: Input should be greater than or equal to 1 (given: 0)"),
        ({"step": 1}, "step: unknown; available: steps, inner"),
        ({"inner": {"rat": 1.0}}, "inner.rat: unknown; available: rate"),
        ({"inner": {"rate": float("nan")}}, "inner.rate: Input should be a finite number (given:"),
    ],
)
def test_errors_are_one_line(fields: dict[str, object], problem: str) -> None:
    described = describe_error(error_of(**fields), Outer, "config key")
    assert described.startswith(f"config key {problem}")
    assert "\n" not in described


@pytest.mark.parametrize(
    ("what", "named"), [("config key", "config"), ("field", "field"), ("a b.toml:", "a b.toml:")]
)
def test_errors_of_several_fields_name_no_field(what: str, named: str) -> None:
    class Range(Settings):
        low: int
        high: int

        @model_validator(mode="after")
        def _check(self) -> Range:
            raise ValueError("low must be <= high")

    with pytest.raises(ValidationError) as caught:
        Range(low=2, high=1)
    assert describe_error(caught.value, Range, what) == f"{named}: low must be <= high"


@pytest.mark.parametrize("version", ["99.0", "99.0.0.dev1"])
def test_errors_of_a_newer_file_name_its_version(version: str) -> None:
    ending = f"; the file was written by version {version}: install vad-toolkit>={version}"
    described = describe_error(error_of(step=1), Outer, "config key", version)
    assert described == f"config key step: not known to vad-toolkit {__version__}{ending}"
    assert describe_error(error_of(steps=0), Outer, "config key", version).endswith(ending)


@pytest.mark.parametrize("version", ["0.0.1", __version__, "", "new", None])
def test_errors_of_a_file_that_is_not_newer_are_ordinary(version: str | None) -> None:
    described = describe_error(error_of(step=1), Outer, "config key", version)
    assert described == "config key step: unknown; available: steps, inner"


def test_settings_files(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("steps = 3\n[inner]\nrate = 0.2\n")
    (tmp_path / "a.json").write_text('{"steps": 3, "inner": {"rate": 0.2}}')
    for name in ("a.toml", "a.json"):
        assert read_settings(tmp_path / name, "config", ()) == {"steps": 3, "inner": {"rate": 0.2}}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("steps = 3", r"a\.json is not a config: Expecting value"),
        ("[3]", r"a\.json is not a config: it must hold keys and values"),
        (None, r"unknown config '.*a\.json'; give a file \(\.toml, \.json\) or one of x, y"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str | None, match: str) -> None:
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=match):
        read_settings(tmp_path / "a.json", "config", ["x", "y"])
