"""Figures of an evaluation that need further forward passes, written on request.

figures/similarity.png     similarity within normal videos, and between the top K of normal and of
                           abnormal ones: before training, optionally of another run, and now
figures/similarity.json    the compared networks with medians and shares
figures/similarity.npz     the similarities of every video and every pair
figures/interaction/<id>.png, <id>.npz
                           for a CLAV + CoMo network with attention: which node takes from which in
                           the interaction space, next to the scores of the video
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vad_toolkit.core.files import sha256_file, write_arrays, write_json
from vad_toolkit.datasets.manifest import Manifest
from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.score import SharedFeatures, check_features
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
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.plots.distributions import Distribution, Panel, plot_distributions
from vad_toolkit.training.checkpoint import Checkpoint, find_runs, initial_model, load_checkpoint

FOLDER = "figures"
SHOWN_VIDEOS = 3  # of which the interaction is drawn by default
SIMILARITY_BINS = np.linspace(-1, 1, 101)
BEFORE, COMPARED, EVALUATED = "before training", "compared run", "this run"
WITHIN, ACROSS = "inside normal videos", "top K of normal and abnormal videos"


@dataclass(frozen=True)
class FigureRequest:
    """Choice of figures; `evaluate` takes it as `figures`.

    Attributes:
        compare: A run to show next to the evaluated one in the figure of similarities, for example
            one that was trained without relative distance. If it has several seeds, each seed is
            compared with the seed of the same name.
        videos: Ids of the videos whose interaction is drawn; by default the three longest abnormal
            ones.
    """

    compare: str | os.PathLike[str] | None = None
    videos: tuple[str, ...] = ()

    def observe(
        self,
        name: str,
        checkpoint: Checkpoint,
        pack: FeaturePack,
        manifest: Manifest,
        labels: Mapping[str, NDArray[np.uint8]],
        device: torch.device,
    ) -> Inspector:
        """Return the observer that measures what the figures show.

        Raises:
            InputError: If the compared run does not have this seed, a video is not in the manifest,
                or videos are named and the network has no interaction to draw.
            PackError: If the compared run was trained on features of a different recipe.
        """
        compared = None
        if self.compare is not None:
            compared = load_checkpoint(self._compared_run(Path(self.compare), name), device)
            check_features(compared, pack)
        reason = why_no_interaction(checkpoint.model)
        for id in self.videos:
            if id not in manifest.by_id:
                raise InputError(f"--video {id}: not in the test manifest; give the id of a video")
            if reason:
                raise InputError(f"--video {id}: {checkpoint.path}: {reason}")
        shown = self.videos
        if not shown and not reason:
            longest = sorted(
                manifest.abnormal, key=lambda entry: (-len(labels[entry.id]), entry.id)
            )
            shown = tuple(entry.id for entry in longest[:SHOWN_VIDEOS])
        return Inspector(checkpoint, compared, shown, reason, device)

    def _compared_run(self, run: Path, name: str) -> Path:
        runs = {path.name: path for path in find_runs(run)}
        if list(runs.values()) == [run]:
            return run
        if name not in runs:
            raise InputError(
                f"--compare {run} has {', '.join(runs)} but not {name or 'a single run'}; give the "
                "folder of one of them"
            )
        return runs[name]


@dataclass(frozen=True, eq=False)
class Shown:
    """A scored video and its interaction."""

    video: ScoredVideo
    fps: float | None
    snippet_scores: NDArray[np.float32]
    interaction: Interaction


@dataclass(frozen=True)
class _Network:
    """One of the networks whose similarities are compared."""

    name: str
    model: MilModel
    checkpoint: Checkpoint  # determines the modality


class Inspector:
    """Observer of an evaluation that measures similarities and interactions, and draws them."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        compared: Checkpoint | None,
        shown: Sequence[str],
        reason: str | None,
        device: torch.device,
    ) -> None:
        """Prepare the networks.

        Args:
            checkpoint: The evaluated checkpoint.
            compared: Another checkpoint whose similarities are shown too.
            shown: Ids of the videos whose interaction is drawn.
            reason: Why the network has no interaction to draw; None if it has.
            device: Device of the forward passes.
        """
        self.checkpoint, self.compared, self.device = checkpoint, compared, device
        self._networks = [_Network(BEFORE, initial_model(checkpoint), checkpoint)]
        if compared is not None:
            self._networks.append(_Network(COMPARED, compared.model, compared))
        self._networks.append(_Network(EVALUATED, checkpoint.model, checkpoint))
        self._directions: dict[tuple[str, int], list[VideoDirections]] = {
            (network.name, label): [] for network in self._networks for label in (0, 1)
        }
        self._ids: tuple[list[str], list[str]] = ([], [])
        self._to_show, self._reason = frozenset(shown), reason
        self._shown: list[Shown] = []

    def see(
        self,
        video: ScoredVideo,
        features: SharedFeatures,
        snippet_scores: NDArray[np.float32],
        fps: float | None,
    ) -> None:
        """Measure one scored video; snippet scores are (N,)."""
        self._ids[video.label].append(video.id)
        selection = top_snippets(snippet_scores, self.checkpoint.model.top_divisor)
        for network in self._networks:
            part = features.of(network.checkpoint.config.data.streams)
            directions = video_directions(network.model, part, selection, self.device)
            self._directions[network.name, video.label].append(directions)
        if video.id in self._to_show:
            part = features.of(self.checkpoint.config.data.streams)
            interaction = trace_interaction(self.checkpoint.model, part, self.device)
            self._shown.append(Shown(video, fps, snippet_scores, interaction))

    @property
    def notes(self) -> tuple[str, ...]:
        """Which figures cannot be drawn, and why."""
        notes = []
        if not all(self._ids):
            notes.append("similarity: the test set has no videos of one label")
        if self._reason:
            notes.append(f"interaction: {self._reason}")
        elif not self._to_show:
            notes.append("interaction: there are no abnormal videos; choose one with --video")
        return tuple(notes)

    def write(self, folder: Path) -> None:
        """Write the figures into the folder `figures` of the results."""
        folder = folder / FOLDER
        if all(self._ids):
            similarity = {
                network.name: compare_videos(*(self._directions[network.name, i] for i in (0, 1)))
                for network in self._networks
            }
            _write_similarity(folder, similarity, self._ids, self._facts())
        for shown in self._shown:
            _write_interaction(folder / "interaction" / shown.video.id, shown)

    def _facts(self) -> dict[str, Any]:
        config = self.checkpoint.config
        compared = self.compared and {
            "file": str(self.compared.path),
            "sha256": sha256_file(self.compared.path),
            "step": self.compared.info.step,
            "seed": self.compared.info.seed,
        }
        return {
            "compared_run": compared,
            "top_divisor": self.checkpoint.model.top_divisor,
            "margin": config.losses.margin if isinstance(config, ClavComoConfig) else 0.0,
        }


