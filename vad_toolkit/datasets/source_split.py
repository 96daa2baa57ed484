"""Splits by source video, so that clips of one original never are on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from vad_toolkit.core.files import sha256_text
from vad_toolkit.datasets.manifest import UNLISTED, Entry
from vad_toolkit.errors import InputError, ManifestError


def group_key(entry: Entry) -> str:
    """Return the unit that a split keeps together: the source, or else the video itself."""
    return entry.id if entry.source is None else entry.source


def split_by_source(
    entries: Sequence[Entry],
    fraction: float,
    seed: int = 0,
    keep_together: Collection[str] = (UNLISTED,),
) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Split entries into a large and a small part with `fraction` of each label in the small one.

    Sources are visited in the order of sha256("<seed>:<source>"), those with both labels first,
    since they are the hardest to place. A source goes to the small part if that brings the counts
    of the two labels, relative to their totals, closer to their targets (sum of absolute
    differences). The target is `fraction` of a label's videos, but at least one and at most all but
    one. The result depends only on names, labels and seed, not on the order of the entries, the
    file system or any training result.

    Args:
        entries: The videos; both parts keep their order.
        fraction: Fraction in [0, 1). With 0 the small part is empty.
        seed: Any integer.
        keep_together: Sources that always stay in the large part: by default the videos of unknown
            origin, since any two of them might share an original.

    Returns:
        The large and the small part.

    Raises:
        InputError: If the fraction is outside [0, 1).
        ManifestError: If a label has too few sources to be on both sides.
    """
    if not 0.0 <= fraction < 1.0:
        raise InputError(f"fraction must be at least 0 and below 1, got {fraction}")
    if fraction == 0.0:
        return tuple(entries), ()
    groups: dict[str, Counter[int]] = {}
    for entry in entries:
        groups.setdefault(group_key(entry), Counter())[entry.label] += 1
    totals = Counter(entry.label for entry in entries)
    targets = {label: min(max(1.0, fraction * n), n - 1.0) for label, n in totals.items()}

    def distance(counts: Mapping[int, int]) -> float:
        return sum(abs(counts[label] - targets[label]) / totals[label] for label in totals)

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
            sources = {group_key(entry) for entry in entries if entry.label == label}
            raise ManifestError(
                f"{total} videos with label {label} from {len(sources)} sources cannot be split at "
                f"fraction {fraction}; add videos or change the fraction"
            )
    return (
        tuple(entry for entry in entries if group_key(entry) not in small),
        tuple(entry for entry in entries if group_key(entry) in small),
    )


def check_sides(
    first: Iterable[Entry], second: Iterable[Entry], names: tuple[str, str] = ("train", "test")
) -> None:
    """Raise ManifestError if a video or source is on both sides, whose names the message states."""
    where = f"is in both {names[0]} and {names[1]}"
    ids = set[str]()
    sources = set[str]()
    for entry in first:
        ids.add(entry.id)
        if entry.source is not None:
            sources.add(entry.source)
    for entry in second:
        if entry.id in ids:
            raise ManifestError(f"video {entry.id!r} {where}; keep it in one")
        if entry.source in sources:
            raise ManifestError(
                f"source {entry.source!r} {where} (video {entry.id!r}); videos "
                "cut from one original must be on one side"
            )
