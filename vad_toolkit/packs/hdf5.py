"""Safe access to HDF5 files: unsafe ones are refused before any data is read.

An HDF5 file can lead elsewhere (external and soft links, external storage, virtual datasets), load
code (filters that are plugins) and declare far more data than it holds. A feature pack needs only
groups, plain arrays and plain attributes. `open_hdf5` walks a file link by link, follows only hard
links, and checks the layout, type, filters and sizes of an object before its data. It does not
protect against errors of the HDF5 library in parsing damaged metadata: see docs/pack-format.md.
"""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import NoReturn

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5l, h5o, h5p, h5s, h5t, h5z

from vad_toolkit.core.ids import shown
from vad_toolkit.errors import PackCorrupt, PackError, PackUnsafe

SIGNATURE = b"\x89HDF\r\n\x1a\n"

# A shape bomb declares more bytes than the first, and more per stored byte than the second. Deflate
# reaches a ratio of about 1,000 at most.
BOMB_BYTES = 4 << 30
BOMB_RATIO = 1000
MAX_CHUNK_BYTES = 256 << 20  # a chunk is read into memory whole
MAX_ATTRIBUTE_BYTES = 1 << 20
MAX_ATTRIBUTES = 64  # per object
MAX_OBJECTS = 1_000_000
MAX_DEPTH = 64  # groups in groups
MAX_NAME_BYTES = 1024

# The filters that are part of every HDF5 library; any other would be a plugin.
ALLOWED_FILTERS = {
    h5z.FILTER_DEFLATE: "deflate",
    h5z.FILTER_SHUFFLE: "shuffle",
    h5z.FILTER_FLETCHER32: "fletcher32",
}
NUMBERS = "STD_I64 IEEE_F64 IEEE_F16 IEEE_F32 STD_I32 STD_I16 STD_I8 STD_U64 STD_U32 STD_U16 STD_U8"
NUMBER_TYPES = tuple(
    getattr(h5t, f"{name}{order}") for order in ("LE", "BE") for name in NUMBERS.split()
)
# By the number of their class, such as h5t.INTEGER, which is 0.
CLASSES = (
    *("unusual integers", "unusual floats", "times", "texts", "bit fields", "opaque bytes"),
    *("a compound type", "references", "an enumeration", "sequences of variable length"),
    "an array type",
)
# The exceptions of h5py for errors of the HDF5 library.
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file for reading, after a check that everything in it is harmless.

    The file is not locked, so that packs on read-only media open too. The caller closes it.

    Raises:
        PackUnsafe: If it has links to elsewhere, external storage, other filters or types, or
            declares far more data than it holds.
        PackCorrupt: If it is not an HDF5 file, truncated or damaged.
        PackError: If there is no such file.
    """
    size, allocated = _check_plain_file(path)
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_sec2()  # the environment variable HDF5_DRIVER must not choose another
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    access.set_file_locking(False, True)
    try:
        file_id = h5f.open(os.fsencode(path), h5f.ACC_RDONLY, access)
        try:
            _Inspection(path, size, allocated).file(file_id)
        except BaseException:
            file_id.close()
            raise
    except HDF5_ERRORS as error:
        raise PackCorrupt(f"{path} is truncated or damaged: {one_line(error)}") from error
    return h5py.File(file_id)


def create_hdf5(path: Path) -> h5py.File:
    """Create or replace an HDF5 file, in the format of HDF5 1.8 (2008), with metadata checksums."""
    return h5py.File(path, "w", libver=("v108", "v108"), locking=False)


def create_group(parent: h5py.Group, name: str) -> h5py.Group:
    """Create a group without timestamps; `name` has no slashes."""
    properties = h5p.create(h5p.GROUP_CREATE)
    properties.set_obj_track_times(False)
    properties.set_attr_phase_change(32, 16)  # up to 32 attributes in the header: small and fast
    return h5py.Group(h5g.create(parent.id, name.encode("utf-8"), gcpl=properties))


def read_attribute(owner: h5py.HLObject, name: str) -> str | int | float:
    """Return an attribute, a single text or number, of an open file. Raises PackCorrupt."""
    key = name.encode("utf-8")
    problem = f"has an attribute {name!r} that is not a single text or number"
    try:
        if not h5a.exists(owner.id, key):
            problem = f"has no attribute {name!r}"
        elif (found := h5a.open(owner.id, key)).get_space().get_simple_extent_type() == h5s.SCALAR:
            buffer = np.empty((), found.dtype)
            found.read(buffer)
            value = buffer[()]
            if isinstance(value, bytes):
                return value.decode("utf-8")
            return value if isinstance(value, str) else value.item()  # type: ignore[no-any-return]
    except HDF5_ERRORS as error:
        problem = f"has an attribute {name!r} that cannot be read: {one_line(error)}"
    raise PackCorrupt(f"{owner.file.filename}: {shown(owner.name)} {problem}")


def one_line(error: BaseException) -> str:
    """Return the text of an error on one line, safe to print: it may quote names from a file."""
    text = " ".join(str(error).split())[:1000]
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _check_plain_file(path: Path) -> tuple[int, int]:
    """Return the size and allocated bytes of a regular file that begins like an HDF5 file."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a FIFO would block
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise PackError(f"{path} is {kind}; give a feature pack (.h5)")
        with path.open("rb") as file:
            start = file.read(len(SIGNATURE))
    except FileNotFoundError as error:
        raise PackError(f"no file {path}; give a feature pack (.h5)") from error
    except OSError as error:
        raise PackError(f"{path} cannot be opened: {one_line(error)}") from error
    if start != SIGNATURE:
        raise PackCorrupt(f"{path} is not an HDF5 file, or damaged; give a feature pack (.h5)")
    # Blocks are 0 on file systems that do not count them.
    return status.st_size, status.st_blocks * 512 or status.st_size