def _write_similarity(
    folder: Path,
    similarity: Mapping[str, Similarity],
    ids: tuple[list[str], list[str]],
    facts: Mapping[str, Any],
) -> None:
    """Draw and store the similarities of each network, by its name."""
    margin = facts["margin"]
    arrays: dict[str, NDArray[Any]] = {
        "normal_ids": np.array(ids[0]),
        "abnormal_ids": np.array(ids[1]),
    }
    networks, panels = [], []
    for name, values in similarity.items():
        key = name.replace(" ", "_")
        arrays[f"{key}_inside"], arrays[f"{key}_across"] = values.inside, values.across
        share = values.share_apart(margin)
        within, across = (
            Distribution(
                label, np.histogram(array, SIMILARITY_BINS)[0], median=float(np.median(array))
            )
            for label, array in (
                (f"$C_n$: {WITHIN}", values.inside),
                (f"$C_{{top}}$: {ACROSS}", values.across),
            )
        )
        networks.append(
            {
                "network": name,
                "median_inside": within.median,
                "median_across": across.median,
                "share_apart": share,
            }
        )
        less = f" - {margin:g}" if margin else ""
        note = f"{share:.1%} of the pairs: $C_{{top}} < C_n{less}$"
        panels.append(Panel(name, note, (within, across)))
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
            **facts,
            "definitions": {
                "inside": f"C_n, {WITHIN}: mean cosine of any two snippets, mean over crops",
                "across": f"C_top, {ACROSS}: mean cosine of any two, mean over crops; K = "
                "max(1, snippets // top_divisor), selected by the scores of this run for all "
                "networks",
                "share_apart": "share of the pairs of videos in which C_top < C_n - margin",
            },
            "networks": networks,
        },
    )


def _write_interaction(base: Path, shown: Shown) -> None:
    """Draw and store the interaction of one video as `base` with .png and .npz."""
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
