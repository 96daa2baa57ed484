"""A decoder of a plugin is used by name, by "auto", in the decode process and by commands."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.core import registry as plugins
from vad_toolkit.errors import InputError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.video.open import choose_decoder, open_video
from vad_toolkit.video.probe import probe
from vad_toolkit.video.registry import DECODERS, check_options, register_decoder
from vad_toolkit.video.worker import DecodeWorker

# Frames of PyAV with inverted colors, so that they cannot come from a built-in decoder. The plugin
# suits no file but one, and fails on videos called broken.mp4.
PLUGIN = """
from dataclasses import replace
from vad_toolkit.errors import DecodeError
from vad_toolkit.video.backends.pyav import PyAVReader
from vad_toolkit.video.reader import Decoder
from vad_toolkit.video.registry import register_decoder

class InvertedReader(PyAVReader):
    def __init__(self, facts, allow_damaged=0):
        super().__init__(facts, allow_damaged)
        self.info = replace(self.info, decoder="inverted", decoder_version="1.0")

    def chunks(self, size):
        for chunk in super().chunks(size):
            if self.info.path.name == "midway.mp4":
                raise DecodeError(f"{self.info.path}: fails midway")
            yield 255 - chunk

def open_inverted(facts, allow_damaged):
    if facts.path.name == "broken.mp4":
        raise DecodeError(f"{facts.path}: cannot be opened by this decoder")
    return InvertedReader(facts, allow_damaged)

def suits(facts, allow_damaged):
    return facts.path.name in ("chosen.mp4", "broken.mp4", "midway.mp4")

register_decoder("inverted", Decoder(open=open_inverted, suits=suits))
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The plugin's file, loaded in this process and named for child processes."""
    path = tmp_path / "inverted_decoder.py"
    path.write_text(PLUGIN)
    monkeypatch.setenv(plugins.PLUGIN_VARIABLE, "")
    plugins.load_plugin(str(path))
    yield path
    for store in (DECODERS._items, DECODERS._plugins):
        store.pop("inverted", None)
    plugins._loaded.discard(str(path))


def link(video: Path, folder: Path, name: str) -> Path:
    (folder / name).symlink_to(video)
    return folder / name


def test_it_is_used_by_name_here_and_in_the_child(plugin: Path, plain: Path) -> None:
    plain_frames = np.concatenate(list(open_video(plain, "pyav").chunks(16)))
    reader = open_video(str(plain), "inverted")
    np.testing.assert_array_equal(np.concatenate(list(reader.chunks(16))), 255 - plain_frames)
    with DecodeWorker() as worker, worker.stream(str(plain), "inverted") as stream:
        np.testing.assert_array_equal(np.concatenate(list(stream)), 255 - plain_frames)
        assert (stream.info.decoder, stream.info.decoder_version) == ("inverted", "1.0")


def test_auto_asks_it_first_and_falls_back_to_pyav(
    plugin: Path, plain: Path, tmp_path: Path
) -> None:
    assert choose_decoder(probe(plain)) == "pyav"
    chosen = link(plain, tmp_path, "chosen.mp4")
    assert choose_decoder(probe(chosen)) == "inverted"
    assert open_video(chosen).info.decoder == "inverted"
    assert open_video(link(plain, tmp_path, "broken.mp4")).info.decoder == "pyav"
    with DecodeWorker() as worker, pytest.raises(Exception, match="fails midway") as caught:
        list(worker.stream(link(plain, tmp_path, "midway.mp4")))
    assert caught.value.retry == "pyav"  # type: ignore[attr-defined]


def test_damage_is_only_allowed_where_a_decoder_replaces_it(plugin: Path) -> None:
    check_options("inverted", 0)
    check_options("pyav", 3)
    with pytest.raises(InputError, match="decoder inverted cannot replace lost frames"):
        check_options("inverted", 1)


def test_a_decoder_that_only_this_process_knows_is_refused_by_the_child(plain: Path) -> None:
    register_decoder("here-only", DECODERS["pyav"])
    try:
        with DecodeWorker() as worker:
            with pytest.raises(InputError, match=r"unknown decoder 'here-only'.*VAD_PLUGINS"):
                worker.stream(plain, "here-only")
            assert sum(map(len, worker.stream(plain))) == 40
    finally:
        for store in (DECODERS._items, DECODERS._plugins):
            store.pop("here-only")


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(InputError, match="decoder 'pyav' is already registered by vad_toolkit"):
        register_decoder("pyav", DECODERS["decord"])


def test_commands_take_it(
    vad, plugin: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = link(plain, tmp_path, "chosen.mp4")
    probed = vad("--plugin", plugin, "probe", chosen, "--decode", "--json")
    (video,) = json.loads(probed.stdout)["videos"]
    assert (video["decoder"], video["frames_decoded"]) == ("inverted", 40)
    monkeypatch.setenv(plugins.PLUGIN_VARIABLE, os.fspath(plugin))
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    assert vad("weights", "get", "i3d-rgb-random").returncode == 0
    small = ("weights=i3d-rgb-random", "resize=32", "crop_size=32")
    settings = [part for setting in small for part in ("--set", setting)]
    extract = ("extract", plain, "--recipe", "i3d-rgb-center", *settings)
    done = vad(*extract, "--decoder", "inverted", "--out", tmp_path / "a.h5")
    assert done.returncode == 0, done.stderr
    with FeaturePack.open(tmp_path / "a.h5") as pack:
        assert pack.meta("plain").decoder == "inverted"
    refused = vad(*extract, "--decoder", "absent", "--out", tmp_path / "b.h5")
    assert refused.returncode == 2
    assert "unknown decoder 'absent'; available: auto, pyav, decord, pillow" in refused.stderr
