"""Damage in the structure of container files, which FFmpeg does not report.

FFmpeg continues in damaged files, without reporting the packets that it lost there. The structure
shows the damage: elements that do not fill their parents, a file that is shorter than its header
states, tables that do not agree. Only headers are read, not the pictures.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1  # size of an element that was written before its size was known


@dataclass(frozen=True)
class Structure:
    """Result of examining a container's structure."""

    damage: str = ""  # description of the damage, if there is any
    is_cut: bool = False  # only the end is missing
    packets: int | None = None  # with data, in the first video stream; None if unknown


SOUND = Structure()  # no damage


class _Damaged(Exception):
    """The structure is damaged; the message describes how."""


class _CutShort(_Damaged):
    """Only the end is missing."""


def examine(path: Path, container: str) -> Structure:
    """Examine a file whose format has these short names in FFmpeg, separated by commas."""
    known = [EXAMINERS[name] for name in container.split(",") if name in EXAMINERS]
    if not known:
        return Structure()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return Structure(packets=known[0](data))
        except _Damaged as error:
            return Structure(damage=str(error), is_cut=isinstance(error, _CutShort))
        except (struct.error, LookupError, ValueError, RecursionError):
            return Structure(damage="its structure is incomplete")


# Matroska: RFC 8794 (EBML), RFC 9559.

EBML, SEGMENT, CLUSTER, TRACKS = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B
TRACK_ENTRY, TRACK_NUMBER, SIMPLE_BLOCK, BLOCK_GROUP, BLOCK = 0xAE, 0xD7, 0xA3, 0xA0, 0xA1
ANYWHERE = frozenset({0xEC, 0xBF})  # padding, checksum
SEGMENT_PARTS = ANYWHERE | {
    *(CLUSTER, TRACKS, 0x114D9B74, 0x1549A966, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367)
}
NUMBERS = frozenset({0xE7, 0xA7, 0xAB})  # integers: time, position, previous size
CLUSTER_PARTS = ANYWHERE | NUMBERS | {SIMPLE_BLOCK, BLOCK_GROUP, 0x5854, 0xAF}
GROUP_PARTS = ANYWHERE | {BLOCK, 0x9B, 0xFB, 0xFA, 0xFD, 0xA4, 0x75A1, 0x75A2, 0x8E, 0xA2, 0xC8}


def _matroska(data: mmap.mmap) -> None:
    identity, start, size = _element(data, 0)
    if identity != EBML:
        raise _Damaged("its first element is damaged")
    identity, start, size = _element(data, start + size)
    if identity != SEGMENT:
        raise _Damaged("its second element is damaged")
    end = len(data) if size == UNKNOWN else start + size
    if end > len(data):
        raise _CutShort(f"cut short: {len(data)} of {end} bytes are there")
    tracks: set[int] = set()
    position = start
    while position < end:
        identity, start, size = _element(data, position, SEGMENT_PARTS)
        if identity == CLUSTER:
            position = _cluster(data, start, end if size == UNKNOWN else start + size, end, tracks)
            continue
        position = _end(position, start, size, end)
        if identity == TRACKS:
            tracks |= set(_track_numbers(data, start, position))


def _cluster(data: mmap.mmap, position: int, end: int, limit: int, tracks: set[int]) -> int:
    """Check a cluster's elements and return its end, which a live recording does not state."""
    if end > limit:
        raise _Damaged(f"damaged at byte {position}: a cluster is too long")
    while position < end:
        if end == limit and _element(data, position)[0] in SEGMENT_PARTS - ANYWHERE:
            return position
        identity, start, size = _element(data, position, CLUSTER_PARTS)
        after = _end(position, start, size, min(end, start + 8) if identity in NUMBERS else end)
        block = _block_in(data, start, after) if identity == BLOCK_GROUP else start
        if identity in (SIMPLE_BLOCK, BLOCK_GROUP) and _number(data, block)[0] not in tracks:
            raise _Damaged(f"damaged at byte {position}: a block without a track")
        position = after
    return position


