"""Dividing videos in two by their source, so that no original stands on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from vad_toolkit.core.files import sha256_text
from vad_toolkit.datasets.manifest import UNLISTED, Entry
from vad_toolkit.errors import InputError, ManifestError


def group_key(entry: Entry) -> str:
    """What a split never divides: the source, or the video itself where no source is known."""
    return entry.id if entry.source is None else entry.source


def split_by_source(
    entries: Sequence[Entry],
    fraction: float,
    seed: int = 0,
    keep_together: Collection[str] = (UNLISTED,),
) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Divide entries into a large and a small part with `fraction` of each label in the small one.

    The rule: sources are taken in the order of sha256("<seed>:<source>"), those with both labels
    first, since they are the hardest to place; one goes to the small part where that brings the
    counts of both labels, relative to what the entries hold, nearer to their aims (sum of absolute
    differences). The aim is `fraction` of a label's videos, at least
    one and at most all but one. So the outcome depends on names, labels and seed alone: not on the
    order of the entries, on the file system, or on any result.

    Args:
        entries: what to divide; both parts keep its order.
        fraction: in [0, 1). With 0 the small part is empty.
        seed: any integer.
        keep_together: sources that always stay in the large part: by default the videos whose
            origin is not known, since any two of them might share one.

    Raises:
        InputError: a fraction outside [0, 1).
        ManifestError: a label that would be missing on one side, since its sources are too few.
    """
    if not 0.0 <= fraction < 1.0:
        raise InputError(f"fraction {fraction}: has to be at least 0 and below 1")
    if fraction == 0.0:
        return tuple(entries), ()
    groups: dict[str, Counter[int]] = {}
    for entry in entries:
        groups.setdefault(group_key(entry), Counter())[entry.label] += 1
    totals = Counter(entry.label for entry in entries)
    aims = {label: min(max(1.0, fraction * n), n - 1.0) for label, n in totals.items()}

    def distance(counts: Mapping[int, int]) -> float:
        return sum(abs(counts[label] - aims[label]) / totals[label] for label in totals)

    small: set[str] = set()
    reached: Counter[int] = Counter()
    order = sorted(groups, key=lambda s: (-len(groups[s]), sha256_text(f"{seed}:{s}")))
    for source in order:
        with_source = reached + groups[source]
        if source not in keep_together and distance(with_source) < distance(reached):
            small.add(source)
            reached = with_source
    for label, total in sorted(totals.items()):
        if not 0 < reached[label] < total:
            raise ManifestError(
                f"label {label}: {total} videos of {_sources(entries, label)} sources cannot stand "
                f"on both sides of a split at {fraction}; add videos or change the fraction"
            )
    return (
        tuple(entry for entry in entries if group_key(entry) not in small),
        tuple(entry for entry in entries if group_key(entry) in small),
    )


def check_sides(
    first: Iterable[Entry], second: Iterable[Entry], names: tuple[str, str] = ("train", "test")
) -> None:
    """Make sure that no video and no source stands on both sides, which `names` names.

    Raises:
        ManifestError: naming the first id or source that does.
    """
    where = f"is in {names[0]} and in {names[1]}"
    ids = set[str]()
    sources = set[str]()
    for entry in first:
        ids.add(entry.id)
        if entry.source is not None:
            sources.add(entry.source)
    for entry in second:
        if entry.id in ids:
            raise ManifestError(f"video {entry.id!r} {where}; it has to be in one")
        if entry.source in sources:
            raise ManifestError(
                f"source {entry.source!r} {where} (video {entry.id!r}); "
                "videos cut from one original have to stay on one side"
            )


def _sources(entries: Iterable[Entry], label: int) -> int:
    return len({group_key(entry) for entry in entries if entry.label == label})


# CCTV fights: the Surveillance Camera Fight Dataset (Akti, Tataroglu, Ekenel, IPTA 2019).
#
# Clips of a few seconds, cut from videos of the web, each labelled as a whole by its folder:
# `fight/` or `noFight/`. The shipped split divides source videos, never their clips: TEST_FRACTION
# by the rule of `split_by_source` with SPLIT_SEED, over all clips at once. Clips whose source the
# owners do not list stay in train.

NAME = "cctv-fights"
TEST_FRACTION = 0.3
SPLIT_SEED = 0
