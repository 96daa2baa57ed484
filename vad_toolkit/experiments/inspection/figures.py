"""Figures of an evaluation that take another pass over the features: asked for, not made always.

figures/similarity.png     similarity inside normal videos, and between the top K of normal and of
                           abnormal ones: before training, perhaps of another run, and now
figures/similarity.json    what the picture compares, medians and shares
figures/similarity.npz     every video's and every pair's similarity
figures/interaction/<id>.png, <id>.npz
                           of a CLAV + CoMo network with attention: who takes from whom in the
                           interaction space, beside the video's scores
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vad_toolkit.core.files import sha256_file, write_arrays, write_json
from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.experiments.inspection.interaction import (
    Interaction,
    trace_interaction,
    why_no_interaction,
)
from vad_toolkit.experiments.inspection.plot_interaction import plot_interaction
from vad_toolkit.experiments.inspection.similarity import (
    Similarity,
    VideoDirections,
    compare_videos,
    top_snippets,
    video_directions,
)
from vad_toolkit.models.base import MilModel
from vad_toolkit.models.clav_como.options import ClavComoConfig
from vad_toolkit.models.early_fusion import join
from vad_toolkit.plots.distributions import Distribution, Panel, plot_distributions
from vad_toolkit.training.checkpoint import Checkpoint, find_runs, initial_model, load_checkpoint

FOLDER = "figures"
SHOWN_VIDEOS = 3  # of which the interaction is drawn, where none are named
SIMILARITY_BINS = np.linspace(-1, 1, 101)
BEFORE, COMPARED, EVALUATED = "before training", "compared run", "this run"
INSIDE, ACROSS = "inside normal videos", "top K of normal and abnormal videos"


@dataclass(frozen=True)
class FigureRequest:
    """What is to be drawn.

    Attributes:
        compare: a run to set beside this one in the figure of similarities, as one trained without
            relative distance; of several seeds the one of equal name.
        videos: ids of those whose interaction is drawn; by default the abnormal videos with most
            frames.
    """

    compare: Path | None = None
    videos: tuple[str, ...] = ()

    def of_seed(self, name: str) -> FigureRequest:
        """What is to be drawn of the seed whose folder has this name, "" for a single run.

        Raises:
            InputError: the run to compare with has seeds, and not this one.
        """
        if self.compare is None:
            return self
        runs = {path.name: path for path in find_runs(self.compare)}
        if list(runs.values()) == [self.compare]:
            return self
        if name not in runs:
            raise InputError(
                f"--compare {self.compare} holds {', '.join(runs)}, and not "
                f"{name or 'a single run'}: name one of them"
            )
        return replace(self, compare=runs[name])


@dataclass(frozen=True, eq=False)
class Shown:
    """A video with its interaction."""

    video: ScoredVideo
    fps: float | None
    snippet_scores: NDArray[np.float32]
    interaction: Interaction


@dataclass(frozen=True, eq=False)
class Figures:
    """What was measured for the figures, nothing of it drawn yet.

    Attributes:
        facts: of similarity.json, without the numbers.
        similarity: by network, the evaluated one last; empty where a label has no videos.
        ids: of the normal and of the abnormal videos, in the order of similarities.
        shown: videos with their interaction.
        notes: what could not be drawn, and why.
    """

    facts: Mapping[str, Any]
    similarity: Mapping[str, Similarity]
    ids: tuple[tuple[str, ...], tuple[str, ...]]
    shown: tuple[Shown, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Network:
    """One side of the comparison of similarities."""

    name: str
    model: MilModel
    checkpoint: Checkpoint  # decides the streams


class Inspector:
    """Sees every video of an evaluation once, and keeps what the figures need."""

    def __init__(
        self,
        request: FigureRequest,
        checkpoint: Checkpoint,
        manifest: Manifest,
        labels: Mapping[str, NDArray[np.uint8]],
        device: torch.device,
    ) -> None:
        """Raises InputError for videos to show that the manifest lacks, or a network without."""
        self.checkpoint, self.device = checkpoint, device
        self.compared: Checkpoint | None = None
        self._networks = [_Network(BEFORE, initial_model(checkpoint), checkpoint)]
        if request.compare is not None:
            self.compared = load_checkpoint(request.compare, device)
            self._networks.append(_Network(COMPARED, self.compared.model, self.compared))
        self._networks.append(_Network(EVALUATED, checkpoint.model, checkpoint))
        self._directions: dict[tuple[str, int], list[VideoDirections]] = {
            (network.name, label): [] for network in self._networks for label in (0, 1)
        }
        self._ids: tuple[list[str], list[str]] = ([], [])
        self._shown: list[Shown] = []
        self._reason = why_no_interaction(checkpoint.model)
        self._to_show = _choose(request, manifest, labels, self._reason, checkpoint)

    def see(
        self,
        video: ScoredVideo,
        streams: Mapping[str, NDArray[np.float16]],
        snippet_scores: NDArray[np.float32],
        fps: float | None,
    ) -> None:
        """Take what the figures need of one scored video.

        Args:
            streams: its features, (N, C, D) a stream.
            snippet_scores: (N,).
        """
        self._ids[video.label].append(video.id)
        selection = top_snippets(snippet_scores, self.checkpoint.model.top_divisor)
        for network in self._networks:
            features = join(streams, network.checkpoint.config.data.streams)
            directions = video_directions(network.model, features, selection, self.device)
            self._directions[network.name, video.label].append(directions)
        if video.id in self._to_show:
            features = join(streams, self.checkpoint.config.data.streams)
            interaction = trace_interaction(self.checkpoint.model, features, self.device)
            self._shown.append(Shown(video, fps, snippet_scores, interaction))

    def figures(self) -> Figures:
        """What was seen, once all videos were."""
        notes = []
        similarity = {}
        if all(self._ids):
            similarity = {
                network.name: compare_videos(*(self._directions[network.name, i] for i in (0, 1)))
                for network in self._networks
            }
        else:
            notes.append("similarity: the test set has no videos of one label")
        if self._reason:
            notes.append(f"interaction: {self._reason}")
        elif not self._to_show:
            notes.append("interaction: there are no abnormal videos; name one by --video")
        normal, abnormal = self._ids
        return Figures(
            facts=self._facts(),
            similarity=similarity,
            ids=(tuple(normal), tuple(abnormal)),
            shown=tuple(self._shown),
            notes=tuple(notes),
        )

    def _facts(self) -> dict[str, Any]:
        config = self.checkpoint.config
        compared = self.compared and {
            "file": str(self.compared.path),
            "sha256": sha256_file(self.compared.path),
            "step": self.compared.step,
            "seed": self.compared.seed,
        }
        return {
            "compared_run": compared,
            "top_divisor": self.checkpoint.model.top_divisor,
            "margin": config.losses.margin if isinstance(config, ClavComoConfig) else 0.0,
        }


def _choose(
    request: FigureRequest,
    manifest: Manifest,
    labels: Mapping[str, NDArray[np.uint8]],
    reason: str | None,
    checkpoint: Checkpoint,
) -> frozenset[str]:
    """Ids of the videos whose interaction is drawn."""
    known = {entry.id for entry in manifest}
    for id in request.videos:
        if id not in known:
            raise InputError(f"--video {id}: there is no such video in the test manifest")
    if reason:
        if request.videos:
            raise InputError(f"--video {request.videos[0]}: {checkpoint.path}: {reason}")
        return frozenset()

    def longest_first(entry: Entry) -> tuple[int, str]:
        return -len(labels[entry.id]), entry.id

    longest = sorted(manifest.abnormal, key=longest_first)[:SHOWN_VIDEOS]
    return frozenset(request.videos or [entry.id for entry in longest])


def write_figures(folder: Path, figures: Figures) -> None:
    """Write all of them into `folder`, which may be new."""
    if figures.similarity:
        _write_similarity(folder, figures)
    for shown in figures.shown:
        _write_interaction(folder / "interaction" / shown.video.id, shown)


def _write_similarity(folder: Path, figures: Figures) -> None:
    margin = figures.facts["margin"]
    normal, abnormal = figures.ids
    arrays: dict[str, NDArray[Any]] = {
        "normal_ids": np.array(normal),
        "abnormal_ids": np.array(abnormal),
    }
    networks, panels = [], []
    for name, similarity in figures.similarity.items():
        key = name.replace(" ", "_")
        arrays[f"{key}_inside"], arrays[f"{key}_across"] = similarity.inside, similarity.across
        share = similarity.share_apart(margin)
        medians = [float(np.median(values)) for values in (similarity.inside, similarity.across)]
        networks.append(
            {
                "network": name,
                "median_inside": medians[0],
                "median_across": medians[1],
                "share_apart": share,
            }
        )
        panels.append(
            Panel(
                name,
                f"{share:.1%} of the pairs: $C_{{top}} < C_n{f' - {margin:g}' if margin else ''}$",
                tuple(
                    Distribution(label, np.histogram(values, SIMILARITY_BINS)[0], median)
                    for label, values, median in zip(
                        (f"$C_n$: {INSIDE}", f"$C_{{top}}$: {ACROSS}"),
                        (similarity.inside, similarity.across),
                        medians,
                        strict=True,
                    )
                ),
            )
        )
    plot_distributions(
        folder / "similarity.png",
        SIMILARITY_BINS,
        panels,
        x_label="cosine similarity of features",
        y_label="share",
    )
    write_arrays(folder / "similarity.npz", arrays)
    write_json(
        folder / "similarity.json",
        {
            **figures.facts,
            "definitions": {
                "inside": f"C_n, {INSIDE}: mean cosine of any two snippets, mean over crops",
                "across": f"C_top, {ACROSS}: mean cosine of any two, mean over crops; K = "
                "max(1, snippets // top_divisor), chosen by the scores of this run for all",
                "share_apart": "share of the pairs of videos in which C_top < C_n - margin",
            },
            "networks": networks,
        },
    )


def _write_interaction(base: Path, shown: Shown) -> None:
    video, interaction = shown.video, shown.interaction
    write_arrays(
        base.with_name(f"{base.name}.npz"),
        {
            "frame_scores": video.scores,
            "frame_labels": video.labels,
            "snippet_scores": shown.snippet_scores,
            **{f"reading_{name}": array for name, array in interaction.reading.items()},
            **{f"attention_of_{name}": array for name, array in interaction.attention.items()},
        },
    )
    plot_interaction(
        base.with_name(f"{base.name}.png"),
        video.scores,
        video.labels,
        interaction.reading,
        interaction.attention,
        fps=shown.fps,
        title=video.id,
    )
