"""All layouts, by name."""

from __future__ import annotations

from collections.abc import Mapping

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.layout import Layout
from vad_toolkit.interchange.layouts.per_crop import PerCrop
from vad_toolkit.interchange.layouts.rtfm import Rtfm
from vad_toolkit.interchange.layouts.sultani import Sultani
from vad_toolkit.interchange.layouts.ten_first import TenFirst
from vad_toolkit.interchange.layouts.video_features import VideoFeaturesLayout

LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (Rtfm(), PerCrop(), TenFirst(), VideoFeaturesLayout(), Sultani())
}


def find_layout(name: str) -> Layout:
    """A layout by its name. InputError where there is none."""
    if name not in LAYOUTS:
        raise InputError(f"no layout {name!r}; there are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]
