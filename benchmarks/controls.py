"""Controls of the datasets that come with the toolkit: scores that look at no features.

    python benchmarks/controls.py [--out benchmarks/results] [--write]

Only official manifests are read, so the numbers are the same on every machine. `--write` puts the
table between the markers in docs/controls.md. Datasets whose manifests lack frames or events are
left out, and named.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from machine import RESULTS

from vad_toolkit import errors
from vad_toolkit.core.files import write_json
from vad_toolkit.datasets.registry import list_datasets
from vad_toolkit.evaluation.audit import Audit, audit_manifest

PAGE = Path(__file__).parents[1] / "docs" / "controls.md"
BEGIN, END = "<!-- benchmarks/controls.py -->", "<!-- end of benchmarks/controls.py -->"
SHOWN = ("auc", "ap", "auc_abnormal")


def render(audits: dict[str, Audit], left_out: dict[str, str]) -> str:
    """Return a Markdown table, a list of confounds, and the datasets that are left out."""
    lines = ["| dataset | control | AUC | AP | AUC on abnormal videos |", "|---|---|---|---|---|"]
    for name, audit in audits.items():
        for control, values in audit.controls.values.items():
            mark = "\\*" if control == "length" and audit.controls.length_from_test else ""
            shown = (values[metric] for metric in SHOWN)
            cells = ("-" if value is None else f"{value:.3f}" for value in shown)
            lines.append(f"| {name} | {control}{mark} | {' | '.join(cells)} |")
    lines += ["", "\\* learned from the test videos.", ""]
    for name, audit in audits.items():
        lines += [f"- {name}: {confound}." for confound in audit.confounds]
    lines += [
        "",
        "Not audited, because frames or events are not known: " + ", ".join(left_out) + ".",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    audits, left_out = {}, {}
    for name in list_datasets():
        try:
            audits[name] = audit_manifest(name)
        except errors.ManifestError as error:
            left_out[name] = str(error)
    stored = {name: audit.to_dict() for name, audit in audits.items()}
    write_json(arguments.out / "controls.json", {"datasets": stored, "left_out": left_out})
    text = render(audits, left_out)
    print(text)
    if arguments.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
