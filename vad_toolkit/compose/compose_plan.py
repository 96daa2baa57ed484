"""Choice of the trimmed clips that each composed video consists of.

A normal video is a run of normal clips; an abnormal video has one to three abnormal clips among
normal ones. The normal clips of a side are divided into two pools, one for normal and one for
abnormal videos, so that a model gains nothing by remembering a clip. Plans depend only on names,
labels, sources, snippet counts and the seed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from vad_toolkit.datasets.manifest import UNLISTED, Entry, Event
from vad_toolkit.datasets.source_split import group_key, split_by_source
from vad_toolkit.errors import InputError, ManifestError

MAX_ABNORMAL_CLIPS = 3  # per composed video
CLIPS_PER_VIDEO = (5, 9)  # 25 to 30 snippets with clips of two to three seconds
VALIDATION_FRACTION = 0.2


@dataclass(frozen=True)
class Clip:
    """A trimmed video: abnormal from its first frame to its last, or normal throughout."""

    entry: Entry
    snippets: int  # N of its features, at least 1

    @property
    def id(self) -> str:
        """The video id."""
        return self.entry.id

    @property
    def abnormal(self) -> bool:
        """True if the label is 1."""
        return self.entry.label == 1


@dataclass(frozen=True)
class ComposedVideo:
    """Clips in the order in which they are joined; a split must not divide videos of a source."""

    id: str
    clips: tuple[Clip, ...]
    source: str

    @property
    def label(self) -> int:
        """1 if any clip is abnormal, else 0."""
        return int(any(clip.abnormal for clip in self.clips))

    @property
    def snippets(self) -> int:
        """Number of snippets of the joined features."""
        return sum(clip.snippets for clip in self.clips)

    def events(self, step: int) -> tuple[Event, ...]:
        """Return abnormal frames [start, stop), `step` per snippet; adjacent clips are merged."""
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
        """Return the video's entry in a manifest."""
        classes = {name for clip in self.clips if clip.abnormal for name in clip.entry.classes}
        return Entry(
            id=self.id,
            path=self.id,
            label=1 if self.label else 0,
            classes=tuple(sorted(classes)),
            frames=self.snippets * step,
            events=self.events(step) or None,
            source=self.source,
        )


@dataclass(frozen=True)
class SidePlan:
    """The composed videos of one side of the split, and notes for the user."""

    videos: tuple[ComposedVideo, ...]
    notes: tuple[str, ...]


_Run = tuple[Sequence[Clip], str]  # the clips of a video in their order, and its source


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
    """Compose videos from clips of a whole side of the split.

    If the number of videos allows it, every clip is used; uses within a pool differ by at most one.
    Because videos share clips, the side is first divided by source into two parts that share
    neither clips nor sources. `ComposedVideo.source` names the part: "train-1" and, with
    `validation_fraction` of the clips, "train-2".

    Args:
        side: "train" or "test", the first part of the ids.
        clips: The clips of that side.
        seed: Any integer; the same seed gives the same plan.
        clips_per_video: The smallest (at least 2) and largest number of clips per video; fewer if
            a part has few normal clips, which the notes say.
        normal_videos: Number of normal videos. If None, the number of abnormal clips.
        abnormal_videos: The same for abnormal videos.
        validation_fraction: Share of the clips for the second part. If 0, there is only one part.

    Raises:
        InputError: If a number is not allowed.
        ManifestError: If there are fewer than three normal clips, or no abnormal ones.
    """
    low, high = clips_per_video
    if not 2 <= low <= high:
        raise InputError(f"clips must be MIN-MAX with 2 <= MIN <= MAX, got {low}-{high}")
    for name, number in (("normal", normal_videos), ("abnormal", abnormal_videos)):
        if number is not None and number < 1:
            raise InputError(f"{name} videos must be >= 1, got {number}")
    if not _enough(clips):
        normal, abnormal = _by_label(clips)
        raise ManifestError(
            f"{side}: {len(normal)} normal and {len(abnormal)} abnormal clips; composing needs at "
            "least 3 normal and 1 abnormal clip"
        )
    notes: list[str] = []
    parts = _parts(clips, validation_fraction, seed)
    if 1 in (normal_videos, abnormal_videos):  # one video cannot be in both parts
        parts = [clips]
    if validation_fraction > 0 and len(parts) == 1:
        notes.append(
            f"{side}: too few clips, sources or videos for a separate validation part; validation "
            "videos would share clips with training videos"
        )
    abnormal_clips = [sum(clip.abnormal for clip in part) for part in parts]
    counts = [_allocate(number, abnormal_clips) for number in (normal_videos, abnormal_videos)]
    runs: list[_Run] = []
    for number, (part, *numbers) in enumerate(zip(parts, *counts, strict=True), start=1):
        source = f"{side}-{number}"
        rng = random.Random(f"{seed}:{side}:{number}")
        mixed, part_notes = _mix(part, rng, clips_per_video, *numbers)
        runs += [(run, source) for run in mixed]
        notes += [f"{source}: {note}" for note in part_notes]
    return SidePlan(_numbered(side, runs), tuple(notes))


