"""Fixtures: packs with one thing in them that must be refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A FIFO that nobody writes to: opening it hangs until the time limit of the test."""
    path = tmp_path / "trap.h5"
    os.mkfifo(path)
    return path


def replace_rgb(file: h5py.File) -> h5py.Group:
    del file["videos/two/rgb"]
    return file["videos/two"]


def external_link(file: h5py.File, trap: Path) -> None:
    file["videos/more"] = h5py.ExternalLink(trap, "/videos/two")


def external_link_for_features(file: h5py.File, trap: Path) -> None:
    replace_rgb(file)["rgb"] = h5py.ExternalLink(trap, "/videos/two/rgb")


def external_link_at_root(file: h5py.File, trap: Path) -> None:
    del file["videos"]
    file["videos"] = h5py.ExternalLink(trap, "/videos")


def soft_link(file: h5py.File, trap: Path) -> None:
    file["videos/more"] = h5py.SoftLink("/videos/two")


def soft_link_to_nothing(file: h5py.File, trap: Path) -> None:
    file["videos/two/flow"] = h5py.SoftLink("/nothing")


def external_storage(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset("rgb", (1, 1, 8), "<f2", external=[(os.fspath(trap), 0, 16)])


def virtual_dataset(file: h5py.File, trap: Path) -> None:
    layout = h5py.VirtualLayout((1, 1, 8), "<f2")
    layout[:] = h5py.VirtualSource(trap, "rgb", (1, 1, 8))
    replace_rgb(file).create_virtual_dataset("rgb", layout)


def virtual_dataset_without_end(file: h5py.File, trap: Path) -> None:
    layout = h5py.VirtualLayout((1, 1, 8), "<f2", maxshape=(None, 1, 8))
    source = h5py.VirtualSource(trap, "rgb", (1, 1, 8), maxshape=(None, 1, 8))
    layout[: h5s.UNLIMITED] = source[: h5s.UNLIMITED]
    replace_rgb(file).create_virtual_dataset("rgb", layout)


def shape_bomb_in_chunks(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset("rgb", (4_000_000, 1, 1024), "<f2", chunks=(16, 1, 1024))


def shape_bomb_in_one_piece(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset("rgb", (4_000_000, 1, 1024), "<f2")


def shape_bomb_in_a_sparse_file(file: h5py.File, trap: Path) -> None:
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5d.FILL_TIME_NEVER)
    space = h5s.create_simple((4_000_000, 1, 1024))
    h5d.create(replace_rgb(file).id, b"rgb", h5t.IEEE_F16LE, space, properties)


def shape_bombs_in_a_crowd(file: h5py.File, trap: Path) -> None:
    group = replace_rgb(file)
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_chunk((16, 1, 1024))
    properties.set_deflate(9)  # the stored size of filtered data cannot be predicted
    for index in range(9):  # each below the limit of one
        space = h5s.create_simple((240_000, 1, 1024))
        h5d.create(group.id, f"s{index}".encode(), h5t.IEEE_F16LE, space, properties)


def chunk_bomb(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset(
        "rgb", (1, 1, 8), "<f2", maxshape=(None, 1, None), chunks=(1 << 16, 1, 1 << 12)
    )


def lzf_filter(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset(
        "rgb", (1, 1, 8), "<f2", data=np.ones((1, 1, 8)), compression="lzf"
    )


def scaleoffset_filter(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset("rgb", (1, 1, 8), "<i2", scaleoffset=4)


def unknown_filter(file: h5py.File, trap: Path) -> None:
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_chunk((1, 1, 8))
    properties.set_filter(32_099, 1)  # optional, so that the library writes it without having it
    space = h5s.create_simple((1, 1, 8))
    h5d.create(replace_rgb(file).id, b"rgb", h5t.IEEE_F16LE, space, properties)


def text_features(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset("rgb", (1, 1, 8), h5py.string_dtype())


def compound_features(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset("rgb", (1, 1, 8), [("x", "<f2"), ("y", "<f2")])


def reference_features(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset("rgb", (1, 1, 8), h5py.ref_dtype)


def sequence_features(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset("rgb", (1, 1, 8), h5py.vlen_dtype(np.float16))


def opaque_features(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset("rgb", (1, 1, 8), np.dtype("V16"))


def odd_floats(file: h5py.File, trap: Path) -> None:
    kind = h5t.IEEE_F16LE.copy()
    kind.set_ebias(7)
    h5d.create(replace_rgb(file).id, b"rgb", kind, h5s.create_simple((1, 1, 8)))


def committed_datatype(file: h5py.File, trap: Path) -> None:
    file["videos/kind"] = np.dtype("<f2")


def null_dataset(file: h5py.File, trap: Path) -> None:
    replace_rgb(file).create_dataset("rgb", data=h5py.Empty("<f2"))


def reference_attribute(file: h5py.File, trap: Path) -> None:
    file["videos/two"].attrs["frames"] = file["videos"].ref


def boolean_attribute(file: h5py.File, trap: Path) -> None:
    file["videos/two"].attrs["flag"] = True


def huge_attribute(file: h5py.File, trap: Path) -> None:
    file["videos/two"].attrs["fps"] = np.zeros(1 << 18)


def many_attributes(file: h5py.File, trap: Path) -> None:
    for index in range(65):
        file["videos/two"].attrs[f"a{index}"] = index


def second_hard_link(file: h5py.File, trap: Path) -> None:
    file["videos/more"] = file["videos/two"]


def cycle(file: h5py.File, trap: Path) -> None:
    file["videos/two/loop"] = file["videos"]


def deep_groups(file: h5py.File, trap: Path) -> None:
    file.create_group("videos/" + "/".join("d" * 70))


HOSTILE: dict[str, tuple[Callable[[h5py.File, Path], None], str]] = {
    make.__name__: (make, match)
    for make, match in (
        (external_link, r"'/videos/more' is an external link: refused"),
        (external_link_for_features, r"'/videos/two/rgb' is an external link: refused"),
        (external_link_at_root, r"'/videos' is an external link: refused"),
        (soft_link, r"'/videos/more' is a soft link: refused"),
        (soft_link_to_nothing, r"'/videos/two/flow' is a soft link: refused"),
        (external_storage, r"'/videos/two/rgb' has its data in another file"),
        (virtual_dataset, r"'/videos/two/rgb' is a virtual dataset"),
        (virtual_dataset_without_end, r"'/videos/two/rgb' is a virtual dataset"),
        (shape_bomb_in_chunks, r"declares 8,192,000,000 bytes and stores 0; allowed: 1,000"),
        (shape_bomb_in_one_piece, r"declares 8,192,000,000 bytes and stores 0"),
        (shape_bomb_in_a_sparse_file, r"'/' declares 8,192,\d+,\d+ bytes and stores"),
        (shape_bombs_in_a_crowd, r"'/' declares 4,423,\d+,\d+ bytes and stores"),
        (chunk_bomb, r"has chunks of 536,870,912 bytes; allowed: 268,435,456"),
        (lzf_filter, r"uses filter 32000; allowed: deflate, shuffle, fletcher32"),
        (scaleoffset_filter, r"uses filter 6; allowed:"),
        (unknown_filter, r"uses filter 32099; allowed:"),
        (text_features, r"holds texts; allowed: plain numbers"),
        (compound_features, r"holds a compound type"),
        (reference_features, r"holds references"),
        (sequence_features, r"holds sequences of variable length"),
        (opaque_features, r"holds opaque bytes"),
        (odd_floats, r"holds unusual floats"),
        (committed_datatype, r"'/videos/kind' is a committed datatype"),
        (null_dataset, r"'/videos/two/rgb' has no shape"),
        (reference_attribute, r"has an attribute 'frames' that holds references"),
        (boolean_attribute, r"has an attribute 'flag' that holds an enumeration"),
        (huge_attribute, r"has an attribute 'fps' that takes 2,097,152 bytes"),
        (many_attributes, r"has \d+ attributes; allowed: 64"),
        (second_hard_link, r"is a second link to the same object"),
        (cycle, r"'/videos/two/loop' is a second link to the same object"),
        (deep_groups, r"is more than 64 groups deep"),
    )
}


@pytest.fixture(params=HOSTILE)
def hostile_pack(request: pytest.FixtureRequest, good_pack: Path, trap: Path) -> tuple[Path, str]:
    """A pack with one thing in it that is refused, and the pattern of the error message."""
    make, match = HOSTILE[request.param]
    path = good_pack.rename(good_pack.with_name("hostile.h5"))
    with h5py.File(path, "r+", libver=("v108", "v114")) as file:
        make(file, trap)
    return path, match
