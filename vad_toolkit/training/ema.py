"""A running mean of the weights over steps: it wanders less than the weights of any one step."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vad_toolkit.models.base import MilModel

WARM_UP_STEPS = 10  # so that the first weights, which nothing has trained yet, are soon forgotten


class MeanWeights:
    """A second model that holds the exponential moving average of the first one's weights.

    With share a of the old, weights w_i of step i are in it with a weight that falls as a^(n - i):
    it looks back over some 1 / (1 - a) steps. Statistics that are not weights (batch norm's, those
    of the inputs) are the first model's own. Nothing here waits for the device.
    """

    def __init__(self, model: MilModel, share: float) -> None:
        """`share`: of the old in the mean at each step, 0 to 1."""
        self._of, self._share = model, share
        self._mean = copy.deepcopy(model).requires_grad_(False)

    def add(self, step: int) -> None:
        """Take in the weights of `step`, which counts from 1."""
        share = min(self._share, step / (step + WARM_UP_STEPS))
        weights = list(self._of.parameters())
        average = get_ema_multi_avg_fn(share)  # type: ignore[no-untyped-call]
        average(list(self._mean.parameters()), weights, step)

    @property
    def model(self) -> MilModel:
        """The model of the mean, as of the last step taken in."""
        with torch.no_grad():
            for mean, latest in zip(self._mean.buffers(), self._of.buffers(), strict=True):
                mean.copy_(latest)
        return self._mean

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs."""
        return self.model.state_dict()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from `state`. Raises RuntimeError where it is another model's."""
        self._mean.load_state_dict(tensors)
