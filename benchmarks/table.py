"""README's tables of speeds, from the result files: `python benchmarks/table.py [--write]`.

`--write` puts them between the markers in the README.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks/table.py -->", "<!-- end of benchmarks/table.py -->"

# Of extract-*.json: the rows that are shown, and what they are.
EXTRACTION = {
    "popular": "as popular scripts do: JPEGs on disk, ten passes, eager float32",
    "extraction": "`vad extract`, float32",
    "extraction-bfloat16": "`vad extract`, bfloat16",
    "extraction-two-streams": "`vad extract`, RGB and TV-L1 flow",
    "network": "the RGB network alone",
}

# Of network-*.json: rows whose name does not say enough.
NETWORKS = {
    "plain": "inception-i3d as papers' code has it: eager, contiguous, batch norm apart",
    "inception-i3d-folded": "inception-i3d, folded batch norm, channels-last",
    "inception-i3d-matrix": "also 1x1x1 convolutions as matrix products",
    "inception-i3d-pool": "also pools one axis at a time",
    "inception-i3d": "inception-i3d (on a CPU also Winograd's filtering)",
    "inception-i3d-snippets": "inception-i3d, ten crops, as `vad extract` runs it",
    "inception-i3d-snippets-bfloat16": "inception-i3d, bfloat16, as `vad extract` runs it",
}


def render(folder: Path = RESULTS) -> str:
    """Return a Markdown table per result file of extraction and of networks, in order of names."""
    parts = [_extraction(*_read(path)) for path in sorted(folder.glob("extract-*.json"))]
    parts += [_networks(*_read(path)) for path in sorted(folder.glob("network-*.json"))]
    return "\n".join(parts)


def _read(path: Path) -> tuple[str, Mapping[str, Any]]:
    return path.name, json.loads(path.read_text(encoding="utf-8"))


def _machine(name: str, result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    threads = f", {machine['threads']} threads" if "threads" in name else ""
    return f"{machine['device']}{threads}, torch {result['versions']['torch']}"


def _caption(text: str) -> list[str]:
    """Return the lines of a table's caption, as wide as the rest of the page."""
    return textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)


def _extraction(name: str, result: Mapping[str, Any]) -> str:
    setting, rows = result["setting"], result["rows"]
    width, height = setting["size"]
    crops = {"tencrop": "ten crops", "center": "center crop"}[setting["crops"]]
    lines = [
        *_caption(
            f"Inception-I3D RGB, {crops}, from {width}x{height} files to features; "
            f"{_machine(name, result)} (`benchmarks/results/{name}`):"
        ),
        "",
        "| | frames per second | share of matmul rate | against popular scripts |",
        "|---|---|---|---|",
    ]
    # On a GPU float32 has one short video, most of whose time is the decoder's start.
    passed_over = {"extraction"} if "videos" in setting else set()
    for row, label in EXTRACTION.items():
        if row in rows.keys() - passed_over:
            times = f"{rows[row]['times_popular']:.2f} x" if "times_popular" in rows[row] else ""
            lines.append(
                f"| {label} | {rows[row]['frames_per_second']:.2f} "
                f"| {_share(rows[row], half='videos' in setting):.2f} | {times} |"
            )
    return "\n".join(lines) + "\n"


def _networks(name: str, result: Mapping[str, Any]) -> str:
    setting = result["setting"]
    lines = [
        *_caption(
            f"Networks alone, clips of {setting['frames']} frames at {setting['size']}x"
            f"{setting['size']}, {setting['batch']} per pass; {_machine(name, result)} "
            f"(`benchmarks/results/{name}`):"
        ),
        "",
        "| network | GFLOP per clip | clips per second | share of matmul rate |",
        "|---|---|---|---|",
    ]
    for network, row in result["rows"].items():
        if "clips_per_second" in row:
            gflop = row["gflop"] / row.get("clips", setting["batch"])
            label = NETWORKS.get(network, network)
            lines.append(
                f"| {label} | {gflop:.1f} | {row['clips_per_second']:.2f} "
                f"| {_share(row, half=network.endswith('-bfloat16')):.2f} |"
            )
    return "\n".join(lines) + "\n"


def _share(row: Mapping[str, Any], *, half: bool) -> float:
    """Return the share of the matrix rate, in bfloat16 if `half` is set and it was measured."""
    wanted = "share_of_matmul_bfloat16" if half else "share_of_matmul"
    return float(row.get(wanted, row["share_of_matmul"]))


def write(readme: Path = README) -> None:
    """Replace what stands between the markers."""
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"{readme} lacks {BEGIN}"
    assert end, f"{readme} lacks {END}"
    readme.write_text(f"{before}{BEGIN}\n{render()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="into the README")
    if parser.parse_args().write:
        write()
    else:
        print(render(), end="")
