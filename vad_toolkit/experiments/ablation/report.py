"""Files of an ablation for readers: table.md, table.csv, runs.csv, results.json, plot.png."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vad_toolkit.core.files import write_json, write_text
from vad_toolkit.evaluation.bootstrap import CONFIDENCE, Interval
from vad_toolkit.evaluation.registry import METRICS
from vad_toolkit.experiments.ablation.statistics import DEFINITIONS, Spread
from vad_toolkit.experiments.ablation.tables import Pair
from vad_toolkit.plots.canvas import GRID_COLOR, GUIDE_COLOR, SCORE_COLOR, new_figure, save_png

FORMAT = "vad-ablation-results"
FORMAT_VERSION = 1
RUN_COLUMNS = ("row", "seed", "best_step", "validation_auc")
COLUMNS = ("seeds", "mean", "std", "t_low", "t_high", "bootstrap_low", "bootstrap_high")


@dataclass(frozen=True)
class RowResult:
    """One row over its seeds; `spread` is None if no run succeeded."""

    name: str
    config: Mapping[str, Any]
    values: Mapping[int, float]  # the metric by seed
    spread: Spread | None


@dataclass(frozen=True)
class ComparisonResult:
    """A row minus its reference, over the seeds that both have; None if there are none."""

    row: str
    reference: str
    spread: Spread | None


@dataclass(frozen=True)
class EffectResult:
    """The mean of several differences, over the seeds that all have; None if there are none."""

    name: str
    pairs: tuple[Pair, ...]
    spread: Spread | None


@dataclass(frozen=True)
class Results:
    """The results of an ablation, and everything that they depend on.

    Attributes:
        runs: One mapping per run: row, seed, best step, validation AUC, digests of the checkpoint
            and its data, and test metrics.
        failures: The reason by run, "ROW seed N".
    """

    data: Mapping[str, Any]
    metric: str
    resamples: int
    shared_test: bool
    device: str
    threads: int
    versions: Mapping[str, str]
    rows: tuple[RowResult, ...]
    comparisons: tuple[ComparisonResult, ...]
    effects: tuple[EffectResult, ...]
    runs: tuple[Mapping[str, Any], ...]
    failures: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; equal ablations give equal files."""
        return {
            **asdict(self),
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "confidence": CONFIDENCE,
            "definitions": {
                "metric": METRICS[self.metric].definition,
                "checkpoint": "the step that was best on each run's validation videos",
                **DEFINITIONS,
            },
        }

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return "rows", "differences" and "effects", one mapping with `COLUMNS` per line."""
        return {
            "rows": [{"row": one.name, **_cells(one.spread)} for one in self.rows],
            "differences": [
                {"row": one.row, "minus": one.reference, **_cells(one.spread)}
                for one in self.comparisons
            ],
            "effects": [{"effect": one.name, **_cells(one.spread)} for one in self.effects],
        }


def write_results(out: Path, results: Results) -> None:
    """Write all files into `out`, results.json last."""
    write_text(out / "table.md", _markdown(results))
    kinds = zip(("row", "difference", "effect"), results.tables().values(), strict=True)
    lines = [
        {"kind": kind, "row": line.pop("effect", ""), "minus": "", **line}
        for kind, table in kinds
        for line in table
    ]
    write_text(out / "table.csv", _csv(lines, ("kind", "row", "minus", *COLUMNS)))
    runs = [
        {name: run[name] for name in RUN_COLUMNS}
        | {name: run["metrics"].get(name) for name in METRICS}
        for run in results.runs
    ]
    write_text(out / "runs.csv", _csv(runs, (*RUN_COLUMNS, *METRICS)))
    plot_rows(out / "plot.png", results)
    write_json(out / "results.json", results.to_dict())


def plot_rows(path: Path, results: Results) -> None:
    """Write a PNG with one line per row: its seeds as points, mean and bootstrap interval."""
    rows = results.rows
    height = 1.2 + 0.34 * len(rows)
    figure, axes = new_figure(8.0, height, f"{results.metric} by seed, mean and 95 % interval")
    points: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3.5, "alpha": 0.6}
    bar: dict[str, Any] = {"linewidth": 5, "alpha": 0.35, "solid_capstyle": "butt"}
    for y, row in enumerate(reversed(rows)):
        values = list(row.values.values())
        axes.plot(values, [y] * len(values), color=GUIDE_COLOR, **points)
        if row.spread is None:
            continue
        if (interval := row.spread.bootstrap) is not None:
            axes.plot((interval.low, interval.high), (y, y), color=SCORE_COLOR, **bar)
        axes.plot(row.spread.mean, y, marker="|", markersize=13, color=SCORE_COLOR, mew=2)
    axes.set_yticks(range(len(rows)), [row.name for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(f"frame-level {results.metric} on test videos")
    axes.grid(color=GRID_COLOR, linewidth=0.8, axis="x")
    save_png(figure, path)


def _cells(spread: Spread | None) -> dict[str, Any]:
    if spread is None:
        return {name: 0 if name == "seeds" else None for name in COLUMNS}
    ends = [
        end
        for interval in (spread.t, spread.bootstrap)
        for end in ((None, None) if interval is None else (interval.low, interval.high))
    ]
    return dict(zip(COLUMNS, (spread.seeds, spread.mean, spread.std, *ends), strict=True))


def _markdown(results: Results) -> str:
    """Return the tables as a page, with numbers in hundredths of the metric."""
    seeds = "one test set for all seeds" if results.shared_test else "data drawn per seed"
    lines = [
        f"Frame-level {results.metric.upper()} x 100 on test videos; {seeds}; best step on "
        f"validation; {results.resamples} resamples."
    ]
    rows = [(one.name, one.spread) for one in results.rows]
    compared = [(f"{one.row} - {one.reference}", one.spread) for one in results.comparisons]
    effects = [(one.name, one.spread) for one in results.effects]
    for kind, sign, table in (
        ("row", "", rows),
        ("difference", "+", compared),
        ("effect", "+", effects),
    ):
        if table:
            lines += ["", f"| {kind} | seeds | mean ± std | 95 % (t) | 95 % (bootstrap) |"]
            lines += ["|---|---|---|---|---|"]
            lines += [f"| {name} | {_text(spread, sign)} |" for name, spread in table]
    if results.failures:
        lines += ["", "Failed runs:", ""]
        lines += [f"- {run}: {reason}" for run, reason in results.failures.items()]
    terms = [f"- {term}: {meaning}" for term, meaning in DEFINITIONS.items() if term != "null"]
    return "\n".join([*lines, "", *terms, ""])


def _text(spread: Spread | None, sign: str) -> str:
    if spread is None:
        return "0 | - | - | -"

    def ends(interval: Interval | None) -> str:
        if interval is None:
            return "-"
        return f"{100 * interval.low:{sign}.1f} to {100 * interval.high:{sign}.1f}"

    std = "" if spread.std is None else f" ± {100 * spread.std:.1f}"
    mean = f"{100 * spread.mean:{sign}.1f}{std}"
    return f"{spread.seeds} | {mean} | {ends(spread.t)} | {ends(spread.bootstrap)}"


def _csv(lines: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
