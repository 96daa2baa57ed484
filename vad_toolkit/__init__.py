"""Weakly-supervised video anomaly detection, from raw video to frame-level AUC.

The public API consists of the names in `__all__`, which `__init__.pyi` lists and docs/api.md
describes. A name is imported when it is first used, so that `import vad_toolkit` is instant.
Everything else in the package may change without notice.
"""

from __future__ import annotations

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
