"""Built-in tables are what they say, and a user's are read or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.experiments.ablation.tables import ALL, TABLES, Row, Table, load_table
from vad_toolkit.training.load_config import load_config


@pytest.mark.parametrize("name", [*TABLES, ALL])
@pytest.mark.parametrize("base", ["clav-como", "clav-como-small"])
def test_every_row_resolves(name: str, base: str) -> None:
    table = load_table(name)
    configs = [row.resolve(base, {"steps": 7}).model_dump_json() for row in table.rows]
    assert len(set(configs)) == len(configs)  # no two rows train the same
    assert all('"steps":7' in config for config in configs)
    assert table.comparisons


def test_parts_are_all_subsets_of_the_three() -> None:
    seen = set()
    for row in load_table("parts").rows:
        config = load_config("clav-como", row.settings).model_dump()
        parts = (
            config["head"]["activate"] != "none",
            config["losses"]["relative_distance"] > 0,
            config["head"]["como"],
        )
        named = {"none": set(), "full": {"activate", "distance", "como"}}.get(
            row.name, set(row.name.split("+"))
        )
        assert named == {
            n for n, on in zip(("activate", "distance", "como"), parts, strict=True) if on
        }
        seen.add(parts)
    assert len(seen) == 8


def test_parts_are_compared_in_every_company() -> None:
    pairs = load_table("parts").comparisons
    assert len(set(pairs)) == 12  # the edges of a cube
    whole = {"none": set(), "full": {"activate", "distance", "como"}}
    for more, less in pairs:
        rows = [whole.get(name, set(name.split("+"))) for name in (more, less)]
        assert rows[1] < rows[0]
        assert len(rows[0] - rows[1]) == 1


def test_the_effect_of_a_part_is_over_all_companies() -> None:
    table = load_table("parts")
    parts = {"class-activate features": "activate", "relative distance": "distance", "CoMo": "como"}
    whole = {"none": set(), "full": {"activate", "distance", "como"}}
    assert set(table.effects) == set(parts)
    for name, pairs in table.effects.items():
        assert len(set(pairs)) == 4
        for more, less in pairs:
            rows = [whole.get(row, set(row.split("+"))) for row in (more, less)]
            assert rows[0] - rows[1] == {parts[name]}
    assert load_table("all").effects == table.effects


BENCHMARK_TABLES = sorted((Path(__file__).parents[3] / "benchmarks" / "tables").glob("*.toml"))


@pytest.mark.parametrize("file", BENCHMARK_TABLES, ids=lambda file: file.stem)
def test_tables_of_the_benchmarks(file: Path) -> None:
    table = load_table(str(file))
    configs = table.resolve(None, {"steps": 7})
    assert {config.steps for config in configs.values()} == {7}
    assert {config.pairs for config in configs.values()} == {configs["full"].pairs}
    assert len({config.input.model_dump_json() for config in configs.values()}) == 1  # type: ignore[attr-defined]
    baselines = {row for row, config in configs.items() if config.method != "clav-como"}
    assert baselines == {"sultani", "rtfm", "ur-dmu", "mgfn"}
    assert {("full", name) for name in baselines} <= set(table.comparisons)
    assert set(load_table("parts").comparisons) <= set(table.comparisons)
    effects = {"context-motion": load_table("parts").effects}  # that of CCTV has pairs alone
    assert table.effects == effects.get(file.stem, {})


def test_all_holds_every_row_once() -> None:
    names = [row.name for row in load_table("all").rows]
    assert set(names) == {row.name for name in TABLES for row in load_table(name).rows}
    assert names.count("full") == 1


def test_a_row_s_own_settings_come_before_those_of_all_rows() -> None:
    row = Row("margin=0.5", {"losses.margin": 0.5})
    config = row.resolve("clav-como", {"losses.margin": 0.1, "steps": 3})
    assert (config.losses.margin, config.steps) == (0.5, 3)  # type: ignore[attr-defined]


def test_settings_of_a_table_are_of_all_rows(tmp_path: Path) -> None:
    file = tmp_path / "table.toml"
    file.write_text(
        'settings = {steps = 7, pairs = 4}\n[rows.a]\n[rows.b]\nconfig = "sultani"\n'
        "settings = {pairs = 2}\n"
    )
    table = load_table(str(file))
    found = {name: (c.steps, c.pairs) for name, c in table.resolve(None, {}).items()}
    assert found == {"a": (7, 4), "b": (7, 2)}
    found = {name: (c.steps, c.pairs) for name, c in table.resolve(None, {"steps": 9}).items()}
    assert found == {"a": (9, 4), "b": (9, 2)}


def test_settings_of_a_table_that_a_row_does_not_have(tmp_path: Path) -> None:
    file = tmp_path / "table.toml"
    file.write_text('settings = {"head.nope" = 1}\n[rows.a]\n')
    with pytest.raises(InputError, match=r"row a: config key head\.nope: unknown"):
        load_table(str(file)).resolve(None, {})


def test_a_setting_that_a_method_does_not_have_names_the_row() -> None:
    row = Row("sultani", config="sultani")
    with pytest.raises(InputError, match=r"row sultani: config key head\.width: unknown"):
        row.resolve("clav-como", {"head.width": 64})


def test_a_users_table(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '[rows.full]\n[rows.narrow.settings]\nhead.width = 64\n"losses.margin" = 0.2\n'
        '[rows.old]\nconfig = "sultani"\n'
    )
    table = load_table(str(file))
    assert [row.name for row in table.rows] == ["full", "narrow", "old"]
    assert table.comparisons == (("narrow", "full"), ("old", "full"))
    narrow = table.rows[1].resolve("clav-como", {})
    assert (narrow.head.width, narrow.losses.margin) == (64, 0.2)  # type: ignore[attr-defined]
    assert table.rows[2].resolve("clav-como", {}).method == "sultani"


def test_reference_and_compare(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    rows = '"rows": {"a": {}, "b": {"settings": {"steps": 1}}, "c": {"settings": {"steps": 2}}}'
    file.write_text(f'{{{rows}, "reference": "c"}}')
    assert load_table(str(file)).comparisons == (("a", "c"), ("b", "c"))
    file.write_text(f'{{{rows}, "compare": [["a", "b"]]}}')
    assert load_table(str(file)).comparisons == (("a", "b"),)
    assert load_table(str(file)).effects == {}
    file.write_text(f'{{{rows}, "effects": {{"of b": [["b", "a"], ["c", "a"]]}}}}')
    assert load_table(str(file)).effects == {"of b": (("b", "a"), ("c", "a"))}
    assert load_table(str(file)).comparisons == (("b", "a"), ("c", "a"))  # each once


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        ([], "effect 'e' must have at least one"),
        ([["a", "z"]], "effect 'e': unknown row 'z'; available: a, b"),
        ([["a"]], r"effects\.e\.0: .*at least 2"),
    ],
)
def test_an_effect_that_is_none(tmp_path: Path, effect: list[list[str]], message: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"rows": {"a": {}, "b": {}}, "effects": {"e": effect}}))
    with pytest.raises(InputError, match=message):
        load_table(str(file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rows: "),
        ("[rows]", "rows: Dictionary should have at least 1 item"),
        ("[rows.a]\nsteps = 3", "rows.a.steps: unknown; available: config, settings"),
        ('["rows"."../a"]', "row '../a': a name has 1 to 64 letters"),
        ("[rows.a]\n[rows.A]", "row 'a' occurs twice"),
        ('reference = "b"\n[rows.a]', "comparison: unknown row 'b'; available: a"),
        ('reference = "a"\ncompare = [["a", "a"]]\n[rows.a]', "give either reference or compare"),
        ('compare = [["a"]]\n[rows.a]', "compare.0: List should have at least 2 items"),
    ],
)
def test_what_is_no_table(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(InputError) as refused:
        load_table(str(file))
    assert str(refused.value).startswith(str(file))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_such_table() -> None:
    with pytest.raises(
        InputError, match=r"unknown table 'everything'; give a file .* or one of parts"
    ):
        load_table("everything")


def test_a_table_without_rows() -> None:
    with pytest.raises(InputError, match="at least one row"):
        Table((), ())
