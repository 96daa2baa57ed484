"""Opening HDF5 files: good ones, refused ones, and no access to any other file."""

from __future__ import annotations

import fcntl
from pathlib import Path

import h5py
import numpy as np
import pytest

from vad_toolkit.core.ids import shown
from vad_toolkit.errors import PackCorrupt, PackError, PackUnsafe
from vad_toolkit.packs import hdf5
from vad_toolkit.packs.hdf5 import create_group, create_hdf5, open_hdf5, read_attribute


@pytest.fixture
def plain_file(tmp_path: Path) -> Path:
    """An HDF5 file in the oldest format, whose metadata has no checksums."""
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        file.create_group("one_x")
        file.create_group("one_y")
    return path


def patch(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


def test_hostile_files_are_refused(hostile_pack: tuple[Path, str]) -> None:
    path, match = hostile_pack
    with pytest.raises(PackUnsafe, match=match) as caught:
        open_hdf5(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_good_file_is_opened_and_read(good_pack: Path) -> None:
    with open_hdf5(good_pack) as file:
        assert file["videos/two/rgb"].shape == (1, 1, 8)
        assert file.mode == "r"


@pytest.mark.parametrize("libver", ["earliest", "v108", "v110", "latest"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (2, 1, 4), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": (3, 1, 4), "maxshape": (None, 1, 4)},
    ],
    ids=["contiguous", "filtered", "growing"],
)
def test_what_other_programs_write_is_opened(
    tmp_path: Path, libver: str, options: dict[str, object]
) -> None:
    path = tmp_path / "other.h5"
    values = np.arange(20, dtype=">f4").reshape(5, 1, 4)
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("a/b", data=values, **options)
        file.attrs["fixed"] = np.bytes_("text")
        file.attrs["text"] = "tëxt"
        file.attrs["list"] = [1, 2, 3]
        file.attrs["nothing"] = h5py.Empty("f4")
        file.create_dataset("none", shape=(0, 3), dtype="i8", maxshape=(None, 3))
        file.create_dataset("single", data=7)
    with open_hdf5(path) as file:
        np.testing.assert_array_equal(file["a/b"][:], values)


def test_lock_of_somebody_else_does_not_matter(good_pack: Path) -> None:
    with good_pack.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with open_hdf5(good_pack) as file:
            assert "videos" in file


def test_file_without_write_permission_is_opened(good_pack: Path) -> None:
    good_pack.chmod(0o444)
    with open_hdf5(good_pack) as file:
        assert "videos" in file


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"no file .*none\.h5; give a feature pack"):
        open_hdf5(tmp_path / "none.h5")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="is a folder; give a feature pack"):
        open_hdf5(tmp_path)


def test_fifo_is_not_opened(trap: Path) -> None:
    with pytest.raises(PackError, match="is not a regular file"):
        open_hdf5(trap)


@pytest.mark.parametrize("content", [b"", b"\x89HDF", b"just a text\n" * 100])
def test_other_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.h5"
    path.write_bytes(content)
    with pytest.raises(PackCorrupt, match="is not an HDF5 file, or damaged"):
        open_hdf5(path)


def test_signature_and_nothing_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "short.h5"
    path.write_bytes(hdf5.SIGNATURE + b"\0" * 500)
    with pytest.raises(PackCorrupt, match="truncated or damaged"):
        open_hdf5(path)


def test_every_cut_is_noticed(good_pack: Path) -> None:
    data = good_pack.read_bytes()
    for length in range(8, len(data), 97):
        good_pack.write_bytes(data[:length])
        with pytest.raises(PackCorrupt, match="damaged") as caught:
            open_hdf5(good_pack)
        assert "\n" not in str(caught.value)


def test_missing_data(good_pack: Path) -> None:
    with h5py.File(good_pack, "r+") as file:
        del file["videos/two/rgb"]
        file.create_dataset("videos/two/rgb", (1, 1, 8), "<f2", chunks=(1, 1, 8))
    with pytest.raises(PackCorrupt, match=r"'/videos/two/rgb' lacks data: 0 of 16 bytes"):
        open_hdf5(good_pack)


