"""What an ablation trains and compares: tables of rows, as data; built-in ones and a user's.

A row is a name, a config to begin with, and settings on top of it; `comparisons` name pairs of rows
whose difference is taken (row, reference), `effects` sets of such pairs whose differences are
averaged: the main effect of a part is what it adds in the mean over the other parts, there or not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vad_toolkit.core.settings import read_settings
from vad_toolkit.errors import InputError
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.training.load_config import load_config

Pair = tuple[str, str]  # a row, and the reference that is taken from it

ROW_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+=._,-]{0,63}")


@dataclass(frozen=True)
class Row:
    """One line of the table. `config`: a preset or file; None is the ablation's own (--config).

    Raises:
        InputError: a name that no folder may have.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    config: str | None = None

    def __post_init__(self) -> None:
        if not ROW_NAME.fullmatch(self.name):
            raise InputError(
                f"row {self.name!r}: a name has 1 to 64 letters, digits and +=._,- and begins "
                "with a letter or digit, since it names a folder"
            )

    def resolve(self, base: str | None, overrides: Mapping[str, Any]) -> TrainConfig:
        """The whole config: base, then `overrides` that all rows share, then the row's settings.

        Raises:
            InputError: a key or value that the row's method does not have; names the row.
        """
        try:
            return load_config(self.config or base, {**overrides, **self.settings})
        except InputError as error:
            raise InputError(f"row {self.name}: {error}") from error


