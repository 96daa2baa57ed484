"""Which trimmed clips become which untrimmed, weakly-labelled videos: the plan of `vad compose`.

A normal video is a run of normal clips; an abnormal one has one to three abnormal clips among
normal ones. A side's normal clips are dealt into two pools, one for normal videos and one for
abnormal ones, so that a clip that is remembered from one kind is never met in the other. Plans are
pure: names, labels, sources, snippet counts and a seed in; lists of clips out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from vad_toolkit.datasets.manifest import UNLISTED, Entry, Event
from vad_toolkit.datasets.source_split import group_key, split_by_source
from vad_toolkit.errors import InputError, ManifestError

MAX_ABNORMAL_CLIPS = 3  # of one composed video
CLIPS_PER_VIDEO = (5, 9)  # 25 to 30 snippets with clips of two to three seconds
VALIDATION_FRACTION = 0.2


@dataclass(frozen=True)
class Clip:
    """A trimmed video: abnormal from its first frame to its last, or normal throughout."""

    entry: Entry
    snippets: int  # N of its features, at least 1

    @property
    def id(self) -> str:
        """Its video id."""
        return self.entry.id

    @property
    def abnormal(self) -> bool:
        """Whether its label is 1."""
        return self.entry.label == 1


@dataclass(frozen=True)
class ComposedVideo:
    """Clips in the order in which they are joined. `source` names what a split must not divide."""

    id: str
    clips: tuple[Clip, ...]
    source: str

    @property
    def label(self) -> int:
        """1 where any clip is abnormal, else 0."""
        return int(any(clip.abnormal for clip in self.clips))

    @property
    def snippets(self) -> int:
        """N of the joined features."""
        return sum(clip.snippets for clip in self.clips)

    def events(self, step: int) -> tuple[Event, ...]:
        """Abnormal frames [start, stop), `step` a snippet; clips side by side make one event."""
        events: list[Event] = []
        start = 0
        for clip in self.clips:
            stop = start + clip.snippets * step
            if clip.abnormal:
                if events and events[-1][1] == start:
                    events[-1] = (events[-1][0], stop)
                else:
                    events.append((start, stop))
            start = stop
        return tuple(events)

    def entry(self, step: int) -> Entry:
        """The video's line of a manifest."""
        label = self.label
        return Entry(
            id=self.id,
            path=self.id,
            label=1 if label else 0,
            classes=tuple(
                sorted({name for c in self.clips if c.abnormal for name in c.entry.classes})
            ),
            frames=self.snippets * step,
            events=self.events(step) if label else None,
            source=self.source,
        )


@dataclass(frozen=True)
class SidePlan:
    """The composed videos of one side of the split, and what a user should know of them."""

    videos: tuple[ComposedVideo, ...]
    notes: tuple[str, ...]


def plan_mixed(
    side: str,
    clips: Sequence[Clip],
    *,
    seed: int = 0,
    clips_per_video: tuple[int, int] = CLIPS_PER_VIDEO,
    normal_videos: int | None = None,
    abnormal_videos: int | None = None,
    validation_fraction: float = 0.0,
) -> SidePlan:
    """Draw clips from everywhere on one side of the split.

    Every clip is used at least once where the number of videos allows it, and two clips of one pool
    differ by at most one in how often they are used. Since videos share clips, no split of the
    composed videos could keep clips apart; so the side is divided by source first, into two parts
    that share neither clips nor sources, and `ComposedVideo.source` names the part ("train-1" and,
    with `validation_fraction` of the clips, "train-2").

    Args:
        side: "train" or "test": the first part of the ids.
        clips: what there is on that side.
        seed: any integer; the same seed gives the same plan.
        clips_per_video: fewest and most clips of a video, at least 2; a part with few normal clips
            makes shorter videos, which the notes say.
        normal_videos: how many; as many as there are abnormal clips where None.
        abnormal_videos: the same.
        validation_fraction: of the clips, for the second part; 0 makes no second part.

    Raises:
        InputError: a number that is not allowed.
        ManifestError: fewer than three normal clips, or no abnormal one.
    """
    low, high = clips_per_video
    if not 2 <= low <= high:
        raise InputError(f"clips {low}-{high}: has to be MIN-MAX with 2 <= MIN <= MAX")
    for name, number in (("normal", normal_videos), ("abnormal", abnormal_videos)):
        if number is not None and number < 1:
            raise InputError(f"{name} videos {number}: has to be at least 1")
    if not _enough(clips):
        normal = sum(not clip.abnormal for clip in clips)
        raise ManifestError(
            f"{side}: {normal} normal and {len(clips) - normal} abnormal clips; at least 3 normal "
            "and 1 abnormal are needed to compose videos"
        )
    notes: list[str] = []
    parts = _parts(clips, validation_fraction, seed)
    wanted = (normal_videos, abnormal_videos)
    if len(parts) == 2 and any(number is not None and number < 2 for number in wanted):
        parts = [clips]
    if validation_fraction > 0 and len(parts) == 1:
        notes.append(
            f"{side}: too few clips, sources or videos for a part of their own for validation; "
            "validation videos would share clips with training videos"
        )
    abnormal_clips = [sum(clip.abnormal for clip in part) for part in parts]
    normals: list[ComposedVideo] = []
    abnormals: list[ComposedVideo] = []
    counts_normal = _allocate(normal_videos, abnormal_clips)
    counts_abnormal = _allocate(abnormal_videos, abnormal_clips)
    for number, part in enumerate(parts, start=1):
        runs_normal, runs_abnormal, part_notes = _mix(
            part,
            random.Random(f"{seed}:{side}:{number}"),
            clips_per_video,
            counts_normal[number - 1],
            counts_abnormal[number - 1],
        )
        source = f"{side}-{number}"
        notes.extend(f"{source}: {note}" for note in part_notes)
        normals += [
            _video(side, "normal", len(normals) + i, run, source)
            for i, run in enumerate(runs_normal, 1)
        ]
        abnormals += [
            _video(side, "abnormal", len(abnormals) + i, run, source)
            for i, run in enumerate(runs_abnormal, 1)
        ]
    return SidePlan((*normals, *abnormals), tuple(notes))


