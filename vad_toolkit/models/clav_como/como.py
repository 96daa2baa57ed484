"""CoMo, context-motion interrelation: our reconstruction of Cho et al. (CVPR 2023).

Context (lasting appearance) and motion (changes between snippets) are projected from time to a
small interaction space, become the nodes of two graphs with edges within and across graphs, and are
projected back to one vector per snippet. Projection, graph step and reprojection have the form of
GloRe (Chen et al., CVPR 2019), with three changes from the context-motion benchmark (docs/LOG.md):
the streams are linear, and see the network's input instead of class-activated features; a node is a
mean over the snippets that it attends to instead of all; the interaction starts as the identity.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vad_toolkit.models.base import hide
from vad_toolkit.models.blocks import attended_mean, reach
from vad_toolkit.models.clav_como.options import ClavComoHead
from vad_toolkit.models.temporal import TimeBatchNorm, window_mean
from vad_toolkit.models.time_conv import time_conv


class CoMo(nn.Module):
    """G = H + BN(Conv1([B_z V_z'])), z over the streams in use; equal to H at initialization."""

    def __init__(self, config: ClavComoHead, input_width: int) -> None:
        """Build the streams; `input_width` is D of the network's input."""
        super().__init__()
        names = ("motion", "context") if config.streams == "both" else (config.streams,)
        makers = {"motion": Motion, "context": Context}
        self.streams = nn.ModuleDict({name: makers[name](config, input_width) for name in names})
        self.projections = nn.ModuleDict({name: Projection(config) for name in names})
        kinds = {"attention": Attention, "joint-graph": JointGraph}
        kind = kinds.get(config.interaction)
        self.interaction = kind(config, len(names)) if kind else nn.Identity()
        self.fuse = nn.Conv1d(len(names) * config.node_width, config.width, 1, bias=False)
        self.norm = TimeBatchNorm(config.width)
        nn.init.zeros_(self.norm.weight)
        self.reach = max(reach(stream) for stream in self.streams.values())  # parallel

    def forward(self, h: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return G (N, d, T): h plus the relation of each snippet's context and motion.

        Args:
            h: (N, d, T), class-activate features, 0 where masked.
            x: (N, D, T), the network's input, 0 where masked.
            mask: (N, 1, T) bool or None.
        """
        read, graphs = [], []
        for name, stream in self.streams.items():
            b, v = self.projections[name](stream(x, mask), mask)
            read.append(b.transpose(1, 2))  # (N, T, S)
            graphs.append(v)  # (N, S, d_s)
        graphs = self.interaction(graphs)
        back = [b @ v for b, v in zip(read, graphs, strict=True)]  # (N, T, d_s)
        fused = time_conv(torch.cat(back, dim=2).transpose(1, 2), self.fuse.weight)  # (N, d, T)
        return h + self.norm(fused, mask)


class Context(nn.Module):
    """BN(AvgPool_w(Conv1(x))): lasting content, averaged over the real snippets of a window."""

    def __init__(self, config: ClavComoHead, input_width: int) -> None:
        super().__init__()
        self.window = config.window
        self.reach = config.window // 2
        self.mix = nn.Conv1d(input_width, config.stream_width, 1, bias=False)
        self.norm = TimeBatchNorm(config.stream_width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (N, d_m, T) for x (N, D, T)."""
        return self.norm(window_mean(time_conv(x, self.mix.weight), self.window, mask), mask)


class Motion(nn.Module):
    """BN(Conv(Conv1(x))): a learned filter over time, such as the first difference."""

    def __init__(self, config: ClavComoHead, input_width: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(input_width, config.stream_width, 1, bias=False)
        width = config.stream_width
        self.change = nn.Conv1d(width, width, config.kernel, padding="same", bias=False)
        self.norm = TimeBatchNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (N, d_m, T) for x (N, D, T)."""
        return self.norm(time_conv(time_conv(x, self.mix.weight), self.change.weight), mask)


class Projection(nn.Module):
    """V = softmax_T(Conv1(Z)) Conv1(Z)^T, from T snippets to S nodes; B = Conv1(Z), the way back.

    Each node is a mean over the snippets that it attends to, so that a few snippets of a long video
    are not lost in the mean over all, and the length of the video does not matter. B has weights of
    both signs, so that the sign of a snippet's result can express a relation.
    """

    def __init__(self, config: ClavComoHead) -> None:
        super().__init__()
        self.attend = nn.Conv1d(config.stream_width, config.nodes, 1)
        self.read = nn.Conv1d(config.stream_width, config.nodes, 1)
        self.reduce = nn.Conv1d(config.stream_width, config.node_width, 1)

    def forward(self, z: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return B (N, S, T) and V (N, S, d_s) for z (N, d_m, T)."""
        logits = time_conv(z, self.attend.weight, self.attend.bias)  # (N, S, T)
        values = time_conv(z, self.reduce.weight, self.reduce.bias)  # (N, d_s, T)
        b = hide(time_conv(z, self.read.weight, self.read.bias), mask)
        return b, attended_mean(logits, values, mask)


class GraphStep(nn.Module):
    """V + A V W with a learned adjacency A, zero at initialization."""

    def __init__(self, nodes: int, width: int) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(torch.zeros(nodes, nodes))
        self.mix = nn.Linear(width, width, bias=False)

    def forward(self, v: Tensor) -> Tensor:
        """Return the new nodes for v, both (N, S, d_s)."""
        mixed: Tensor = v + self.adjacency @ self.mix(v)
        return mixed


class CrossAttention(nn.Module):
    """softmax(V Q (V' K)^T / sqrt(d_s)) V' U, from the nodes V' of one graph to those of the other.

    U is zero at initialization, so that untrained nodes are not mixed.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.value.weight)

    def weights(self, to: Tensor, source: Tensor) -> Tensor:
        """Return the weights (N, S, S) of `source`'s nodes for each node of `to`; rows sum to 1."""
        fit = self.query(to) @ self.key(source).transpose(1, 2) / math.sqrt(to.shape[2])
        return torch.softmax(fit, dim=2)

    def forward(self, to: Tensor, source: Tensor) -> Tensor:
        """Return the contribution of `source` to `to`, all (N, S, d_s)."""
        taken: Tensor = self.weights(to, source) @ self.value(source)
        return taken


class Attention(nn.Module):
    """Edges within each graph, then across in both directions, both from the same nodes."""

    def __init__(self, config: ClavComoHead, graphs: int) -> None:
        super().__init__()
        nodes, width, across = config.nodes, config.node_width, graphs if graphs == 2 else 0
        self.inside = nn.ModuleList(GraphStep(nodes, width) for _ in range(graphs))
        self.across = nn.ModuleList(CrossAttention(width) for _ in range(across))

    def forward(self, graphs: list[Tensor]) -> list[Tensor]:
        """Return the new nodes of one or two graphs, each (N, S, d_s); one has no edges across."""
        old = [step(v) for step, v in zip(self.inside, graphs, strict=True)]
        if len(old) == 1:
            return old
        return [old[0] + self.across[0](old[0], old[1]), old[1] + self.across[1](old[1], old[0])]


class JointGraph(nn.Module):
    """One graph step with one learned adjacency over the nodes of all streams."""

    def __init__(self, config: ClavComoHead, graphs: int) -> None:
        super().__init__()
        self.step = GraphStep(graphs * config.nodes, config.node_width)

    def forward(self, graphs: list[Tensor]) -> list[Tensor]:
        """Return the new nodes of each graph, (N, S, d_s)."""
        return list(self.step(torch.cat(graphs, dim=1)).chunk(len(graphs), dim=1))
