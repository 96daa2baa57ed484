"""The benchmarks that the tool knows, and the function that writes their manifests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from vad_manifests.official import avenue, msad, shanghaitech, tad, ubnormal, ucf_crime, xd_violence
from vad_manifests.official.lists import OfficialSplit

from vad_toolkit.datasets.building.build import BuiltDataset, write_dataset
from vad_toolkit.datasets.dataset_info import INFO_FILE, read_dataset_info
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
    """Make a benchmark's manifests from its published files and write them into a folder.

    `dataset.toml` is copied from the shipped dataset, since its facts are in no published file.

    Args:
        name: A key of `BUILDERS`.
        annotations: The folder of the published files, under the names in the benchmark's module.
        out: The folder to write into.

    Returns:
        The files that were written.

    Raises:
        InputError: If the benchmark is unknown, or `out` already holds a manifest.
        ManifestError: If a published file is missing or has a wrong line.
    """
    if name not in BUILDERS:
        raise InputError(f"unknown dataset {name!r}; available: {', '.join(BUILDERS)}")
    split = BUILDERS[name](annotations)
    info = read_dataset_info(DATASETS[name] / INFO_FILE)
    built = BuiltDataset(info, split.train, split.test, validation=split.validation)
    return [out / INFO_FILE, *write_dataset(built, out).values()]
