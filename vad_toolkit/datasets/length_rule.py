"""The relation between the length of a video and its label, in a set of videos."""

from __future__ import annotations

from collections.abc import Sequence

from vad_toolkit.core.area import roc_auc
from vad_toolkit.core.settings import Settings


class LengthRule(Settings):
    """Direction of the relation: abnormal videos are the shorter or the longer ones.

    `video_auc`, at least 0.5, is its ROC-AUC over the `videos` that it was learned from.
    """

    shorter: bool
    video_auc: float
    videos: int


def learn_length(lengths: Sequence[int | None], labels: Sequence[int]) -> LengthRule | None:
    """Learn from the lengths of videos in frames, and their labels, which of them are longer.

    Returns:
        The rule; None if a length is not known, or there are no normal or no abnormal videos.

    Example:
        >>> rule = learn_length([300, 400, 400, 900], [1, 1, 0, 0])
        >>> rule.shorter, rule.video_auc
        (True, 0.875)
    """
    known = [length for length in lengths if length is not None]
    if len(known) < len(lengths) or len(set(labels)) < 2:
        return None
    area = roc_auc(known, labels)
    return LengthRule(shorter=area < 0.5, video_auc=max(area, 1 - area), videos=len(labels))
