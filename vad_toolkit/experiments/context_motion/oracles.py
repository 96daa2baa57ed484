"""Best possible scores on the benchmark, by oracles that know its model and learn nothing.

They show how hard each level is, and for which kind of model (docs/context-motion.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.evaluation.ranking import rank, roc_auc
from vad_toolkit.experiments.context_motion.courses import NOTHING, REACH, Level, VideoPlan, course
from vad_toolkit.experiments.context_motion.vectors import CODE_LENGTH, Codes, draw_features

View = Callable[[VideoPlan, int], Hashable]
WINDOWS: Mapping[str, int] = {  # snippets on each side
    "one snippet": 0,
    "3 snippets": 1,
    "9 snippets": 4,
    f"{2 * REACH + 1} snippets": REACH,
}


def reach(plans: Sequence[VideoPlan], level: Level, codes: Codes) -> dict[str, float]:
    """Return the ROC-AUC that each oracle reaches on the videos of one split.

    The AUC is over snippets, and equals that over frames since all snippets have equal length.

    Returns:
        By oracle: "motion alone" and "surroundings alone" know, without noise, all motions or all
        visible surroundings of the video with their times; "one snippet, no noise" knows what one
        snippet shows; those of `WINDOWS` and "video" see the drawn features, with noise, of a
        window around the snippet or of the whole video.
    """

    def motions(plan: VideoPlan) -> tuple[Hashable, ...]:
        return (*course(plan, level).motion.tolist(), plan.order, plan.kinds)

    def spots(plan: VideoPlan) -> tuple[Hashable, ...]:
        return (*course(plan, level).spot.tolist(), plan.order, plan.types)

    return {
        "motion alone": informed_auc(plans, lambda plan, t: (t, *motions(plan))),
        "surroundings alone": informed_auc(plans, lambda plan, t: (t, *spots(plan))),
        "one snippet, no noise": informed_auc(plans, lambda plan, t: _content(plan, level, t)),
        **{name: drawn_auc(plans, level, codes, radius) for name, radius in WINDOWS.items()},
        "video": drawn_auc(plans, level, codes, None),
    }


def informed_auc(plans: Sequence[VideoPlan], view: View) -> float:
    """Return the AUC of the best score that is a function of `view(plan, t)` of each snippet t.

    This score is the share of abnormal snippets among those with the same view in these videos.
    """
    seen: Counter[Hashable] = Counter()
    abnormal: Counter[Hashable] = Counter()
    views, labels = [], []
    for plan in plans:
        for t, label in enumerate(plan.abnormal.tolist()):
            key = view(plan, t)
            seen[key] += 1
            abnormal[key] += label
            views.append(key)
            labels.append(label)
    return _auc(np.array([abnormal[key] / seen[key] for key in views]), np.array(labels))


def drawn_auc(plans: Sequence[VideoPlan], level: Level, codes: Codes, radius: int | None) -> float:
    """Return the AUC of an oracle that knows codes and layout and sees the features of one crop.

    It sees `radius` snippets on each side of the one that it scores; None for all. Its evidence for
    the kind of the activity, and for the type of its spot, is the difference of the projections
    on the two codes, summed over the snippets that show them. Its score is minus the product of
    both: high if the signs differ. Evidence that it does not see is 0, and then so is its score.
    """
    scores, labels = [], []
    for plan in plans:
        x = draw_features(plan, level, codes)[:, 0].astype(np.float64)  # (T', D)
        shown = course(plan, level)
        kinds = _evidence(x, shown.motion, codes.motion, radius)  # (activities, T')
        types = _evidence(x, shown.spot, codes.spot, radius)
        scores.append((-kinds * types)[plan.activity, np.arange(plan.snippets)])
        labels.append(plan.abnormal)
    return _auc(np.concatenate(scores), np.concatenate(labels))


def _evidence(
    x: NDArray[np.float64], shown: NDArray[np.intp], codes: NDArray[np.float64], radius: int | None
) -> NDArray[np.float64]:
    """Return the evidence for kind 1 over kind 0 of each activity around each snippet."""
    towards = (codes[:, 1] - codes[:, 0]) / CODE_LENGTH  # (activities, D)
    seen = shown == np.arange(len(towards))[:, None]  # (activities, T')
    sums = np.cumsum(np.pad(towards @ x.T * seen, ((0, 0), (1, 0))), axis=1)
    position = np.arange(len(x))
    wide = len(x) if radius is None else radius
    stop = np.minimum(position + wide + 1, len(x))
    start = np.maximum(position - wide, 0)
    # Without any snippet the sum must be exactly 0, which a difference of sums may miss.
    counts = np.cumsum(np.pad(seen, ((0, 0), (1, 0))), axis=1)
    found = counts[:, stop] > counts[:, start]
    return np.where(found, sums[:, stop] - sums[:, start], 0.0)


def _content(plan: VideoPlan, level: Level, t: int) -> Hashable:
    """Return the content of snippet t, without noise."""
    shown = course(plan, level)
    motion, spot = int(shown.motion[t]), int(shown.spot[t])
    return (
        motion if motion == NOTHING else (motion, plan.kinds[motion]),
        spot if spot == NOTHING else (spot, plan.types[spot]),
    )


def _auc(scores: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    auc = roc_auc(rank(scores, labels))
    if auc is None:
        raise ValueError("videos of both labels are needed")
    return auc
