"""CLAV, class-activate feature learning: our reconstruction of Cho et al. (CVPR 2023).

The paper: "Features are extracted as per the weights that are implicitly activated depending on the
class". We implement it as dynamic convolution (Chen et al., CVPR 2020) with attention per snippet,
because abnormal videos also contain normal snippets. The activation is implicit: it uses no labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vad_toolkit.models.clav_como.options import ClavComoHead
from vad_toolkit.models.time_conv import time_conv


def build_class_activate(config: ClavComoHead) -> nn.Module:
    """Return the module that `config.activate` names, which is called with (E, tau)."""
    kinds = {"bank": KernelBank, "gate": Gate}
    return kinds[config.activate](config) if config.activate in kinds else NoActivation()


class KernelBank(nn.Module):
    """H_t = E_t + ReLU(sum_j pi_tj Conv_j(E)_t), pi_t = softmax(MLP(E_t) / tau) over M kernels."""

    def __init__(self, config: ClavComoHead) -> None:
        super().__init__()
        self.reach = config.kernel // 2  # the kernels run in parallel
        self.kernels = nn.ModuleList(
            nn.Conv1d(config.width, config.width, config.kernel, padding="same")
            for _ in range(config.kernels)
        )
        self.choose = _mlp(config.width, config.activate_hidden, config.kernels)

    def activation(self, e: Tensor, tau: float) -> Tensor:
        """Return pi (N, T, M), which sums to 1 over M, for features e (N, d, T)."""
        return torch.softmax(self.choose(e.transpose(1, 2)) / tau, dim=2)

    def forward(self, e: Tensor, tau: float) -> Tensor:
        """Return H (N, d, T) for features e (N, d, T)."""
        pi = self.activation(e, tau)[:, :, None]  # (N, T, 1, M)
        weights, biases = zip(*((k.weight, k.bias) for k in self.kernels), strict=True)
        every = time_conv(e, torch.cat(weights), torch.cat(biases))  # (N, M d, T)
        outputs = every.transpose(1, 2).view(*pi.shape[:2], -1, e.shape[1])  # (N, T, M, d)
        return e + torch.relu((pi @ outputs).squeeze(2)).transpose(1, 2)


class Gate(nn.Module):
    """H = E + ReLU(Conv(E)) * sigmoid(MLP(E)): one kernel, with a gate per channel."""

    def __init__(self, config: ClavComoHead) -> None:
        super().__init__()
        self.kernel = nn.Conv1d(config.width, config.width, config.kernel, padding="same")
        self.choose = _mlp(config.width, config.activate_hidden, config.width)

    def forward(self, e: Tensor, tau: float) -> Tensor:
        """Return H (N, d, T) for features e (N, d, T); `tau` is not used."""
        gate = torch.sigmoid(self.choose(e.transpose(1, 2))).transpose(1, 2)  # (N, d, T)
        found = time_conv(e, self.kernel.weight, self.kernel.bias)  # (N, d, T)
        return e + torch.relu(found) * gate


class NoActivation(nn.Module):
    """H = E."""

    def forward(self, e: Tensor, tau: float) -> Tensor:
        """Return e (N, d, T)."""
        return e


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