def test_name_that_is_a_path(plain_file: Path) -> None:
    with open_hdf5(plain_file) as file:
        assert sorted(file) == ["one_x", "one_y"]
    patch(plain_file, b"one_x\0", b"one/x\0")
    with pytest.raises(PackUnsafe, match="is not a valid name"):
        open_hdf5(plain_file)


def test_two_links_of_one_name(plain_file: Path) -> None:
    patch(plain_file, b"one_y\0", b"one_x\0")
    with pytest.raises(PackUnsafe, match="has two links of the same name"):
        open_hdf5(plain_file)


def test_name_too_long(plain_file: Path) -> None:
    with h5py.File(plain_file, "r+") as file:
        file.create_group("x" * 1025)
    with pytest.raises(PackUnsafe, match="is not a valid name") as caught:
        open_hdf5(plain_file)
    assert len(str(caught.value)) < 600


def test_user_defined_link(plain_file: Path, trap: Path) -> None:
    with h5py.File(plain_file, "r+", libver="earliest") as file:
        file["strange"] = h5py.ExternalLink(trap, "/")
    data = bytearray(plain_file.read_bytes())
    kind = data.index(b"\x40", data.index(b"strange") - 12)  # before the name: flags, 64, ...
    data[kind] = 99
    plain_file.write_bytes(data)
    with pytest.raises(PackUnsafe, match="'/strange' is a user-defined link"):
        open_hdf5(plain_file)


def test_too_many_objects(plain_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "MAX_OBJECTS", 2)
    with pytest.raises(PackUnsafe, match="takes the file over 2 objects"):
        open_hdf5(plain_file)


def test_damage_is_told_in_one_line(plain_file: Path) -> None:
    data = plain_file.read_bytes().replace(b"TREE", b"EERT")
    plain_file.write_bytes(data)
    with pytest.raises(PackCorrupt, match="is truncated or damaged") as caught:
        open_hdf5(plain_file)
    assert "\n" not in str(caught.value)


def test_refused_file_is_closed(plain_file: Path) -> None:
    with h5py.File(plain_file, "r+") as file:
        file["soft"] = h5py.SoftLink("/one_x")
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(PackUnsafe):
        open_hdf5(plain_file)
    assert len(set(Path("/proc/self/fd").iterdir())) == len(before)


def test_attributes_are_read_as_plain_values(tmp_path: Path) -> None:
    path = tmp_path / "attributes.h5"
    with create_hdf5(path) as file:
        group = create_group(file, "g")
        group.attrs.update({"text": "tëxt", "fixed": np.bytes_("abc"), "whole": 3, "number": 2.5})
    with open_hdf5(path) as file:
        values = [read_attribute(file["g"], name) for name in ("text", "fixed", "whole", "number")]
    assert values == ["tëxt", "abc", 3, 2.5]
    assert [type(value) for value in values] == [str, str, int, float]


def test_attributes_that_are_not_single_values(tmp_path: Path) -> None:
    path = tmp_path / "attributes.h5"
    with h5py.File(path, "w") as file:
        file.attrs["list"] = [1, 2]
        file.attrs["nothing"] = h5py.Empty("f8")
        file.attrs["latin"] = np.bytes_(b"t\xebxt")
    with open_hdf5(path) as file:
        for name in ("list", "nothing"):
            with pytest.raises(PackCorrupt, match=rf"'{name}' that is not a single text or number"):
                read_attribute(file, name)
        with pytest.raises(PackCorrupt, match=r"'latin' that cannot be read: 'utf-8' codec"):
            read_attribute(file, "latin")
        with pytest.raises(PackCorrupt, match=r"attributes\.h5: '/' has no attribute 'other'"):
            read_attribute(file, "other")


def test_names_are_shown_without_control_characters() -> None:
    assert shown(b"a\x1b[31m\n\xff") == r"'a\x1b[31m\n\\xff'"
    assert len(shown("x" * 5000)) < 220
