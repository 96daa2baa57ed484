"""Metadata of videos that a benchmark makes up."""

from __future__ import annotations

from vad_toolkit.packs.video import VideoMeta


def video_meta(frames: int) -> VideoMeta:
    """Of a video that no decoder ever saw."""
    return VideoMeta(
        frames=frames,
        frames_reported=frames,
        frames_duplicated=0,
        fps=30.0,
        width=320,
        height=240,
        source_sha256="0" * 64,
        decoder="made by a benchmark",
        decoder_version="1",
    )
