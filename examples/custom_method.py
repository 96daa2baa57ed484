"""A method from outside of the package: multiple-instance logistic regression.

    python custom_method.py features.h5 train.jsonl test.jsonl --out results

The module is a plugin as well, so that the commands know the method:

    vad train --plugin custom_method.py --config logistic --pack features.h5 ...
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

import vad_toolkit as vad


class LogisticConfig(vad.TrainConfig):
    """Settings of the method and of its training; every field has a default."""

    method: Literal["logistic"] = "logistic"
    losses: vad.MethodLosses = vad.MethodLosses(top_divisor=4)
    steps: int = 200


class Logistic(vad.MilModel):
    """One linear layer on each snippet; the top-k mean of a video is compared with its label."""

    weighted_terms = ()  # no loss terms besides the main one, "mil"

    def __init__(self, input_dim: int, config: LogisticConfig) -> None:
        super().__init__(input_dim, config)
        self.score = nn.Linear(self.input_width, 1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> vad.Output:
        crops = x.shape[1]
        x, _ = self.prepare(x, mask)  # (B*C, D, T), standardized
        snippets = x.transpose(1, 2)  # (B*C, T, D)
        return self.output(self.score(snippets), snippets, mask, crops)

    def losses(self, output: vad.Output) -> dict[str, Tensor]:
        videos, snippets = output.scores.shape
        k = max(1, snippets // self.config.losses.top_divisor)
        scores = output.scores.topk(k, dim=1).values.mean(dim=1)  # masked snippets have score 0
        labels = torch.zeros_like(scores)
        labels[videos // 2 :] = 1  # the second half of a batch is abnormal
        return {"mil": nn.functional.binary_cross_entropy(scores, labels)}


vad.register_method("logistic", config=LogisticConfig, build=Logistic)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("pack", help="feature pack with the training and test videos")
    parser.add_argument("train", help="training manifest")
    parser.add_argument("test", help="test manifest")
    parser.add_argument("--out", default="results", help="folder to write")
    arguments = parser.parse_args()

    run = vad.train(arguments.pack, arguments.train, Path(arguments.out, "run"), config="logistic")
    result = vad.evaluate(run, arguments.pack, arguments.test)
    print(f"frame-level AUC {result.metrics.auc:.4f}")


if __name__ == "__main__":
    main()
