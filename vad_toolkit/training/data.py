"""The training videos in memory: a pack's features as segments, and a manifest's labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vad_toolkit.datasets.manifest import Entry, Manifest, read_manifest
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.features.pack import FeaturePack
from vad_toolkit.features.recipe import AnyRecipe
from vad_toolkit.fitting import pack_problems
from vad_toolkit.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.training.config import DataConfig
from vad_toolkit.training.segments import segment_means

STREAM = "rgb"
DEVICE_SHARE = 0.7  # of a GPU's free memory that the training set may fill


@dataclass(frozen=True)
class TrainingSet:
    """All videos of a training manifest, in its order.

    data: (V, C, T, D) float16 or float32 on the CPU; labels: (V,) int64, 0 normal, 1 abnormal.
    """

    entries: tuple[Entry, ...]
    data: Tensor
    labels: Tensor
    recipe: AnyRecipe
    pack_sha256: str
    manifest_sha256: str

    @property
    def input_dim(self) -> int:
        """D."""
        return self.data.shape[3]


def load_training_set(
    pack: Path, manifest: Path, config: DataConfig, progress: ProgressCallback = silent
) -> TrainingSet:
    """Check that manifest and pack fit, and read every video once, its digest compared.

    Raises:
        ManifestError: the manifest cannot be read, or does not fit the pack.
        InputError: there is no normal or no abnormal video.
        PackError: the pack cannot be used, or a video in it is damaged.
    """
    listed = read_manifest(manifest)
    for label, videos in (("normal", listed.normal), ("abnormal", listed.abnormal)):
        if not videos:
            raise InputError(f"{manifest} holds no {label} videos: training needs both kinds")
    with FeaturePack.open(pack) as opened:
        _check(listed, manifest, opened)
        return TrainingSet(
            entries=listed.entries,
            data=_read(listed, opened, config, progress),
            labels=torch.tensor([entry.label for entry in listed]),
            recipe=opened.recipe,
            pack_sha256=opened.content_sha256,
            manifest_sha256=listed.sha256,
        )


def _check(listed: Manifest, path: Path, pack: FeaturePack) -> None:
    problems = pack_problems(listed, pack, needs_events=False)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ManifestError(f"{path} does not fit {pack.path}: {problems[0]}{more}")


def _read(
    listed: Manifest, pack: FeaturePack, config: DataConfig, progress: ProgressCallback
) -> Tensor:
    _, crops, width = pack.shape(listed.entries[0].id, STREAM)
    dtype = torch.float16 if config.storage == "float16" else torch.float32
    data = torch.empty((len(listed), crops, config.segments, width), dtype=dtype)
    for i, entry in enumerate(listed):
        means = segment_means(pack.video(entry.id).streams[STREAM], config.segments)
        data[i] = torch.from_numpy(means).transpose(0, 1)  # (T, C, D) -> (C, T, D)
        progress(ProgressEvent("read", i + 1, len(listed), "videos", entry.id))
    return data


def place(data: Tensor, device: torch.device) -> Tensor:
    """The training set on a GPU where it fits beside the model, else where it is."""
    if device.type != "cuda":
        return data
    free, _ = torch.cuda.mem_get_info(device)
    return data.to(device) if data.nbytes < DEVICE_SHARE * free else data


def gather(data: Tensor, videos: Tensor, device: torch.device) -> Tensor:
    """Rows `videos` (n,) of data (V, C, T, D), as float32 on `device`."""
    return data.index_select(0, videos.to(data.device)).to(device).float()
