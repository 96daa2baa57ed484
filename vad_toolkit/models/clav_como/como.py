"""CoMo, context-motion interrelation: our reconstruction of Cho et al. (CVPR 2023).

Context (appearance that lasts) and motion (what changes from snippet to snippet) are projected from
time to a small interaction space, become the nodes of two graphs with edges inside and across, and
are projected back to one vector a snippet. Projection, graph step and reprojection take the form of
GloRe (Chen et al., CVPR 2019), with three changes that the context-motion benchmark asked for
(docs/LOG.md): the streams see the network's input and not what class activation left of it, and are
linear; a node is a mean over the snippets that it attends to, and not over all; and the interaction
begins as the identity.
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
    """G = H + BN(Conv1([B_z V_z'])), z over the streams in use; equals H at initialisation."""

    def __init__(self, config: ClavComoHead, input_width: int) -> None:
        """`input_width`: D, of what the streams see."""
        super().__init__()
        names = ("motion", "context") if config.streams == "both" else (config.streams,)
        makers = {"motion": Motion, "context": Context}
        self.streams = nn.ModuleDict({name: makers[name](config, input_width) for name in names})
        self.projections = nn.ModuleDict({name: Projection(config) for name in names})
        self.interaction = _build_interaction(config, len(names))
        self.fuse = nn.Conv1d(len(names) * config.node_width, config.width, 1, bias=False)
        self.norm = TimeBatchNorm(config.width)
        nn.init.zeros_(self.norm.weight)
        self.reach = max(reach(stream) for stream in self.streams.values())  # side by side

    def forward(self, h: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Add to each snippet what its context and motion have to do with each other.

        Args:
            h: (N, d, T), class-activate features, 0 where masked.
            x: (N, D, T), the network's input, 0 where masked.
            mask: (N, 1, T) bool or None.

        Returns:
            G, (N, d, T).
        """
        read, graphs = [], []
        for name, stream in self.streams.items():
            b, v = self.projections[name](stream(x, mask), mask)
            read.append(b.transpose(1, 2))  # (N, T, S)
            graphs.append(v)  # (N, S, d_s)
        graphs = self.interaction(graphs)
        back = [b @ v for b, v in zip(read, graphs, strict=True)]  # (N, T, d_s)
        fused = time_conv(torch.cat(back, dim=2).transpose(1, 2), self.fuse.weight)  # (N, d, T)
        return h + normalise(self.norm, fused, mask)


class Context(nn.Module):
    """BN(AvgPool_w(Conv1(x))): what stays, averaged over the real snippets of a window."""

    def __init__(self, config: ClavComoHead, input_width: int) -> None:
        super().__init__()
        self.window = config.window
        self.reach = config.window // 2
        self.mix = nn.Conv1d(input_width, config.stream_width, 1, bias=False)
        self.norm = TimeBatchNorm(config.stream_width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(N, D, T) -> (N, d_m, T)."""
        z = window_mean(time_conv(x, self.mix.weight), self.window, mask)
        return normalise(self.norm, z, mask)


class Motion(nn.Module):
    """BN(Conv(Conv1(x))): what a learned filter over time sees, the first difference being one."""

    def __init__(self, config: ClavComoHead, input_width: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(input_width, config.stream_width, 1, bias=False)
        self.change = nn.Conv1d(
            config.stream_width, config.stream_width, config.kernel, padding="same", bias=False
        )
        self.norm = TimeBatchNorm(config.stream_width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(N, D, T) -> (N, d_m, T)."""
        z = time_conv(time_conv(x, self.mix.weight), self.change.weight)
        return normalise(self.norm, z, mask)


class Projection(nn.Module):
    """V = softmax_T(Conv1(Z)) Conv1(Z)^T, from T snippets to S nodes; B = Conv1(Z), the way back.

    Each node is a mean of the snippets that it attends to: what is seen in few snippets of a long
    video is not lost in the mean of all, and the length of a video does not matter. Snippets read
    the nodes with weights of either sign, so that the sign of what is read can be their relation.
    """

    def __init__(self, config: ClavComoHead) -> None:
        super().__init__()
        self.attend = nn.Conv1d(config.stream_width, config.nodes, 1)
        self.read = nn.Conv1d(config.stream_width, config.nodes, 1)
        self.reduce = nn.Conv1d(config.stream_width, config.node_width, 1)

    def forward(self, z: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """z: (N, d_m, T) -> B (N, S, T), V (N, S, d_s)."""
        logits = time_conv(z, self.attend.weight, self.attend.bias)  # (N, S, T)
        values = time_conv(z, self.reduce.weight, self.reduce.bias)  # (N, d_s, T)
        b = hide(time_conv(z, self.read.weight, self.read.bias), mask)
        return b, attended_mean(logits, values, mask)


class GraphStep(nn.Module):
    """V <- V + A V W with a learned adjacency A, zero at the start."""

    def __init__(self, nodes: int, width: int) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(torch.zeros(nodes, nodes))
        self.mix = nn.Linear(width, width, bias=False)

    def forward(self, v: Tensor) -> Tensor:
        """(N, S, d_s) -> (N, S, d_s)."""
        mixed: Tensor = v + self.adjacency @ self.mix(v)
        return mixed


class CrossAttention(nn.Module):
    """softmax(V Q (V' K)^T / sqrt(d_s)) V' U: what the nodes of one graph take from the other's.

    U is zero at the start: a video's nodes are not mixed before they mean something.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.value.weight)

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
