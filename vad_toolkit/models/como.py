"""CoMo, context-motion interrelation: our reconstruction of Cho et al. (CVPR 2023).

Context (slow appearance) and motion (change) are projected from time to a small interaction space,
become the nodes of two graphs with edges inside and across, and are projected back to one vector a
snippet. Projection, graph step and reprojection take the form of GloRe (Chen et al., CVPR 2019).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vad_toolkit.models.base import hide
from vad_toolkit.models.config import ClavComoHead
from vad_toolkit.models.temporal import TimeBatchNorm, window_mean
from vad_toolkit.models.time_conv import time_conv


class CoMo(nn.Module):
    """G = H + BN(Conv1([B_z V_z'])), z over the streams in use; equals H at initialisation."""

    def __init__(self, config: ClavComoHead) -> None:
        super().__init__()
        names = ("motion", "context") if config.streams == "both" else (config.streams,)
        makers = {"motion": Motion, "context": Context}
        self.streams = nn.ModuleDict({name: makers[name](config) for name in names})
        self.projections = nn.ModuleDict({name: Projection(config) for name in names})
        self.interaction = _build_interaction(config, len(names))
        self.fuse = nn.Conv1d(len(names) * config.node_width, config.width, 1, bias=False)
        self.norm = TimeBatchNorm(config.width)
        nn.init.zeros_(self.norm.weight)

    def forward(self, h: Tensor, mask: Tensor | None = None) -> Tensor:
        """h: (N, d, T), 0 where masked; mask: (N, 1, T) bool or None. Returns G, (N, d, T)."""
        assigned, graphs = [], []
        for name, stream in self.streams.items():
            b, v = self.projections[name](stream(h, mask), mask)
            assigned.append(b.transpose(1, 2))  # (N, T, S)
            graphs.append(v)  # (N, S, d_s)
        graphs = self.interaction(graphs)
        back = [b @ v for b, v in zip(assigned, graphs, strict=True)]  # (N, T, d_s)
        fused = time_conv(torch.cat(back, dim=2).transpose(1, 2), self.fuse.weight)  # (N, d, T)
        return h + normalise(self.norm, fused, mask)


class Context(nn.Module):
    """ReLU(BN(Conv1(AvgPool_w(H)))): what stays, averaged over the real snippets of a window."""

    def __init__(self, config: ClavComoHead) -> None:
        super().__init__()
        self.window = config.window
        self.mix = nn.Conv1d(config.width, config.stream_width, 1, bias=False)
        self.norm = TimeBatchNorm(config.stream_width)

    def forward(self, h: Tensor, mask: Tensor | None) -> Tensor:
        """(N, d, T) -> (N, d_m, T)."""
        x = time_conv(h, self.mix.weight)  # before the mean, which is then over fewer channels
        return torch.relu(normalise(self.norm, window_mean(x, self.window, mask), mask))


class Motion(nn.Module):
    """ReLU(BN(Conv(H_t - H_{t-1}))): what changes; the first difference is 0."""

    def __init__(self, config: ClavComoHead) -> None:
        super().__init__()
        self.mix = nn.Conv1d(
            config.width, config.stream_width, config.kernel, padding="same", bias=False
        )
        self.norm = TimeBatchNorm(config.stream_width)

    def forward(self, h: Tensor, mask: Tensor | None) -> Tensor:
        """(N, d, T) -> (N, d_m, T)."""
        rows = h.transpose(1, 2)  # (N, T, d)
        change = F.pad(rows[:, 1:] - rows[:, :-1], (0, 0, 1, 0)).transpose(1, 2)  # (N, d, T)
        x = time_conv(hide(change, mask), self.mix.weight)
        return torch.relu(normalise(self.norm, x, mask))


class Projection(nn.Module):
    """B = Conv1(Z), P = Conv1(Z), V = B P^T / T: from T snippets to S nodes.

    The division by the number of snippets is needed: it differs between training and test.
    """

    def __init__(self, config: ClavComoHead) -> None:
        super().__init__()
        self.assign = nn.Conv1d(config.stream_width, config.nodes, 1)
        self.reduce = nn.Conv1d(config.stream_width, config.node_width, 1)

    def forward(self, z: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """z: (N, d_m, T) -> B (N, S, T), V (N, S, d_s)."""
        b = hide(time_conv(z, self.assign.weight, self.assign.bias), mask)
        p = time_conv(z, self.reduce.weight, self.reduce.bias)  # (N, d_s, T)
        snippets = z.shape[2] if mask is None else mask.sum(dim=2, keepdim=True).clamp(min=1)
        return b, b @ p.transpose(1, 2) / snippets


class GraphStep(nn.Module):
    """V <- ReLU(V + A V) W with a learned adjacency A, zero at the start."""

    def __init__(self, nodes: int, width: int) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(torch.zeros(nodes, nodes))
        self.mix = nn.Linear(width, width, bias=False)

    def forward(self, v: Tensor) -> Tensor:
        """(N, S, d_s) -> (N, S, d_s)."""
        mixed: Tensor = self.mix(torch.relu(v + self.adjacency @ v))
        return mixed


class CrossAttention(nn.Module):
    """softmax(V Q (V' K)^T / sqrt(d_s)) V' U: what the nodes of one graph take from the other's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)

    def weights(self, to: Tensor, source: Tensor) -> Tensor:
        """(N, S, S): how much each node of `to` takes from each of `source`; rows sum to 1."""
        fit = self.query(to) @ self.key(source).transpose(1, 2) / math.sqrt(to.shape[2])
        return torch.softmax(fit, dim=2)

    def forward(self, to: Tensor, source: Tensor) -> Tensor:
        """to, source: (N, S, d_s) -> (N, S, d_s)."""
        taken: Tensor = self.weights(to, source) @ self.value(source)
        return taken


class Attention(nn.Module):
    """Edges inside each graph, then across in both directions, both from the same old nodes."""

    def __init__(self, config: ClavComoHead, graphs: int) -> None:
        super().__init__()
        self.inside = nn.ModuleList(
            GraphStep(config.nodes, config.node_width) for _ in range(graphs)
        )
        self.across = nn.ModuleList(
            CrossAttention(config.node_width) for _ in range(graphs if graphs == 2 else 0)
        )

    def forward(self, graphs: list[Tensor]) -> list[Tensor]:
        """One or two (N, S, d_s); a single graph has only edges inside."""
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
        """Each (N, S, d_s)."""
        return list(self.step(torch.cat(graphs, dim=1)).chunk(len(graphs), dim=1))


class NoInteraction(nn.Module):
    """V' = V: projection and reprojection only."""

    def forward(self, graphs: list[Tensor]) -> list[Tensor]:
        """Unchanged."""
        return graphs


def normalise(norm: TimeBatchNorm, x: Tensor, mask: Tensor | None) -> Tensor:
    """`norm` of x (N, d, T), a view of (N, T, d): as rows where no mask asks for more."""
    if mask is not None and norm.training:
        result: Tensor = norm(x, mask)
        return result
    rows = x.transpose(1, 2)  # (N, T, d)
    result = norm(rows.flatten(0, 1)).view(rows.shape)
    return result.transpose(1, 2)


def _build_interaction(config: ClavComoHead, graphs: int) -> nn.Module:
    if config.interaction == "attention":
        return Attention(config, graphs)
    if config.interaction == "joint-graph":
        return JointGraph(config, graphs)
    return NoInteraction()
