"""The README's table of speeds, made from the data files: `python benchmarks/table.py`."""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
LABELS = {
    "plain": "the same network, plainly: eager, contiguous, batch norm apart, 10 clips a pass",
    "plain-small": "the same, as few clips a pass as this toolkit takes",
    "network": "this toolkit's network",
    "extraction": "whole extraction, video decoding included",
}


def render(folder: Path = RESULTS) -> str:
    """A Markdown table for each result file, in the order of their names."""
    parts = []
    for path in sorted(folder.glob("extract-*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        machine, rows = result["machine"], result["rows"]
        threads = f", {machine['threads']} threads" if "threads" in path.name else ""
        parts += [
            f"{machine['device']}{threads}, {result['setting']['precision']}, torch "
            f"{result['versions']['torch']}, centre crop (`benchmarks/results/{path.name}`):",
            "",
            "| | frames a second | share of matmul rate | against the faster plain one |",
            "|---|---|---|---|",
        ]
        for name, label in LABELS.items():
            row = rows[name]
            times = f"{row['times_fastest_plain']:.2f} x" if "times_fastest_plain" in row else ""
            parts.append(
                f"| {label} | {row['frames_per_second']:.1f} | {row['share_of_matmul']:.2f} "
                f"| {times} |"
            )
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    print(render(), end="")
