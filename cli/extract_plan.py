"""`vad extract --dry-run`: what an extraction would do, and its cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import print_json, print_pairs, print_table

if TYPE_CHECKING:
    from vad_toolkit.extraction.extractor import Extractor
    from vad_toolkit.extraction.plan import Shard
    from vad_toolkit.extraction.sources import VideoSource
    from vad_toolkit.recipes.recipe import Recipe

KNOWN = {"manifest": "by manifest", "container": "by container", "bytes": "guessed from bytes"}


def print_plan(
    videos: Sequence[VideoSource],
    recipe: Recipe,
    out: Path,
    make: Callable[[str], Extractor],
    device: str,
    shard: Shard | None,
    engine: str,
    as_json: bool,
) -> None:
    """Print the plan of `vad extract` with these options. Nothing is written.

    Raises as the run would where the pack has another recipe, weights are missing, or there is no
    such device.
    """
    from vad_toolkit.core.device import pick_devices
    from vad_toolkit.extraction.cost import estimate_cost, measure_rate, seconds_to_extract
    from vad_toolkit.extraction.plan import measure_videos, share_videos
    from vad_toolkit.packs.parts import finished_ids

    sizes = measure_videos(videos, look_at_all=True)
    shares = share_videos(sizes, 1 if shard is None else shard.count)
    own = shares[0 if shard is None else shard.number - 1]
    pack = out if shard is None else shard.pack(out)
    finished = finished_ids(pack, recipe)
    to_do = [size for size in own if size.source.id not in finished]
    cost = estimate_cost(to_do, recipe)
    known = Counter(size.known for size in to_do)
    devices = sorted(set(pick_devices(device))) if engine == "local" else ["auto"]
    extractor = make(devices[0])
    rate = measure_rate(extractor, [size.source for size in to_do]) if to_do else None
    seconds = None if rate is None else seconds_to_extract(to_do, rate, len(devices))
    facts = {
        "pack": str(pack),
        "videos": cost.videos,
        "videos_done_already": len(own) - cost.videos,
        "frames": cost.frames,
        **{f"videos_counted_by_{name}": known[name] for name in KNOWN},
        "hours_of_video": round(cost.hours, 2),
        "snippets": cost.snippets,
        "clips": cost.clips,
        "flop": cost.flop,
        "pack_bytes": cost.pack_bytes,
        "decoded_bytes": cost.decoded_bytes,
        "device": str(extractor.device),
        "devices": len(devices),
        "measured_frames_a_second": None if rate is None else round(rate, 2),
        "estimated_seconds": None if seconds is None else round(seconds),
    }
    table = [
        {"share": number, "videos": len(share), "frames": sum(size.frames for size in share)}
        for number, share in enumerate(shares, start=1)
    ]
    if as_json:
        print_json(facts if shard is None else {**facts, "shares": table})
        return
    told = ", ".join(f"{known[name]} {text}" for name, text in KNOWN.items() if known[name])
    trial = f"{extractor.device}, measured now from file to features"
    rows = {
        "pack": pack,
        "videos": f"{cost.videos} to do, {len(own) - cost.videos} done already",
        "frames": f"{cost.frames:,}" + (f" (videos: {told})" if told else ""),
        "hours of video": f"{cost.hours:.2f}",
        "snippets": f"{cost.snippets:,}",
        "clips": f"{cost.clips:,}",
        "network": f"{cost.flop / 1e9:,.0f} GFLOP",
        "pack size": _size(cost.pack_bytes),
        "frames decoded": f"{_size(cost.decoded_bytes)}, of which little is held at a time",
        "rate": "not measured" if rate is None else f"{rate:.2f} frames a second ({trial})",
        "time": "-" if seconds is None else f"{_duration(seconds)} ({len(devices)} x this rate)",
    }
    print_pairs(rows)
    if shard is not None:
        click.echo()
        print_table(table)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes // 60} h {minutes % 60:02} min"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
