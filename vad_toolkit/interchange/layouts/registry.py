"""Registry of feature-file layouts, and recognition of the layout of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vad_toolkit.core.registry import Registry
from vad_toolkit.errors import InputError

if TYPE_CHECKING:
    from vad_toolkit.interchange.layouts.layout import Layout

# Recognition tries the layouts in this order, plugins last.
LAYOUTS: Registry[type[Layout]] = Registry(
    "layout",
    {
        "rtfm": "vad_toolkit.interchange.layouts.published:Rtfm",
        "per-crop": "vad_toolkit.interchange.layouts.published:PerCrop",
        "ten-first": "vad_toolkit.interchange.layouts.published:TenFirst",
        "video-features": "vad_toolkit.interchange.layouts.published:VideoFeaturesLayout",
        "sultani": "vad_toolkit.interchange.layouts.published:Sultani",
    },
)


def register_layout(name: str, layout: type[Layout]) -> None:
    """Add a layout of feature files, for `vad pack import`, `export` and `compare`.

    Args:
        name: The name that `--layout` takes.
        layout: A subclass of `vad_toolkit.interchange.layouts.layout.Layout`.

    Raises:
        InputError: If the name is taken.

    Example:
        >>> from vad_toolkit.interchange.layouts.published import Rtfm
        >>> class Flat(Rtfm):
        ...     def file_names(self, video, stream, crops):
        ...         return [f"{video}.npy"]
        >>> register_layout("flat", Flat)
    """
    LAYOUTS.register(name, layout)


def find_layout(name: str) -> Layout:
    """Return the layout called `name`. Raises InputError if there is none."""
    return LAYOUTS[name](name, _layouts_with_shape)


def _layouts_with_shape(shape: tuple[int, ...], suffix: str) -> list[str]:
    return [
        name
        for name, layout in LAYOUTS.items()
        if suffix.lower() in layout.suffixes and layout(name).has_shape(shape)
    ]


def feature_suffixes() -> tuple[str, ...]:
    """Return the suffixes of feature files of all layouts, sorted."""
    return tuple(sorted({suffix for _, layout in LAYOUTS.items() for suffix in layout.suffixes}))


def guess_layout(paths: Sequence[Path]) -> Layout:
    """Return the layout of feature files, at least one, recognized by their names, else shapes.

    Raises:
        InputError: If a file cannot be read, or no layout has arrays of the first file's shape.
    """
    from vad_toolkit.interchange.layouts.array_file import ArrayFile

    layouts = [find_layout(name) for name in LAYOUTS]
    names = [path.name for path in paths]
    for layout in layouts:
        if layout.has_names(names):
            return layout
    shape = ArrayFile(paths[0]).shape
    fitting = [layout for layout in layouts if layout.has_shape(shape)]
    if not fitting:
        raise InputError(
            f"{paths[0]} has shape {shape}, which no layout has; available: {', '.join(LAYOUTS)}"
        )
    for layout in fitting:
        # One video may by chance have as many snippets as there are segments, but not all videos.
        some = paths[:20] if layout.spans == "segments" else []
        if len(some) > 1 and all(layout.has_shape(ArrayFile(path).shape) for path in some):
            return layout
    return fitting[0]
