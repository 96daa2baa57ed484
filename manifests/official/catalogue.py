"""The benchmarks whose manifests are made here, and writing them to a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from vad_manifests.official import avenue, msad, shanghaitech, tad, ubnormal, ucf_crime, xd_violence
from vad_manifests.official.lists import OfficialSplit

from vad_toolkit.core.files import check_new_file
from vad_toolkit.datasets.building.build import SIDES
from vad_toolkit.datasets.dataset_info import INFO_FILE, read_dataset_info, write_dataset_info
from vad_toolkit.datasets.manifest import write_manifest
from vad_toolkit.datasets.registry import DATASETS
from vad_toolkit.errors import InputError

BUILDERS: Mapping[str, Callable[[Path], OfficialSplit]] = {
    "avenue": avenue.build,
    "avenue-weak": avenue.build_weak,
    "msad": msad.build,
    "shanghaitech": shanghaitech.build,
    "tad": tad.build,
    "ubnormal": ubnormal.build,
    "ucf-crime": ucf_crime.build,
    "xd-violence": xd_violence.build,
}


def write_official(name: str, annotations: Path, out: Path) -> list[Path]:
    """Make a benchmark's manifests out of its published files, and write them into `out`.

    `dataset.toml` is the shipped one: what it says is in no published file.

    Args:
        name: a key of `BUILDERS`.
        annotations: the folder of the published files, as the benchmark's module names them.
        out: the folder to write into.

    Returns:
        The files.

    Raises:
        InputError: an unknown benchmark, or `out` holds a manifest already.
        ManifestError: a published file is missing or a line of it is wrong; names file and line.
    """
    if name not in BUILDERS:
        raise InputError(f"dataset {name!r}: has to be one of {', '.join(BUILDERS)}")
    for file in (INFO_FILE, *SIDES.values()):
        check_new_file(out / file, "manifests")
    split = BUILDERS[name](annotations)
    info = out / INFO_FILE
    write_dataset_info(info, read_dataset_info(DATASETS[name] / INFO_FILE))
    written = [info]
    for side, file in SIDES.items():
        entries = getattr(split, side)
        if entries:
            write_manifest(out / file, entries)
            written.append(out / file)
    return written
