"""Weakly-supervised video anomaly detection, from raw video to frame-level AUC.

This is the public API: the names in `__all__`, listed with their signatures in docs/api.md. A name
is imported when it is first used, so that `import vad_toolkit` is instant. Everything else in the
package may change without notice.
"""

from __future__ import annotations

__version__ = "0.2.0"
