"""What scores can reach on the benchmark, by oracles that know its model and learn nothing.

They say how hard a level is and for whom, before any head is trained (docs/context-motion.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.evaluation.ranking import rank, roc_auc
from vad_toolkit.experiments.context_motion.courses import NOTHING, REACH, Level, VideoPlan, course
from vad_toolkit.experiments.context_motion.vectors import CODE_LENGTH, Codes, draw_features

View = Callable[[VideoPlan, int], Hashable]
WINDOWS: Mapping[str, int] = {  # snippets on either side
    "one snippet": 0,
    "3 snippets": 1,
    "9 snippets": 4,
    f"{2 * REACH + 1} snippets": REACH,
}


@dataclass(frozen=True)
class Reach:
    """ROC-AUC over snippets, which is that over frames: all snippets have as many.

    snippet: told without noise what one snippet shows, and how often such a snippet is abnormal.
    motion: the same for the motions of the whole video, with all their times.
    surroundings: the same for all surroundings in view.
    windows: from drawn features, noise included, of a window around the snippet, by `WINDOWS`.
    video: from the drawn features of the whole video.
    """

    snippet: float
    motion: float
    surroundings: float
    windows: Mapping[str, float]
    video: float

    def row(self) -> dict[str, float]:
        """A line of a table."""
        return {
            "motion alone": self.motion,
            "surroundings alone": self.surroundings,
            "one snippet, no noise": self.snippet,
            **self.windows,
            "video": self.video,
        }


def reach(plans: Sequence[VideoPlan], level: Level, codes: Codes) -> Reach:
    """All oracles on one split's videos."""
    return Reach(
        snippet=informed_auc(plans, lambda plan, t: _content(plan, level, t)),
        motion=informed_auc(plans, lambda plan, t: (*_motions(plan, level), t)),
        surroundings=informed_auc(plans, lambda plan, t: (*_spots(plan, level), t)),
        windows={name: drawn_auc(plans, level, codes, radius) for name, radius in WINDOWS.items()},
        video=drawn_auc(plans, level, codes, None),
    )


def informed_auc(plans: Sequence[VideoPlan], view: View) -> float:
    """AUC of the best score there is for whoever is told `view(plan, t)` of snippet t, no more.

    That is how often a snippet with this view is abnormal in these very videos.
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
    """AUC of an oracle that knows codes and layout and sees drawn features of one crop.

    It sees `radius` snippets on either side of the one that it scores, or all (None). It finds the
    kind of the activity and the type of its spot by the difference of the two codes' projections,
    summed over the snippets that show them; unlike signs are the more abnormal, the clearer both
    are. What it does not see is 0, and so then is its score.
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
    x: NDArray[np.float64],
    shown: NDArray[np.intp],
    codes: NDArray[np.float64],
    radius: int | None,
) -> NDArray[np.float64]:
    """How much more each activity looks like kind 1 than like kind 0, around each snippet."""
    towards = (codes[:, 1] - codes[:, 0]) / CODE_LENGTH  # (activities, D)
    seen = shown == np.arange(len(towards))[:, None]  # (activities, T')
    sums = np.cumsum(np.pad(towards @ x.T * seen, ((0, 0), (1, 0))), axis=1)
    position = np.arange(len(x))
    wide = len(x) if radius is None else radius
    stop = np.minimum(position + wide + 1, len(x))
    start = np.maximum(position - wide, 0)
    # Sums of nothing have to be exactly 0, whatever stands before them.
    counts = np.cumsum(np.pad(seen, ((0, 0), (1, 0))), axis=1)
    found = counts[:, stop] > counts[:, start]
    return np.where(found, sums[:, stop] - sums[:, start], 0.0)


def _content(plan: VideoPlan, level: Level, t: int) -> Hashable:
    shown = course(plan, level)
    motion, spot = int(shown.motion[t]), int(shown.spot[t])
    return (
        motion if motion == NOTHING else (motion, plan.kinds[motion]),
        spot if spot == NOTHING else (spot, plan.types[spot]),
    )


def _motions(plan: VideoPlan, level: Level) -> tuple[Hashable, ...]:
    """All that the motions of a video say: when which activity is in view, and of which kind."""
    return (*course(plan, level).motion.tolist(), plan.order, plan.kinds)


def _spots(plan: VideoPlan, level: Level) -> tuple[Hashable, ...]:
    return (*course(plan, level).spot.tolist(), plan.order, plan.types)


def _auc(scores: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    auc = roc_auc(rank(scores, labels))
    if auc is None:
        raise ValueError("videos of both labels are needed")
    return auc
