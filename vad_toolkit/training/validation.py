"""Validation on held-out training videos: the split, and the measures for the best step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from vad_toolkit.core.area import roc_auc
from vad_toolkit.core.settings import Settings
from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.datasets.source_split import split_by_source
from vad_toolkit.errors import ManifestError, VadError
from vad_toolkit.models.base import MilModel
from vad_toolkit.models.losses import cross_entropy, video_scores


@dataclass(frozen=True)
class ValidationSplit:
    """Ids of the training and validation videos; `notice` tells a difference from the request."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    notice: str | None = None


def split_videos(entries: Sequence[Entry], fraction: float, seed: int) -> ValidationSplit:
    """Hold out `fraction` of each label's videos without dividing a source (`split_by_source`).

    If there are too few sources, sources are ignored; if a label has a single video, nothing is
    held out. `notice` tells both.
    """
    notice = None
    try:
        large, small = split_by_source(entries, fraction, seed)
    except ManifestError as problem:
        notice = (
            "validation videos share sources with training videos, so their AUC is too high: "
            f"{problem}"
        )
        alone = [entry.model_copy(update={"source": None}) for entry in entries]
        try:
            large, small = split_by_source(alone, fraction, seed)
        except ManifestError as error:
            large, small = tuple(entries), ()
            notice = f"no validation, so that best is last: {error}"
    return ValidationSplit(tuple(e.id for e in large), tuple(e.id for e in small), notice)


class Validation(Settings):
    """Video-level measures of a step; the score of a video is the mean of its top-K scores."""

    step: Annotated[int, Field(ge=0)]
    auc: float  # ROC-AUC against the labels
    loss: float  # binary cross-entropy against the labels

    def better_than(self, other: Validation | None) -> bool:
        """Return whether the AUC is higher, or equal with a loss that is not (a draw is better)."""
        if other is None or self.auc != other.auc:
            return other is None or self.auc > other.auc
        return self.loss <= other.loss


def validate(
    model: MilModel, batches: Iterable[tuple[Tensor, Tensor | None, Tensor]], step: int
) -> Validation:
    """Measure a model after a step, in evaluation mode; its own mode is restored.

    Batches are inputs (B, C, T, D) and mask (B, T) or None on the model's device, and labels (B,);
    both labels must occur. Raises VadError if a score is not finite.
    """
    was_training = model.training
    model.eval()
    score_parts, label_parts = [], []
    with torch.inference_mode():
        for x, mask, labels in batches:
            score_parts.append(video_scores(model(x, mask).scores, model.top_divisor, mask).cpu())
            label_parts.append(labels.cpu())
    model.train(was_training)
    scores, truth = torch.cat(score_parts), torch.cat(label_parts)
    loss = cross_entropy(scores, truth).item()
    if not math.isfinite(loss):
        raise VadError(
            "scores of the validation videos are not finite; lower optimiser.learning_rate"
        )
    auc = roc_auc(scores.numpy(), truth.numpy())
    return Validation(step=step, auc=auc, loss=loss)