class _Inspection:
    """One walk over a file. Every method raises an error, or finds nothing to refuse."""

    def __init__(self, path: Path, size: int, allocated: int) -> None:
        self.path = path
        self.size = size
        self.allocated = min(size, allocated)
        self.seen: set[int] = set()
        self.declared = 0
        self.stored = 0

    def refuse(self, name: bytes, reason: str) -> NoReturn:
        raise PackUnsafe(f"{self.path}: {shown(name)} {reason}: refused")

    def corrupt(self, name: bytes, reason: str) -> NoReturn:
        raise PackCorrupt(f"{self.path}: {shown(name)} {reason}")

    def file(self, file_id: h5f.FileID) -> None:
        root = h5o.open(file_id, b"/")
        self.seen.add(h5o.get_info(root).addr)
        self.attributes(b"/", root)
        self.group(b"/", root, depth=0)
        self.size_of(b"/", self.declared, min(self.stored, self.allocated))
        if self.stored > self.size:
            self.corrupt(b"/", f"claims {self.stored:,} stored bytes in a file of {self.size:,}")

    def group(self, name: bytes, group: h5g.GroupID, depth: int) -> None:
        if depth > MAX_DEPTH:
            self.refuse(name, f"is more than {MAX_DEPTH} groups deep")
        room = MAX_OBJECTS - len(self.seen)
        links: list[bytes] = []

        def collect(link: bytes) -> bool | None:
            links.append(link)
            return True if len(links) > room else None  # True ends the iteration

        group.links.iterate(collect)
        if len(links) > room:
            self.refuse(name, f"takes the file over {MAX_OBJECTS:,} objects")
        if len(set(links)) != len(links):
            self.refuse(name, "has two links of the same name")
        for link in links:
            self.link(name.rstrip(b"/") + b"/" + link, group, link, depth)

    def link(self, name: bytes, group: h5g.GroupID, link: bytes, depth: int) -> None:
        # A name with a slash would be followed as a path, past links that were not checked.
        if not link or link == b"." or b"/" in link or len(link) > MAX_NAME_BYTES:
            self.refuse(name, "is not a valid name")
        kind = group.links.get_info(link).type
        if kind != h5l.TYPE_HARD:
            kinds = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "an external link"}
            self.refuse(name, f"is {kinds.get(kind, 'a user-defined link')}")
        info = h5o.get_info(group, link)
        if info.addr in self.seen:
            self.refuse(name, "is a second link to the same object")
        self.seen.add(info.addr)
        if info.type == h5o.TYPE_GROUP:
            child = h5o.open(group, link)
            self.attributes(name, child)
            self.group(name, child, depth + 1)
        elif info.type == h5o.TYPE_DATASET:
            child = h5o.open(group, link)
            self.dataset(name, child)
            self.attributes(name, child)
        else:
            self.refuse(name, "is a committed datatype")

    def dataset(self, name: bytes, dataset: h5d.DatasetID) -> None:
        # The layout comes first: asking a virtual dataset for its shape may open other files.
        properties = dataset.get_create_plist()
        layout = properties.get_layout()
        if layout == h5d.VIRTUAL:
            self.refuse(name, "is a virtual dataset")
        if properties.get_external_count():
            self.refuse(name, "has its data in another file (external storage)")
        for index in range(properties.get_nfilters()):
            code = properties.get_filter(index)[0]
            if code not in ALLOWED_FILTERS:
                allowed = ", ".join(ALLOWED_FILTERS.values())
                self.refuse(name, f"uses filter {code}; allowed: {allowed}")
        kind = dataset.get_type()
        if not _is_number(kind):
            self.refuse(name, f"holds {_type_name(kind)}; allowed: plain numbers")
        space = dataset.get_space()
        if space.get_simple_extent_type() not in (h5s.SIMPLE, h5s.SCALAR):
            self.refuse(name, "has no shape")
        item = kind.get_size()
        declared = math.prod(space.get_simple_extent_dims()) * item
        stored = dataset.get_storage_size()
        self.size_of(name, declared, stored)
        if layout == h5d.CHUNKED:
            chunk = math.prod(properties.get_chunk()) * item
            if chunk > MAX_CHUNK_BYTES:
                self.refuse(name, f"has chunks of {chunk:,} bytes; allowed: {MAX_CHUNK_BYTES:,}")
        if stored < declared and not properties.get_nfilters():
            self.corrupt(name, f"lacks data: {stored:,} of {declared:,} bytes are stored")
        self.declared += declared
        self.stored += stored

    def size_of(self, name: bytes, declared: int, stored: int) -> None:
        if declared > BOMB_BYTES and declared > BOMB_RATIO * stored:
            self.refuse(
                name,
                f"declares {declared:,} bytes and stores {stored:,}; allowed: {BOMB_RATIO:,} times "
                "the stored ones or 4 GiB",
            )

    def attributes(self, name: bytes, owner: h5g.GroupID | h5d.DatasetID) -> None:
        count = h5a.get_num_attrs(owner)
        if count > MAX_ATTRIBUTES:
            self.refuse(name, f"has {count:,} attributes; allowed: {MAX_ATTRIBUTES}")
        for index in range(count):
            attribute = h5a.open(owner, index=index)
            named = f"has an attribute {shown(attribute.name)} that"
            kind, space = attribute.get_type(), attribute.get_space()
            is_text = isinstance(kind, h5t.TypeStringID) and not kind.committed()
            if not is_text and not _is_number(kind):
                self.refuse(
                    name, f"{named} holds {_type_name(kind)}; allowed: texts and plain numbers"
                )
            if space.get_simple_extent_type() != h5s.NULL:
                size = math.prod(space.get_simple_extent_dims()) * kind.get_size()
                if size > MAX_ATTRIBUTE_BYTES:
                    self.refuse(
                        name, f"{named} takes {size:,} bytes; allowed: {MAX_ATTRIBUTE_BYTES:,}"
                    )


def _is_number(kind: h5t.TypeID) -> bool:
    return not kind.committed() and any(kind.equal(number) for number in NUMBER_TYPES)


def _type_name(kind: h5t.TypeID) -> str:
    return "a committed datatype" if kind.committed() else CLASSES[kind.get_class()]
