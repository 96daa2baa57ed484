"""What an ablation leaves for readers: table.md, table.csv, runs.csv, results.json, plot.png."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vad_toolkit.core.files import write_json, write_text
from vad_toolkit.evaluation.bootstrap import CONFIDENCE, Interval
from vad_toolkit.evaluation.registry import METRICS
from vad_toolkit.experiments.ablation.statistics import DEFINITIONS, Spread
from vad_toolkit.experiments.ablation.tables import Pair
from vad_toolkit.plots.canvas import GRID_COLOUR, GUIDE_COLOUR, SCORE_COLOUR, new_figure, save_png

FORMAT = "vad-ablation-results"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class RunRow:
    """One run: what it was trained and tested on, what validation chose, and its test metrics."""

    row: str
    seed: int
    best_step: int
    validation_auc: float | None
    checkpoint_sha256: str
    pack_sha256: str
    manifest_sha256: str
    test_pack_sha256: str
    test_manifest_sha256: str
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class RowResult:
    """One row over its seeds; `spread` is None where no run ended well."""

    name: str
    config: Mapping[str, Any]
    values: Mapping[int, float]  # the metric by seed
    spread: Spread | None


@dataclass(frozen=True)
class ComparisonResult:
    """A row minus its reference, over the seeds that both have; None where there are none."""

    row: str
    reference: str
    spread: Spread | None


@dataclass(frozen=True)
class EffectResult:
    """The mean of several differences, over the seeds that all have; None where there are none."""

    name: str
    pairs: tuple[Pair, ...]
    spread: Spread | None


@dataclass(frozen=True)
class Results:
    """Everything an ablation came to, and everything that decided it."""

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
    runs: tuple[RunRow, ...]
    failures: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: equal ablations are equal files."""
        stored = asdict(self)
        stored["format"], stored["format_version"] = FORMAT, FORMAT_VERSION
        stored["confidence"] = CONFIDENCE
        stored["definitions"] = {
            "metric": METRICS[self.metric].definition,
            "checkpoint": "the step that was best on each run's validation videos",
            **DEFINITIONS,
        }
        stored["runs"] = sorted(stored["runs"], key=lambda run: (run["row"], run["seed"]))
        return stored

    def table(self) -> list[dict[str, Any]]:
        """A line a row: name, seeds, mean, std, both intervals."""
        return [{"row": row.name, **_cells(row.spread)} for row in self.rows]

    def comparison_table(self) -> list[dict[str, Any]]:
        """A line a comparison: row, reference, seeds, mean, std, both intervals."""
        return [
            {"row": one.row, "minus": one.reference, **_cells(one.spread)}
            for one in self.comparisons
        ]

    def effect_table(self) -> list[dict[str, Any]]:
        """A line an effect: name, seeds, mean, std, both intervals."""
        return [{"effect": one.name, **_cells(one.spread)} for one in self.effects]


def write_results(out: Path, results: Results) -> None:
    """Write all files into `out`, results.json last."""
    write_text(out / "table.md", _markdown(results))
    table = [{"kind": "row", "minus": "", **line} for line in results.table()]
    table += [{"kind": "difference", **line} for line in results.comparison_table()]
    table += [
        {"kind": "effect", "row": line.pop("effect"), "minus": "", **line}
        for line in results.effect_table()
    ]
    write_text(out / "table.csv", _csv(table, ("kind", "row", "minus", *_cells(None))))
    write_text(out / "runs.csv", _csv(*_runs(results)))
    plot_rows(out / "plot.png", results)
    write_json(out / "results.json", results.to_dict())


