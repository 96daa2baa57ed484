"""Split a pack into parts of limited size, each a whole pack of its own."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from vad_toolkit.core.files import TEMPORARY_MARK, canonical_json, fsync_folder
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.errors import InputError, PackError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import CHUNK_SNIPPETS, StreamedVideo
from vad_toolkit.packs.write import write_pack

UNITS = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", start=1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", start=1)},
}
_UNIT_BY_CASE = {unit.lower(): size for unit, size in UNITS.items()}

# What HDF5 takes beside the features, at most: measured on packs of 1 to 1,000 videos, ids of up to
# 32 parts, and up to 10,000 chunks a video, and rounded up. A part's real size is checked as well.
FILE_BYTES = 16 << 10
VIDEO_BYTES = 4 << 10
STREAM_BYTES = 3 << 10
FOLDER_BYTES = 1 << 10
CHUNK_BYTES = 128


def parse_size(text: str) -> int:
    """Bytes of a size as people write it: "500MB", "2 GB", "1.5GiB".

    Raises:
        InputError: not a number with a unit, or less than one byte.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text, re.ASCII)
    unit = _UNIT_BY_CASE.get(match[2].lower()) if match else None
    size = int(float(match[1]) * unit) if match and unit else 0
    if size < 1:
        raise InputError(
            f"size {text!r}: has to be a number with a unit ({', '.join(UNITS)}), as in 500MB"
        )
    return size


def split_pack(
    path: Path, out_dir: Path, max_bytes: int, *, progress: ProgressCallback = silent
) -> list[Path]:
    """Write a pack's videos into `<name>-001-of-003.h5` and so on: none larger than `max_bytes`.

    Videos keep the order of their ids; each part has as many as fit. Merging the parts gives a pack
    of the same content digest. One block of snippets is in memory at a time. All parts appear, or
    none does.

    Args:
        path: the pack; it is only read.
        out_dir: the folder for the parts, made where it is missing.
        max_bytes: of a part's file.
        progress: called after each video.

    Raises:
        InputError: a video does not fit into a part alone (told before anything is written), or
            parts of a pack of this name are in `out_dir`.
        PackCorrupt: a video is damaged.
    """
    name = path.stem
    for other in sorted(out_dir.glob("*.h5")) if out_dir.is_dir() else ():
        if re.fullmatch(re.escape(name) + r"-\d+-of-\d+", other.stem):
            raise InputError(
                f"{other} is there already: give another --out-dir, or remove the old parts"
            )
    with FeaturePack.open(path) as pack:
        sizes = {id: estimated_bytes(pack, id) for id in pack.ids}
        for id, size in sizes.items():
            if FILE_BYTES + size > max_bytes:
                raise InputError(
                    f"video {id!r} needs {FILE_BYTES + size:,} bytes, a part may have "
                    f"{max_bytes:,}: give a larger --max-size"
                )
        _make_folder(out_dir)
        scratch = Path(tempfile.mkdtemp(prefix=f"{name}{TEMPORARY_MARK}", dir=out_dir))
        try:
            parts = _write_parts(pack, sizes, max_bytes, scratch, progress)
            return _publish(parts, out_dir, name)
        finally:
            shutil.rmtree(scratch)


def estimated_bytes(pack: FeaturePack, id: str) -> int:
    """What a video takes in a pack's file, features in whole chunks and HDF5's own data; at most.

    A file has FILE_BYTES beside its videos.
    """
    size = VIDEO_BYTES + (id.count("/") + 1) * FOLDER_BYTES + 2 * len(id.encode("utf-8"))
    size += 2 * len(canonical_json(list(pack.meta(id).clips)).encode("utf-8"))
    for stream in pack.recipe.streams:
        snippets, crops, width = pack.shape(id, stream)
        rows = min(CHUNK_SNIPPETS, snippets)
        chunks = -(-snippets // rows)
        size += STREAM_BYTES + chunks * (rows * crops * width * 2 + CHUNK_BYTES)
    return size


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out-dir {folder}: {error.strerror}; give another folder") from error


def _write_parts(
    pack: FeaturePack,
    sizes: dict[str, int],
    max_bytes: int,
    folder: Path,
    progress: ProgressCallback,
) -> list[Path]:
    parts: list[Path] = []
    done = 0
    for ids in _groups(sizes, max_bytes):

        def videos(
            ids: Sequence[str] = ids, base: int = done
        ) -> Iterator[tuple[str, StreamedVideo]]:
            for count, id in enumerate(ids, start=base + 1):
                yield id, pack.streamed(id)
                progress(ProgressEvent("split", count, len(sizes), "videos", id))

        part = folder / f"{len(parts) + 1}.h5"
        write_pack(part, pack.recipe, videos(), dataset=pack.dataset, license=pack.license)
        size = part.stat().st_size
        if size > max_bytes:  # no bound on HDF5's own data is promised by anyone
            raise PackError(
                f"the part from {ids[0]!r} to {ids[-1]!r} came out at {size:,} bytes, not at most "
                f"{max_bytes:,}: give a smaller or a larger --max-size"
            )
        parts.append(part)
        done += len(ids)
    return parts


def _groups(sizes: dict[str, int], max_bytes: int) -> Iterator[list[str]]:
    """Ids in order, cut where the next one would not fit."""
    group: list[str] = []
    room = 0
    for id, size in sizes.items():
        if group and size > room:
            yield group
            group = []
        if not group:
            room = max_bytes - FILE_BYTES
        group.append(id)
        room -= size
    yield group


def _publish(parts: Sequence[Path], out_dir: Path, name: str) -> list[Path]:
    """Give the parts their names; takes them back where one of them cannot have its name."""
    digits = max(3, len(str(len(parts))))
    named: list[Path] = []
    try:
        for index, part in enumerate(parts, start=1):
            target = out_dir / f"{name}-{index:0{digits}d}-of-{len(parts):0{digits}d}.h5"
            part.rename(target)
            named.append(target)
    except OSError as error:
        for target in named:
            target.unlink()
        raise PackError(f"{out_dir} cannot be written: {error.strerror}") from error
    fsync_folder(out_dir)
    return named