def plan_source(side: str, clips: Sequence[Clip], *, seed: int = 0) -> SidePlan:
    """Compose each video from clips of one source video, in the manifest's order.

    A source's normal clips are cut into two runs. One is its normal video. The other goes into its
    abnormal videos, each of which has one to three consecutive abnormal clips at one position among
    the normal ones. Manifests do not state the position of a source's abnormal clips among its
    normal ones, so the seed chooses it, and the use of the runs. A source with a single normal clip
    gives only abnormal videos, and one without abnormal clips only a normal video. A source without
    normal clips, and clips of unknown source, are not used.

    Arguments are those of `plan_mixed`; the clips of each source are in their order.

    Raises:
        ManifestError: If the sources give no normal or no abnormal video.
    """
    sources: dict[str, list[Clip]] = {}
    for clip in clips:
        sources.setdefault(clip.entry.source or UNLISTED, []).append(clip)
    unknown = sources.pop(UNLISTED, [])
    unused: list[Clip] = []
    runs: list[_Run] = []
    for source, members in sorted(sources.items()):
        rng = random.Random(f"{seed}:{side}:{source}")
        normal, abnormal = _by_label(members)
        if not normal:
            unused += abnormal
            continue
        own, among = _cut(normal, rng) if abnormal else (normal, [])
        if own:
            runs.append((own, source))
        for run in _chunks(abnormal, MAX_ABNORMAL_CLIPS):
            place = rng.randint(0, len(among))
            runs.append(([*among[:place], *run, *among[place:]], source))
    videos = _numbered(side, runs)
    composed = sum(video.label for video in videos)
    if not 0 < composed < len(videos):
        raise ManifestError(
            f"{side}: {len(sources)} known sources give {len(videos) - composed} normal and "
            f"{composed} abnormal videos, and one of each is needed; use mode mixed, or add "
            "sources to the manifest"
        )
    counts = {
        "clips of unknown source are not used": len(unknown),
        "abnormal clips are not used: their source has no normal clip": len(unused),
    }
    return SidePlan(videos, tuple(f"{side}: {n} {text}" for text, n in counts.items() if n))


def _numbered(side: str, runs: Sequence[_Run]) -> tuple[ComposedVideo, ...]:
    """Return a video per run, the normal ones first, with numbers by label in their ids."""
    videos: list[ComposedVideo] = []
    for kind in ("normal", "abnormal"):
        alike = [run for run in runs if any(clip.abnormal for clip in run[0]) == (kind != "normal")]
        for number, (clips, source) in enumerate(alike, start=1):
            videos.append(ComposedVideo(f"{side}/{kind}-{number:04d}", tuple(clips), source))
    return tuple(videos)


def _by_label(clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    return [clip for clip in clips if not clip.abnormal], [clip for clip in clips if clip.abnormal]


def _enough(clips: Sequence[Clip]) -> bool:
    normal, abnormal = _by_label(clips)
    return len(normal) >= 3 and len(abnormal) >= 1


def _parts(clips: Sequence[Clip], fraction: float, seed: int) -> list[Sequence[Clip]]:
    """Return the whole side, or two parts by source if both are enough to compose from."""
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
    """Return shares of `total` (if None, the weights themselves), each at least 1."""
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
) -> tuple[list[list[Clip]], list[str]]:
    """Return runs of normal clips and runs with abnormal ones, and notes."""
    normal, abnormal = _by_label(clips)
    for_normal, for_abnormal = _pools(normal, rng)
    low, high = clips_per_video
    # Videos that take their whole pool would all be alike, so at least one clip is left out.
    most = max(2, min(len(for_normal) - 1, len(for_abnormal)))
    notes: list[str] = []
    if high > most:
        high = most
        low = min(low, max(2, high // 2))
        notes.append(
            f"{len(normal)} normal clips in two pools make videos of {low} to {high} clips"
        )

    draw = _Deck(for_normal, rng)
    sizes = _sizes(rng, [(low, high)] * normal_videos, len(for_normal))
    runs = [draw(size) for size in sizes]
    unused = draw.unused()

    bound = (1, min(MAX_ABNORMAL_CLIPS, len(abnormal), high - 1))
    counts = _sizes(rng, [bound] * abnormal_videos, len(abnormal))
    rests = _sizes(rng, [(max(1, low - n), high - n) for n in counts], len(for_abnormal))
    draw, draw_abnormal = _Deck(for_abnormal, rng), _Deck(abnormal, rng)
    for count, rest in zip(counts, rests, strict=True):
        runs.append(draw_abnormal(count) + draw(rest))
        rng.shuffle(runs[-1])
    unused += draw.unused() + draw_abnormal.unused()
    if unused:
        notes.append(f"{unused} of {len(clips)} clips are not used: there are too few videos")
    return runs, notes


def _pools(normal: Sequence[Clip], rng: random.Random) -> tuple[list[Clip], list[Clip]]:
    """Divide normal clips alternately, source by source, so that each source is in both pools."""
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
    """Draws distinct clips, the least used first, so that uses differ by at most one."""

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
    """Draw a size within each bound, then raise random sizes towards a sum of `needed`."""
    sizes = [rng.randint(low, high) for low, high in bounds]
    while sum(sizes) < needed:
        growable = [i for i, (_, high) in enumerate(bounds) if sizes[i] < high]
        if not growable:
            break
        sizes[rng.choice(growable)] += 1
    return sizes


def _cut(run: Sequence[Clip], rng: random.Random) -> tuple[Sequence[Clip], Sequence[Clip]]:
    """Return the runs for the normal video and for the abnormal ones, which get a single clip."""
    if len(run) == 1:
        return [], run
    shorter = len(run) // 2
    if rng.random() < 0.5:
        return run[: len(run) - shorter], run[len(run) - shorter :]
    return run[shorter:], run[:shorter]


def _chunks(run: Sequence[Clip], most: int) -> list[Sequence[Clip]]:
    """Return consecutive pieces of at most `most` clips, whose lengths differ by at most one."""
    count = -(-len(run) // most)
    edges = [i * len(run) // count for i in range(count + 1)] if count else [0]
    return [run[a:b] for a, b in pairwise(edges)]