def plan_source(side: str, clips: Sequence[Clip], *, seed: int = 0) -> SidePlan:
    """Join only clips of one source video, in the manifest's order.

    A source's normal clips are cut into two runs: one becomes its normal video, the other goes into
    its abnormal videos, each of which has one to three consecutive abnormal clips, together, at one
    place among the normal ones. Manifests do not say where a source's abnormal clips lie among its
    normal ones, so the seed chooses that place, and which run is which. A source with a single
    normal clip gives only abnormal videos, one without abnormal clips only a normal video; one
    without normal clips gives none, and neither do clips whose source is not known.

    Args:
        side: "train" or "test": the first part of the ids.
        clips: what there is on that side, each source's clips in their order.
        seed: any integer; the same seed gives the same plan.

    Raises:
        ManifestError: the sources give no normal or no abnormal video.
    """
    sources: dict[str, list[Clip]] = {}
    unknown: list[Clip] = []
    for clip in clips:
        if clip.entry.source is None or clip.entry.source == UNLISTED:
            unknown.append(clip)
        else:
            sources.setdefault(clip.entry.source, []).append(clip)
    unused: list[Clip] = []
    normals: list[ComposedVideo] = []
    abnormals: list[ComposedVideo] = []
    for source, members in sorted(sources.items()):
        rng = random.Random(f"{seed}:{side}:{source}")
        normal = [clip for clip in members if not clip.abnormal]
        abnormal = [clip for clip in members if clip.abnormal]
        if not normal:
            unused += abnormal
            continue
        own, among = _cut(normal, rng) if abnormal else (normal, [])
        if own:
            normals.append(_video(side, "normal", len(normals) + 1, own, source))
        for run in _chunks(abnormal, MAX_ABNORMAL_CLIPS):
            place = rng.randint(0, len(among))
            joined = [*among[:place], *run, *among[place:]]
            abnormals.append(_video(side, "abnormal", len(abnormals) + 1, joined, source))
    if not normals or not abnormals:
        raise ManifestError(
            f"{side}: {len(sources)} known sources give {len(normals)} normal and {len(abnormals)} "
            "abnormal videos; one of each is needed: use mode mixed, or add sources to the manifest"
        )
    notes: list[str] = []
    if unknown:
        notes.append(f"{side}: {len(unknown)} clips of unknown source are not used")
    if unused:
        notes.append(
            f"{side}: {len(unused)} abnormal clips are not used: their source has no normal clip"
        )
    return SidePlan((*normals, *abnormals), tuple(notes))


def _enough(clips: Iterable[Clip]) -> bool:
    labels = [clip.abnormal for clip in clips]
    return labels.count(False) >= 3 and labels.count(True) >= 1


def _parts(clips: Sequence[Clip], fraction: float, seed: int) -> list[Sequence[Clip]]:
    """The side whole, or in two by source where each part is enough to compose from."""
    if fraction == 0.0:
        return [clips]
    try:
        _, held = split_by_source([clip.entry for clip in clips], fraction, seed)
    except ManifestError:
        return [clips]
    chosen = {entry.id for entry in held}
    large = [clip for clip in clips if clip.id not in chosen]
    small = [clip for clip in clips if clip.id in chosen]
    return [large, small] if _enough(large) and _enough(small) else [clips]


def _allocate(total: int | None, weights: Sequence[int]) -> list[int]:
    """Shares of `total` (by default the weights themselves), each at least 1."""
    if total is None:
        return list(weights)
    if len(weights) == 1:
        return [total]
    last = min(max(1, round(total * weights[1] / sum(weights))), total - 1)
    return [total - last, last]