def plot_rows(path: Path, results: Results) -> None:
    """Write a PNG: a line a row with its seeds as points, the mean, and the bootstrap interval."""
    rows = results.rows
    height = 1.2 + 0.34 * len(rows)
    figure, axes = new_figure(8.0, height, f"{results.metric} by seed, mean and 95 % interval")
    for place, row in enumerate(reversed(rows)):
        axes.plot(
            list(row.values.values()),
            [place] * len(row.values),
            linestyle="none",
            marker="o",
            markersize=3.5,
            color=GUIDE_COLOUR,
            alpha=0.6,
        )
        if row.spread is None:
            continue
        interval = row.spread.bootstrap
        if interval is not None:
            axes.plot(
                (interval.low, interval.high),
                (place, place),
                color=SCORE_COLOUR,
                linewidth=5,
                alpha=0.35,
                solid_capstyle="butt",
            )
        axes.plot(row.spread.mean, place, marker="|", markersize=13, color=SCORE_COLOUR, mew=2)
    axes.set_yticks(range(len(rows)), [row.name for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(f"frame-level {results.metric} on test videos")
    axes.grid(color=GRID_COLOUR, linewidth=0.8, axis="x")
    save_png(figure, path)


def _cells(spread: Spread | None) -> dict[str, Any]:
    def ends(name: str, interval: Interval | None) -> dict[str, float | None]:
        return {
            f"{name}_low": None if interval is None else interval.low,
            f"{name}_high": None if interval is None else interval.high,
        }

    return {
        "seeds": 0 if spread is None else spread.seeds,
        "mean": None if spread is None else spread.mean,
        "std": None if spread is None else spread.std,
        **ends("t", None if spread is None else spread.t),
        **ends("bootstrap", None if spread is None else spread.bootstrap),
    }


def _markdown(results: Results) -> str:
    """Both tables for a page, numbers in hundredths of the metric."""
    name = results.metric.upper()
    lines = [
        f"Frame-level {name} x 100 on test videos; {_data_line(results)}",
        "",
        "| row | seeds | mean ± std | 95 % (t) | 95 % (bootstrap) |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {row.name} | {_text(row.spread, sign=False)} |" for row in results.rows]
    if results.comparisons:
        lines += [
            "",
            "| difference | seeds | mean ± std | 95 % (t) | 95 % (bootstrap) |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {one.row} - {one.reference} | {_text(one.spread, sign=True)} |"
            for one in results.comparisons
        ]
    if results.effects:
        lines += [
            "",
            "| effect | seeds | mean ± std | 95 % (t) | 95 % (bootstrap) |",
            "|---|---|---|---|---|",
        ]
        lines += [f"| {one.name} | {_text(one.spread, sign=True)} |" for one in results.effects]
    if results.failures:
        lines += ["", "Runs that failed:", ""]
        lines += [f"- {run}: {why}" for run, why in results.failures.items()]
    lines += [
        "",
        *(f"- {term}: {meaning}" for term, meaning in DEFINITIONS.items() if term != "null"),
    ]
    return "\n".join(lines) + "\n"


def _data_line(results: Results) -> str:
    seeds = "one test set for all seeds" if results.shared_test else "data drawn for each seed"
    return f"{seeds}; best step on validation; {results.resamples} resamples."


def _text(spread: Spread | None, *, sign: bool) -> str:
    if spread is None:
        return "0 | - | - | -"
    plus = "+" if sign else ""

    def ends(interval: Interval | None) -> str:
        if interval is None:
            return "-"
        return f"{100 * interval.low:{plus}.1f} to {100 * interval.high:{plus}.1f}"

    std = "" if spread.std is None else f" ± {100 * spread.std:.1f}"
    mean = f"{100 * spread.mean:{plus}.1f}{std}"
    return f"{spread.seeds} | {mean} | {ends(spread.t)} | {ends(spread.bootstrap)}"


def _runs(results: Results) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    columns = ("row", "seed", "best_step", "validation_auc", *METRICS)
    lines = [
        {
            "row": run.row,
            "seed": run.seed,
            "best_step": run.best_step,
            "validation_auc": run.validation_auc,
            **{name: run.metrics.get(name) for name in METRICS},
        }
        for run in sorted(results.runs, key=lambda run: (run.row, run.seed))
    ]
    return lines, columns


def _csv(lines: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
