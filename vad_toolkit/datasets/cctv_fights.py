"""CCTV fights: the Surveillance Camera Fight Dataset (Akti, Tataroglu, Ekenel, IPTA 2019).

Clips of a few seconds, cut from videos of the web, each labelled as a whole by its folder: `fight/`
or `noFight/`. The shipped split divides source videos, never their clips: TEST_FRACTION by the rule
of `split_by_source` with SPLIT_SEED, over all clips at once. Clips whose source the owners do not
list stay in train.
"""

from __future__ import annotations

from pathlib import Path

from vad_toolkit.datasets.binding import Binding, bind
from vad_toolkit.datasets.shipped import shipped_dataset
from vad_toolkit.progress import ProgressCallback, silent

NAME = "cctv-fights"
TEST_FRACTION = 0.3
SPLIT_SEED = 0


def bind_cctv_fights(
    root: Path,
    *,
    count: bool = False,
    timeout_seconds: float = 60.0,
    progress: ProgressCallback = silent,
) -> Binding:
    """Look for the clips in ROOT/fight and ROOT/noFight; `Binding.build` gives the manifests.

    Args:
        root: the folder of raw videos.
        count: compare decoded frames, not the containers' numbers.
        timeout_seconds: how long a decoder may give no frame.
        progress: called after each video.

    Raises:
        InputError: `root` is not a folder.
        ManifestError: two files of the folder have one id.
    """
    return bind(
        shipped_dataset(NAME),
        root,
        count=count,
        timeout_seconds=timeout_seconds,
        progress=progress,
    )