def _mix(
    clips: Sequence[Clip],
    rng: random.Random,
    clips_per_video: tuple[int, int],
    normal_videos: int,
    abnormal_videos: int,
) -> tuple[list[list[Clip]], list[list[Clip]], list[str]]:
    """Runs of normal clips, runs with abnormal ones, and notes."""
    for_normal, for_abnormal = _pools([clip for clip in clips if not clip.abnormal], rng)
    abnormal = [clip for clip in clips if clip.abnormal]
    low, high = clips_per_video
    # A video that takes its whole pool is like every other that does: one clip at least stays out.
    most = max(2, min(len(for_normal) - 1, len(for_abnormal)))
    notes: list[str] = []
    if high > most:
        high = most
        low = min(low, max(2, high // 2))
        notes.append(
            f"{len(for_normal) + len(for_abnormal)} normal clips in two pools make videos of "
            f"{low} to {high} clips"
        )

    draw = _Deck(for_normal, rng)
    sizes = _sizes(rng, [(low, high)] * normal_videos, len(for_normal))
    runs_normal = [draw(size) for size in sizes]
    unused = draw.unused()

    bound = (1, min(MAX_ABNORMAL_CLIPS, len(abnormal), high - 1))
    counts = _sizes(rng, [bound] * abnormal_videos, len(abnormal))
    rests = _sizes(rng, [(max(1, low - n), high - n) for n in counts], len(for_abnormal))
    draw, draw_abnormal = _Deck(for_abnormal, rng), _Deck(abnormal, rng)
    runs_abnormal: list[list[Clip]] = []
    for count, rest in zip(counts, rests, strict=True):
        run = draw_abnormal(count) + draw(rest)
        rng.shuffle(run)
        runs_abnormal.append(run)
    unused += draw.unused() + draw_abnormal.unused()
    if unused:
        notes.append(
            f"{unused} of {len(clips)} clips are not used: the videos are too few for them"
        )
    return runs_normal, runs_abnormal, notes


def _pools(normal: Sequence[Clip], rng: random.Random) -> tuple[list[Clip], list[Clip]]:
    """Deal normal clips alternately, source by source, so that each source is in both pools."""
    groups: dict[str, list[Clip]] = {}
    for clip in normal:
        groups.setdefault(group_key(clip.entry), []).append(clip)
    order = list(groups.values())
    rng.shuffle(order)
    dealt: list[Clip] = []
    for group in order:
        rng.shuffle(group)
        dealt += group
    return dealt[::2], dealt[1::2]


class _Deck:
    """Draws distinct clips, the least used first, ties by chance: uses differ by at most one."""

    def __init__(self, clips: Sequence[Clip], rng: random.Random) -> None:
        self._uses = [0] * len(clips)
        self._clips = clips
        self._rng = rng

    def __call__(self, count: int) -> list[Clip]:
        keys = [(uses, self._rng.random(), i) for i, uses in enumerate(self._uses)]
        drawn = [i for _, _, i in sorted(keys)[:count]]
        for i in drawn:
            self._uses[i] += 1
        self._rng.shuffle(drawn)  # else the least used would always come first
        return [self._clips[i] for i in drawn]

    def unused(self) -> int:
        return self._uses.count(0)


def _sizes(rng: random.Random, bounds: Sequence[tuple[int, int]], needed: int) -> list[int]:
    """A size within each bound, by chance; then raised by chance towards a sum of `needed`."""
    sizes = [rng.randint(low, high) for low, high in bounds]
    while sum(sizes) < needed:
        growable = [i for i, (_, high) in enumerate(bounds) if sizes[i] < high]
        if not growable:
            break
        sizes[rng.choice(growable)] += 1
    return sizes


def _cut(run: Sequence[Clip], rng: random.Random) -> tuple[Sequence[Clip], Sequence[Clip]]:
    """Two runs of one: for the normal video, for the abnormal ones. A single clip is for those."""
    longer = len(run) - len(run) // 2
    if len(run) == 1:
        return [], run
    if rng.random() < 0.5:
        return run[:longer], run[longer:]
    return run[len(run) - longer :], run[: len(run) - longer]


def _chunks(run: Sequence[Clip], most: int) -> list[Sequence[Clip]]:
    """Consecutive pieces of at most `most`, of lengths that differ by at most one."""
    count = -(-len(run) // most)
    edges = [i * len(run) // count for i in range(count + 1)] if count else [0]
    return [run[a:b] for a, b in pairwise(edges)]


def _video(side: str, kind: str, number: int, clips: Sequence[Clip], source: str) -> ComposedVideo:
    return ComposedVideo(f"{side}/{kind}-{number:04d}", tuple(clips), source)
