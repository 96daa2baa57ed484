"""Tables of an ablation: the rows that are trained, and the pairs of rows that are compared.

`comparisons` are pairs (row, reference) whose difference is taken. `effects` are sets of such pairs
whose differences are averaged: the main effect of a part is its average gain, with the other parts
on or off. The built-in tables are the files in `builtin/`, in the format of a user's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from vad_toolkit.core.settings import Settings, describe_error, read_settings
from vad_toolkit.errors import InputError
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.training.load_config import load_config

Pair = tuple[str, str]  # a row, and the reference that is subtracted from it

ROW_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+=._,-]{0,63}")
BUILTIN = Path(__file__).parent / "builtin"
TABLES = ("parts", "interaction", "margin", "k", "activate", "streams", "methods")
ALL = "all"  # the name of all built-in tables together


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: 1 to 64 letters, digits and +=._,- (it names a folder).
        settings: Config keys and values of this row.
        config: A preset or file. If None, the config of the whole ablation (`--config`).
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
        """Return the complete config: base, then shared `overrides`, then the row's settings.

        Raises:
            InputError: If the row's method lacks a key or refuses a value; names the row.
        """
        try:
            return load_config(self.config or base, {**overrides, **self.settings})
        except InputError as error:
            raise InputError(f"row {self.name}: {error}") from error


@dataclass(frozen=True)
class Table:
    """Rows in their order, and the comparisons between them.

    Attributes:
        settings: Settings of all rows, unless the caller or a row overrides them.

    Raises:
        InputError: If there are no rows, a name occurs twice, or a comparison or effect is empty or
            names an unknown row.
    """

    rows: tuple[Row, ...]
    comparisons: tuple[Pair, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    effects: Mapping[str, tuple[Pair, ...]] = field(default_factory=dict)

    def resolve(self, base: str | None, overrides: Mapping[str, Any]) -> dict[str, TrainConfig]:
        """Return the complete config of each row; `overrides` replace the table's settings.

        Raises:
            InputError: As `Row.resolve`.
        """
        shared = {**self.settings, **overrides}
        return {row.name: row.resolve(base, shared) for row in self.rows}

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        if not names:
            raise InputError("a table must have at least one row")
        folded = [name.casefold() for name in names]
        for name in names:
            if folded.count(name.casefold()) > 1:
                raise InputError(f"row {name!r} occurs twice; names must differ by more than case")
        used = {f"effect {effect!r}": pairs for effect, pairs in self.effects.items()}
        for user, pairs in {**used, "comparison": self.comparisons}.items():
            if user in used and not pairs:
                raise InputError(f"{user} must have at least one [row, reference]")
            for name in chain.from_iterable(pairs):
                if name not in names:
                    raise InputError(f"{user}: unknown row {name!r}; available: {', '.join(names)}")


_Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class _RowFields(Settings):
    config: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class _TableFields(Settings):
    settings: dict[str, Any] = Field(default_factory=dict)
    rows: Annotated[dict[str, _RowFields], Field(min_length=1)]
    reference: str | None = None
    compare: list[_Pair] | None = None
    effects: dict[str, list[_Pair]] = Field(default_factory=dict)


def load_table(name_or_file: str) -> Table:
    """Return a built-in table by its name, or the table of a .toml or .json file.

    A file has `[rows.NAME]` with `config` (a preset or file) and `settings` (config keys and
    values), optionally `[settings]` of all rows, and either `reference`, the row that all others
    are compared with (the first one by default), or `compare`, a list of [row, reference]. The
    pairs in `[effects]`, lists of [row, reference] by name, are compared one by one too.

    Raises:
        InputError: If there is no such table or file, or it does not hold a table.
    """
    if name_or_file == ALL:
        return _join([load_table(name) for name in TABLES])
    path = BUILTIN / f"{name_or_file}.toml" if name_or_file in TABLES else Path(name_or_file)
    fields = read_settings(path, "table", (*TABLES, ALL))
    try:
        given = _TableFields.model_validate(fields)
        if given.reference is not None and given.compare is not None:
            raise InputError("give either reference or compare, not both")
        rows = [Row(name, row.settings, row.config) for name, row in given.rows.items()]
        reference = given.reference or rows[0].name
        pairs = given.compare
        if pairs is None:
            pairs = [[row.name, reference] for row in rows if row.name != reference]
        effects = {name: _pairs(found) for name, found in given.effects.items()}
        compared = (*chain.from_iterable(effects.values()), *_pairs(pairs))
        return Table(tuple(rows), tuple(dict.fromkeys(compared)), given.settings, effects)
    except ValidationError as error:
        raise InputError(describe_error(error, _TableFields, f"{name_or_file}:")) from error
    except InputError as error:
        raise InputError(f"{name_or_file}: {error}") from error


def _join(tables: Sequence[Table]) -> Table:
    """Return all rows, comparisons and effects, each once, in order."""
    rows = {row.name: row for table in tables for row in table.rows}
    return Table(
        tuple(rows.values()),
        tuple(dict.fromkeys(pair for table in tables for pair in table.comparisons)),
        effects={name: pairs for table in tables for name, pairs in table.effects.items()},
    )


def _pairs(given: Sequence[Sequence[str]]) -> tuple[Pair, ...]:
    return tuple((row, reference) for row, reference in given)