def _block_in(data: mmap.mmap, position: int, end: int) -> int:
    parts = list(_elements(data, position, end, GROUP_PARTS))
    blocks = [start for identity, start, _ in parts if identity == BLOCK]
    if not blocks:
        raise _Damaged(f"damaged at byte {position}: a group without a block")
    return blocks[-1]


def _track_numbers(data: mmap.mmap, position: int, end: int) -> Iterator[int]:
    for identity, start, after in _elements(data, position, end):
        if identity == TRACK_ENTRY:
            yield from _track_numbers(data, start, after)
        elif identity == TRACK_NUMBER:
            yield int.from_bytes(data[start:after], "big")


def _elements(
    data: mmap.mmap, position: int, end: int, allowed: frozenset[int] = frozenset()
) -> Iterator[tuple[int, int, int]]:
    """Yield the identity, and the start and end of the content, of each element in between."""
    while position < end:
        identity, start, size = _element(data, position, allowed)
        position = _end(position, start, size, end)
        yield identity, start, position


def _end(position: int, start: int, size: int, limit: int) -> int:
    """Return the end of the element at `position`, which must not be beyond `limit`."""
    if size == UNKNOWN or start + size > limit:
        raise _Damaged(f"damaged at byte {position}: an element is too long")
    return start + size


def _element(
    data: mmap.mmap, position: int, allowed: frozenset[int] = frozenset()
) -> tuple[int, int, int]:
    """Return an element's identity (one of `allowed`, if any), and its content's start and size."""
    length = _length(data, position, 4)
    identity = int.from_bytes(data[position : position + length], "big")
    size, start = _number(data, position + length)
    if allowed and identity not in allowed:
        raise _Damaged(f"damaged at byte {position}: {identity:#x} is not allowed there")
    is_unknown = size == (1 << 7 * (start - position - length)) - 1
    return identity, start, UNKNOWN if is_unknown else size


def _number(data: mmap.mmap, position: int) -> tuple[int, int]:
    """Return a number of variable length, and its end."""
    length = _length(data, position, 8)
    value = int.from_bytes(data[position : position + length], "big")
    return value & ((1 << 7 * length) - 1), position + length


def _length(data: mmap.mmap, position: int, most: int) -> int:
    length = 9 - data[position].bit_length()  # leading zeros, plus one
    if length > most:
        raise _Damaged(f"damaged at byte {position}: no element starts there")
    return length


# AVI: chunks of RIFF.

AVI_CHUNK = re.compile(rb"[A-Za-z][A-Za-z0-9]{2}[A-Za-z0-9 ]")
AVI_MEDIA = re.compile(rb"(\d\d)(?:(d[bc])|pc|wb|tx|sb|iv)|ix\d\d|JUNK|LIST|idx1")


def _avi(data: mmap.mmap) -> int | None:
    streams = 0
    counts: dict[int, int] = {}  # chunks with data of each video stream
    position = 0
    while position + 12 <= len(data) and data[position : position + 4] == b"RIFF":
        (size,) = struct.unpack_from("<I", data, position + 4)
        if size == 0:  # the recorder stopped before it wrote the size
            size = len(data) - position - 8
        end = position + 8 + size
        if end > len(data):
            raise _CutShort(f"cut short: {len(data)} of {end} bytes are there")
        for found, length in _chunks(data, position + 12, end, AVI_CHUNK):
            if found == b"strl":
                streams += 1
            elif media := AVI_MEDIA.fullmatch(found):
                if media[1] and int(media[1]) >= streams:
                    raise _Damaged(f"damaged: {found!r} is not in any of {streams} streams")
                if media[2] and length:
                    counts[int(media[1])] = counts.get(int(media[1]), 0) + 1
        position = end + end % 2
    return counts[min(counts)] if counts else None


