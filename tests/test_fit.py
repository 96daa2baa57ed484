"""Whether a pack holds a manifest's videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.fit import pack_problems
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.video import VideoFeatures, VideoMeta
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import load_recipe


def test_problems_name_their_video(tmp_path: Path) -> None:
    features = VideoFeatures(
        VideoMeta(20, 20, 0, 25.0, 32, 32, "0" * 64, "pyav", "1"),
        {"rgb": np.ones((2, 1, 4), np.float16)},
    )
    write_pack(tmp_path / "x.h5", load_recipe("i3d-rgb-center"), [("a", features)], dataset="x")
    good = Entry(id="a", path="a.mp4", label=1, frames=20, events=((0, 20),))
    bad = (
        good.model_copy(update={"frames": 21, "events": None}),
        good.model_copy(update={"id": "b"}),
    )
    with FeaturePack.open(tmp_path / "x.h5") as pack:
        assert pack_problems(Manifest((good,), "x"), pack) == []
        assert pack_problems(Manifest(bad, "x"), pack) == [
            "video 'a': 21 frames in the manifest, 20 in the pack",
            "video 'a': abnormal, and its events are not known",
            "video 'b': in the manifest, but not in the pack",
        ]
        assert len(pack_problems(Manifest(bad, "x"), pack, needs_events=False)) == 2
