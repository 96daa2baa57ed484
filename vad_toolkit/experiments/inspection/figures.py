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

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vad_toolkit.core.files import AnyPath, sha256_file, write_arrays, write_json
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
    VideoDirections,
    compare_videos,
    top_snippets,
    video_directions,
)
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

    compare: AnyPath | None = None
    videos: tuple[str, ...] = ()

    def __call__(
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
            runs = {path.name: path for path in find_runs(self.compare)}
            if list(runs.values()) == [Path(self.compare)]:
                runs = {name: Path(self.compare)}
            if name not in runs:
                raise InputError(
                    f"--compare {self.compare} has {', '.join(runs)} but not "
                    f"{name or 'a single run'}; give the folder of one of them"
                )
            compared = load_checkpoint(runs[name], device)
            check_features(compared, pack)
        reason = why_no_interaction(checkpoint.model)
        for id in self.videos:
            if id not in manifest.by_id:
                raise InputError(f"--video {id}: not in the test manifest; give the id of a video")
            if reason:
                raise InputError(f"--video {id}: {checkpoint.path}: {reason}")
        longest = sorted(manifest.abnormal, key=lambda entry: (-len(labels[entry.id]), entry.id))
        shown = self.videos or tuple(entry.id for entry in longest[:SHOWN_VIDEOS])
        return Inspector(checkpoint, compared, () if reason else shown, reason, device)


@dataclass(frozen=True, eq=False)
class Inspector:
    """Observer of an evaluation that measures similarities and interactions, and draws them.

    Attributes:
        compared: Another checkpoint whose similarities are shown too.
        shown: Ids of the videos whose interaction is drawn.
        reason: Why the network has no interaction to draw; None if it has.
        directions: By network and label, those of the videos seen so far.
        ids: Of the normal and of the abnormal videos seen so far.
        interactions: Video, frame rate, snippet scores and interaction of those to draw.
    """

    checkpoint: Checkpoint
    compared: Checkpoint | None
    shown: Collection[str]
    reason: str | None
    device: torch.device
    directions: dict[tuple[str, int], list[VideoDirections]] = field(
        default_factory=lambda: defaultdict(list)
    )
    ids: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    interactions: list[tuple[ScoredVideo, float | None, NDArray[np.float32], Interaction]] = field(
        default_factory=list
    )

    @cached_property
    def networks(self) -> dict[str, Checkpoint]:
        """The networks whose similarities are compared."""
        before = replace(self.checkpoint, model=initial_model(self.checkpoint))
        named = {BEFORE: before, COMPARED: self.compared, EVALUATED: self.checkpoint}
        return {name: network for name, network in named.items() if network}

    def see(
        self,
        video: ScoredVideo,
        features: SharedFeatures,
        snippet_scores: NDArray[np.float32],
        fps: float | None,
    ) -> None:
        """Measure one scored video; snippet scores are (N,)."""
        self.ids[video.label].append(video.id)
        selection = top_snippets(snippet_scores, self.checkpoint.model.top_divisor)
        for name, network in self.networks.items():
            part = features.of(network.config.data.streams)
            directions = video_directions(network.model, part, selection, self.device)
            self.directions[name, video.label].append(directions)
        if video.id in self.shown:
            part = features.of(self.checkpoint.config.data.streams)
            interaction = trace_interaction(self.checkpoint.model, part, self.device)
            self.interactions.append((video, fps, snippet_scores, interaction))

    @property
    def notes(self) -> tuple[str, ...]:
        """The figures that cannot be drawn, and why."""
        notes = []
        if not all(self.ids):
            notes.append("similarity: the test set has no videos of one label")
        if self.reason:
            notes.append(f"interaction: {self.reason}")
        elif not self.shown:
            notes.append("interaction: there are no abnormal videos; choose one with --video")
        return tuple(notes)

    def write(self, folder: Path) -> None:
        """Write the figures into the folder `figures` of the results."""
        folder = folder / FOLDER
        if all(self.ids):
            self._write_similarity(folder)
        for video, fps, snippet_scores, interaction in self.interactions:
            reading, attention = interaction.reading, interaction.attention
            arrays = {
                "frame_scores": video.scores,
                "frame_labels": video.labels,
                "snippet_scores": snippet_scores,
                **{f"reading_{name}": array for name, array in reading.items()},
                **{f"attention_of_{name}": array for name, array in attention.items()},
            }
            path = folder / "interaction" / f"{video.id}.png"
            write_arrays(folder / "interaction" / f"{video.id}.npz", arrays)
            plot_interaction(
                path, video.scores, video.labels, reading, attention, fps=fps, title=video.id
            )

    def _write_similarity(self, folder: Path) -> None:
        """Draw and store the similarities of each network."""
        config, compared = self.checkpoint.config, self.compared
        margin = config.losses.margin if isinstance(config, ClavComoConfig) else 0.0
        arrays: dict[str, NDArray[Any]] = {
            "normal_ids": np.array(self.ids[0]),
            "abnormal_ids": np.array(self.ids[1]),
        }
        networks, panels = [], []
        for name in self.networks:
            values = compare_videos(self.directions[name, 0], self.directions[name, 1])
            key = name.replace(" ", "_")
            arrays[f"{key}_inside"], arrays[f"{key}_across"] = values.inside, values.across
            share = values.share_apart(margin)
            within, across = (
                Distribution(
                    label, np.histogram(array, SIMILARITY_BINS)[0], float(np.median(array))
                )
                for label, array in (
                    (f"$C_n$: {WITHIN}", values.inside),
                    (f"$C_{{top}}$: {ACROSS}", values.across),
                )
            )
            medians = {"median_inside": within.median, "median_across": across.median}
            networks.append({"network": name, **medians, "share_apart": share})
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
                "compared_run": compared
                and {
                    "file": str(compared.path),
                    "sha256": sha256_file(compared.path),
                    "step": compared.info.step,
                    "seed": compared.info.seed,
                },
                "top_divisor": self.checkpoint.model.top_divisor,
                "margin": margin,
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