def _chunks(
    data: mmap.mmap, position: int, end: int, allowed: re.Pattern[bytes]
) -> Iterator[tuple[bytes, int]]:
    """Yield the names and lengths of the chunks between two positions; for a list, its type."""
    while position + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, position)
        if not allowed.fullmatch(name):
            # Some writers do not pad chunks of odd length.
            position -= 1
            name, size = struct.unpack_from("<4sI", data, position)
        start = position + 8
        if not allowed.fullmatch(name) or start + size > end:
            raise _Damaged(f"damaged at byte {position}: no chunk starts there")
        if name == b"LIST":
            kind = data[start : start + 4]
            yield kind, size
            inside = AVI_MEDIA if kind in (b"movi", b"rec ") else AVI_CHUNK
            yield from _chunks(data, start + 4, start + size, inside)
        else:
            yield name, size
        position = start + size + size % 2


# MP4 and MOV: ISO/IEC 14496-12.

LARGEST_SAMPLE = 0x3FFFFFFF  # bytes; FFmpeg stops reading the table at larger ones

Box = tuple[bytes, int, int]  # name, start of the content, end


def _mp4(data: mmap.mmap) -> None:
    top = list(_boxes(data, 0, len(data)))
    for name, start, end in top:
        if name == b"moov":
            _movie(data, list(_boxes(data, start, end)))
    if any(name == b"moof" for name, _, _ in top):
        _fragments(data, top)


