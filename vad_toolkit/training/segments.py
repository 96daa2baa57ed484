"""A video of any length as T segments, each the mean of its snippets (Sultani et al., 2018)."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray


def segment_edges(snippets: int, segments: int) -> NDArray[np.int64]:
    """The T + 1 edges floor(i * L / T).

    Segment i is [edge i, edge i+1), and the one snippet at edge i where that is empty. Whole
    numbers of 64 bits throughout: exact at any length.
    """
    return np.arange(segments + 1, dtype=np.int64) * snippets // segments


def segment_means(features: NDArray[np.floating], segments: int) -> NDArray[np.float32]:
    """Features (L, C, D), L >= 1 -> (T, C, D) float32, sums taken in float32."""
    edges = segment_edges(len(features), segments)
    means = np.empty((segments, *features.shape[1:]), dtype=np.float32)
    for i, (start, stop) in enumerate(itertools.pairwise(edges.tolist())):
        part = features[start : max(stop, start + 1)]
        np.mean(part, axis=0, dtype=np.float32, out=means[i])
    return means
