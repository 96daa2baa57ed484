"""Splitting a pack into parts of limited size, each a complete pack."""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from vad_toolkit.core.files import TEMPORARY_MARK, AnyPath, canonical_json, check_new_file, fsync
from vad_toolkit.core.progress import ProgressCallback, ProgressEvent, silent
from vad_toolkit.errors import InputError, PackError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import CHUNK_SNIPPETS, StreamedVideo, stored_snippets
from vad_toolkit.packs.write import write_pack

UNITS = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", start=1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", start=1)},
}

# Upper bounds of the bytes that HDF5 needs besides the features: measured on packs of 1 to 1,000
# videos with ids of up to 32 parts and up to 10,000 chunks per video, and rounded up. The real size
# of a part is checked as well.
FILE_BYTES, VIDEO_BYTES, STREAM_BYTES, FOLDER_BYTES = 16 << 10, 4 << 10, 3 << 10, 1 << 10
CHUNK_BYTES = 128


def parse_size(text: str) -> int:
    """Return the bytes of a size such as "500MB", "2 GB" or "1.5GiB". Raises InputError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text, re.ASCII)
    units = {unit.lower(): size for unit, size in UNITS.items()}
    size = int(float(match[1]) * units.get(match[2].lower(), 0)) if match else 0
    if size < 1:
        raise InputError(
            f"size must be a number with a unit ({', '.join(UNITS)}), as in 500MB, got {text!r}"
        )
    return size


def split_pack(
    pack: AnyPath, out: AnyPath, max_size: int | str, *, progress: ProgressCallback = silent
) -> list[Path]:
    """Write the videos of a pack into parts, `<name>-001-of-003.h5` and so on.

    Videos stay in the order of their ids, and each part has as many as fit. Merging the parts gives
    a pack of the same content digest. One block of snippets is in memory at a time. Either all
    parts appear or none.

    Args:
        pack: The pack.
        out: The folder for the parts, created if it is missing.
        max_size: The largest size of a file, in bytes or as text ("2GB").
        progress: Called after each video.

    Returns:
        The parts.

    Raises:
        InputError: If a video alone is larger than `max_size` (before anything is written), or
            `out` has parts of a pack of this name.
        PackCorrupt: If a video is damaged.

    Example:
        >>> import vad_toolkit as vad
        >>> [part.name for part in vad.split_pack("features.h5", "parts", "2GB")]
        ['features-001-of-001.h5']
    """
    name, folder = Path(pack).stem, Path(out)
    max_bytes = parse_size(max_size) if isinstance(max_size, str) else max_size
    for other in sorted(folder.glob("*.h5")) if folder.is_dir() else ():
        if re.fullmatch(re.escape(name) + r"-\d+-of-\d+", other.stem):
            check_new_file(other, "parts", "--out-dir")
    with FeaturePack.open(pack) as opened:
        sizes = {id: estimated_bytes(opened, id) for id in opened.ids}
        largest = max(sizes, key=sizes.__getitem__)
        if (needed := FILE_BYTES + sizes[largest]) > max_bytes:
            raise InputError(
                f"--max-size must be at least {needed:,} bytes for video {largest!r}, got "
                f"{max_bytes:,}"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"--out-dir {folder}: {error.strerror}; choose another folder"
            ) from error
        scratch = Path(tempfile.mkdtemp(prefix=f"{name}{TEMPORARY_MARK}", dir=folder))
        try:
            parts = _write_parts(opened, sizes, max_bytes, scratch, progress)
            return _publish(parts, folder, name)
        finally:
            shutil.rmtree(scratch)


def estimated_bytes(pack: FeaturePack, id: str) -> int:
    """Return an upper bound of the bytes that a video needs in a file, besides FILE_BYTES."""
    size = VIDEO_BYTES + (id.count("/") + 1) * FOLDER_BYTES + 2 * len(id.encode("utf-8"))
    size += 2 * len(canonical_json(list(pack.meta(id).clips)).encode("utf-8"))
    for stream in pack.recipe.streams:
        snippets, crops, width = pack.shape(id, stream)
        size += STREAM_BYTES + stored_snippets(snippets) * crops * width * 2
        size += -(-snippets // CHUNK_SNIPPETS) * CHUNK_BYTES
    return size


def _write_parts(
    pack: FeaturePack,
    sizes: dict[str, int],
    max_bytes: int,
    folder: Path,
    progress: ProgressCallback,
) -> list[Path]:
    parts: list[Path] = []
    done = itertools.count(1)

    def videos(ids: Sequence[str]) -> Iterator[tuple[str, StreamedVideo]]:
        for id in ids:
            yield id, pack.streamed(id)
            progress(ProgressEvent("split", next(done), len(sizes), "videos", id))

    groups: list[list[str]] = []
    room = -1
    for id, size in sizes.items():
        if size > room:  # a part ends when the next video would not fit
            groups.append([])
            room = max_bytes - FILE_BYTES
        groups[-1].append(id)
        room -= size
    for ids in groups:
        part = folder / f"{len(parts) + 1}.h5"
        write_pack(part, pack.recipe, videos(ids), dataset=pack.dataset, license=pack.license)
        written = part.stat().st_size
        if written > max_bytes:  # the bounds on HDF5's own data are measured, not promised
            raise PackError(
                f"the part from {ids[0]!r} to {ids[-1]!r} has {written:,} bytes, more than "
                f"{max_bytes:,}; give a smaller or a larger --max-size"
            )
        parts.append(part)
    return parts


def _publish(parts: Sequence[Path], out: Path, name: str) -> list[Path]:
    """Rename all parts to their final names, or none if one of the names cannot be used."""
    digits = max(3, len(str(len(parts))))
    named: list[Path] = []
    try:
        for index, part in enumerate(parts, start=1):
            target = out / f"{name}-{index:0{digits}d}-of-{len(parts):0{digits}d}.h5"
            part.rename(target)
            named.append(target)
    except OSError as error:
        for target in named:
            target.unlink()
        raise PackError(f"{out} cannot be written: {error.strerror}") from error
    fsync(out)
    return named