def _boxes(data: mmap.mmap, position: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two positions; stop at anything that is not a box."""
    while position + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        after = end if size == 0 else position + size
        if after < start:
            return
        yield name, start, after
        position = after


def _fragments(data: mmap.mmap, top: list[Box]) -> None:
    """Check that numbered fragments follow one another to the end of the file."""
    last = 0
    for name, start, end in top:
        if end > len(data):
            raise _CutShort(f"cut short: {len(data)} of {end} bytes are there")
        if not re.fullmatch(rb"[ -~]{4}", name):
            raise _Damaged(f"damaged at byte {start - 8}: no box starts there")
        if name == b"moof":
            numbers = [at for inner, at, _ in _boxes(data, start, end) if inner == b"mfhd"]
            if not numbers:
                raise _Damaged(f"damaged at byte {start - 8}: a fragment without its number")
            (number,) = struct.unpack_from(">I", data, numbers[0] + 4)
            if last and number > last + 1:
                raise _Damaged(f"damaged before byte {start - 8}: fragments are missing")
            last = number
    if top[-1][2] != len(data):
        raise _Damaged(f"damaged at byte {top[-1][2]}: no box starts there")


def _movie(data: mmap.mmap, boxes: list[Box]) -> None:
    for name, start, end in boxes:
        if name == b"trak":
            found = {inner: at for inner, at, _ in boxes}
            _gather(data, start, end, found)
            if (at := found.get(b"hdlr")) and data[at + 8 : at + 12] == b"vide":
                _track(data, found)


def _gather(data: mmap.mmap, start: int, end: int, found: dict[bytes, int]) -> None:
    """Add the start of the content of each box of a track to `found`, by name."""
    for name, inner, after in _boxes(data, start, end):
        if name in (b"mdia", b"minf", b"stbl", b"edts"):
            _gather(data, inner, after, found)
        else:
            found[name] = inner


def _track(data: mmap.mmap, boxes: dict[bytes, int]) -> None:
    """Check that the tables of a track agree on the number of its samples."""
    if not boxes.keys() >= {b"stsz", b"stts", b"stsc"} or not boxes.keys() & {b"stco", b"co64"}:
        return
    size, samples = struct.unpack_from(">II", data, boxes[b"stsz"] + 4)
    (chunks,) = struct.unpack_from(">I", data, (boxes.get(b"stco") or boxes[b"co64"]) + 4)
    times, runs = _table(data, boxes[b"stts"], 2), _table(data, boxes[b"stsc"], 3)
    if samples == 0:  # they are in fragments
        return
    in_chunks = int((np.diff(runs[:, 0], append=chunks + 1) * runs[:, 1]).sum())
    timed = int(times[:, 0].sum())
    if not samples == timed == in_chunks:
        raise _Damaged(f"its tables list {samples}, {timed} and {in_chunks} frames")
    if size == 0 and (_table(data, boxes[b"stsz"] + 4, 1) > LARGEST_SAMPLE).any():
        raise _Damaged("its table of sizes is damaged")
    if b"elst" in boxes and samples < len(data):
        starts = np.cumsum(np.repeat(times[:, 1], times[:, 0])) - times[0, 1]
        if b"ctts" in boxes:
            shifts = _table(data, boxes[b"ctts"], 2)
            if shifts[:, 0].sum() != samples:
                raise _Damaged("its tables of times do not agree")
            starts = starts + np.repeat(shifts[:, 1].astype(np.uint32).view(np.int32), shifts[:, 0])
        _edit(data, boxes, starts, times)


def _edit(
    data: mmap.mmap, boxes: dict[bytes, int], starts: NDArray[np.int64], times: NDArray[np.int64]
) -> None:
    """Check that an edit that hides frames fits the times (`starts`) of the track's samples."""
    frame, is_constant = float(times[0, 1]), len(times) == 1
    is_long = data[boxes[b"elst"]] == 1
    (count,) = struct.unpack_from(">I", data, boxes[b"elst"] + 4)
    layout = struct.Struct(">Qqi" if is_long else ">Iii")
    at = boxes[b"elst"] + 8
    edits = list(layout.iter_unpack(data[at : at + layout.size * min(count, len(data))]))
    shown = [(length, time) for length, time, _ in edits if time >= 0]
    if len(shown) != 1:
        return
    rates = [_field(data, boxes[name], (">I", 12), (">I", 20)) for name in (b"mdhd", b"mvhd")]
    scale = max(rates[0], 1) / max(rates[1], 1)  # of units per second: medium / movie
    first, length = shown[0][1], shown[0][0] * scale
    hides_start = bool((starts < first).any())
    hides_end = bool((starts >= first + length).any())
    is_uneven = np.diff(np.sort(starts)).max(initial=0) > 1.5 * frame
    if is_constant and is_uneven and (hides_start or hides_end):
        raise _Damaged("its tables of times do not agree")
    too_long = first + length > starts.max() + 1.5 * frame
    total = sum(length for length, _, _ in edits)
    duration = _field(data, boxes[b"tkhd"], (">I", 20), (">Q", 28))
    is_other = abs(total - duration) * scale > frame / 2
    if (hides_start and too_long) or (hides_end and is_other):
        raise _Damaged("its edit list hides frames and does not fit its times")


def _field(data: mmap.mmap, at: int, short: tuple[str, int], long: tuple[str, int]) -> int:
    """Return a field of a header whose layout and offset depend on the version, its first byte."""
    layout, offset = long if data[at] else short
    return int(struct.unpack_from(layout, data, at + offset)[0])


def _table(data: mmap.mmap, at: int, columns: int) -> NDArray[np.int64]:
    """Return the rows of a table of 32-bit numbers, which follow its version and their count."""
    (rows,) = struct.unpack_from(">I", data, at + 4)
    if at + 8 + rows * columns * 4 > len(data):
        raise _Damaged("a table is longer than the file")
    flat = np.frombuffer(data[at + 8 : at + 8 + rows * columns * 4], ">u4")
    return flat.astype(np.int64).reshape(rows, columns)


# MPEG transport streams: ISO/IEC 13818-1.

TS_SYNC = 0x47
TS_PACKETS = (188, 192, 204)  # bytes: plain, with a preceding time, with a checksum


def _ts(data: mmap.mmap) -> None:
    """Check the sync bytes. FFmpeg notices lost packets, except multiples of 16 and the end."""
    starts = [(length, start) for length in TS_PACKETS for start in range(length)]
    for length, start in starts:
        if set(data[start : start + 8 * length : length]) <= {TS_SYNC}:
            marks = np.frombuffer(data, np.uint8)[start::length]
            if (wrong := np.flatnonzero(marks != TS_SYNC)).size:
                place = start + wrong[0] * length
                raise _Damaged(f"damaged at byte {place}: no packet starts there")
            if (len(data) - start) % length:
                raise _CutShort("cut short: its last packet is incomplete")
            return


EXAMINERS: dict[str, Callable[[mmap.mmap], int | None]] = {
    "matroska": _matroska,
    "avi": _avi,
    "mov": _mp4,
    "mpegts": _ts,
}