@dataclass(frozen=True)
class Table:
    """Rows in order, each name once, and which of them are compared.

    `settings`: of all rows, where neither the caller nor the row says otherwise.

    Raises:
        InputError: no rows, a name twice, a comparison or effect with a row that is not there, or
            an effect of nothing.
    """

    rows: tuple[Row, ...]
    comparisons: tuple[Pair, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    effects: Mapping[str, tuple[Pair, ...]] = field(default_factory=dict)

    def resolve(self, base: str | None, overrides: Mapping[str, Any]) -> dict[str, TrainConfig]:
        """The whole config of each row; what `overrides` say comes after the table's settings.

        Raises:
            InputError: see `Row.resolve`.
        """
        shared = {**self.settings, **overrides}
        return {row.name: row.resolve(base, shared) for row in self.rows}

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        if not names:
            raise InputError("a table has to have at least one row")
        folded = [name.casefold() for name in names]
        for name in names:
            if folded.count(name.casefold()) > 1:
                raise InputError(f"row {name!r} stands twice; names differ by more than case")
        checked = []
        for effect, pairs in self.effects.items():
            if not pairs:
                raise InputError(f"effect {effect!r}: has to have at least one [row, reference]")
            checked += [(f"effect {effect!r}", pair) for pair in pairs]
        checked += [("comparison", pair) for pair in self.comparisons]
        for what, pair in checked:
            for name in pair:
                if name not in names:
                    raise InputError(f"{what} with {name!r}: there are the rows {', '.join(names)}")


def _against(reference: str, *rows: Row) -> Table:
    """Every row compared with one."""
    return Table(rows, tuple((row.name, reference) for row in rows if row.name != reference))


def _parts(name: str, *, activate: bool, distance: bool, como: bool) -> Row:
    settings: dict[str, Any] = {}
    if not activate:
        settings["head.activate"] = "none"
    if not distance:
        settings["losses.relative_distance"] = 0.0
    if not como:
        settings["head.como"] = False
    return Row(name, settings)


FULL = Row("full")
NONE = _parts("none", activate=False, distance=False, como=False)
WITHOUT_ACTIVATE = _parts("distance+como", activate=False, distance=True, como=True)
WITHOUT_DISTANCE = _parts("activate+como", activate=True, distance=False, como=True)
WITHOUT_COMO = _parts("activate+distance", activate=True, distance=True, como=False)

# What each part adds, with each of the others there or not.
ADDED: Mapping[str, tuple[Pair, ...]] = {
    "class-activate features": (
        ("activate", "none"),
        ("activate+distance", "distance"),
        ("activate+como", "como"),
        ("full", "distance+como"),
    ),
    "relative distance": (
        ("distance", "none"),
        ("activate+distance", "activate"),
        ("distance+como", "como"),
        ("full", "activate+como"),
    ),
    "CoMo": (
        ("como", "none"),
        ("activate+como", "activate"),
        ("distance+como", "distance"),
        ("full", "activate+distance"),
    ),
}
PARTS = Table(  # every subset of the three
    (
        NONE,
        _parts("activate", activate=True, distance=False, como=False),
        _parts("distance", activate=False, distance=True, como=False),
        _parts("como", activate=False, distance=False, como=True),
        WITHOUT_COMO,
        WITHOUT_DISTANCE,
        WITHOUT_ACTIVATE,
        FULL,
    ),
    tuple(chain.from_iterable(ADDED.values())),
    effects=ADDED,
)
INTERACTION = _against(
    "full",
    FULL,
    *(Row(f"interaction={kind}", {"head.interaction": kind}) for kind in ("joint-graph", "none")),
    WITHOUT_COMO,
)
MARGIN = _against(
    "full",
    FULL,
    *(Row(f"margin={m}", {"losses.margin": m}) for m in (0.1, 0.2, 0.5, 0.7)),
    WITHOUT_DISTANCE,
)
K = _against(
    "full",
    FULL,
    *(Row(f"top_divisor={divisor}", {"losses.top_divisor": divisor}) for divisor in (4, 6, 16, 32)),
)
ACTIVATE = _against("full", FULL, Row("activate=gate", {"head.activate": "gate"}), WITHOUT_ACTIVATE)
STREAMS = _against(
    "full",
    FULL,
    *(Row(f"streams={one}", {"head.streams": one}) for one in ("context", "motion")),
    WITHOUT_COMO,
)
BASELINES = ("sultani", "rtfm", "ur-dmu", "mgfn")
METHODS = Table(
    (FULL, *(Row(name, config=name) for name in BASELINES)),
    tuple(("full", name) for name in BASELINES),
)


def join(tables: Sequence[Table]) -> Table:
    """All rows, comparisons and effects, each once, in order."""
    rows = {row.name: row for table in tables for row in table.rows}
    return Table(
        tuple(rows.values()),
        tuple(dict.fromkeys(pair for table in tables for pair in table.comparisons)),
        effects={name: pairs for table in tables for name, pairs in table.effects.items()},
    )


TABLES: Mapping[str, Table] = {
    "parts": PARTS,
    "interaction": INTERACTION,
    "margin": MARGIN,
    "k": K,
    "activate": ACTIVATE,
    "streams": STREAMS,
    "methods": METHODS,
    "all": join((PARTS, INTERACTION, MARGIN, K, ACTIVATE, STREAMS, METHODS)),
}


_Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class _RowFields(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    config: str | None = None
    settings: dict[str, Any] = {}


class _TableFields(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    settings: dict[str, Any] = {}
    rows: Annotated[dict[str, _RowFields], Field(min_length=1)]
    reference: str | None = None
    compare: list[_Pair] | None = None
    effects: dict[str, list[_Pair]] = {}


def load_table(name_or_file: str) -> Table:
    """A built-in table by its name, or one of a .toml or .json file.

    A file has `[rows.NAME]` with `config` (a preset or file) and `settings` (config keys and
    values), perhaps `[settings]` that all rows share, and either `reference`, a row that all others
    are compared with (by default the first one), or `compare`, a list of [row, reference]; and
    perhaps `[effects]`, by name a list of [row, reference] whose differences are averaged, and
    compared each by itself too.

    Raises:
        InputError: no such table or file, or what is in it is not a table.
    """
    if name_or_file in TABLES:
        return TABLES[name_or_file]
    fields = read_settings(Path(name_or_file), "table", TABLES)
    try:
        given = _TableFields.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{name_or_file}: {where}: {first['msg']}; a table has [rows.NAME] with config and "
            "settings, [settings] of all rows, reference or compare, and [effects]"
        ) from error
    if given.reference is not None and given.compare is not None:
        raise InputError(f"{name_or_file}: reference and compare: give one of them")
    try:
        rows = [Row(name, row.settings, row.config) for name, row in given.rows.items()]
        reference = given.reference or rows[0].name
        pairs = given.compare or [[row.name, reference] for row in rows if row.name != reference]
        effects = {name: _pairs(pairs) for name, pairs in given.effects.items()}
        compared = (*chain.from_iterable(effects.values()), *_pairs(pairs))
        return Table(tuple(rows), tuple(dict.fromkeys(compared)), given.settings, effects)
    except InputError as error:
        raise InputError(f"{name_or_file}: {error}") from error


def _pairs(given: Sequence[Sequence[str]]) -> tuple[Pair, ...]:
    return tuple((row, reference) for row, reference in given)
