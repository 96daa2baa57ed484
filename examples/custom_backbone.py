"""Features from a network of your own: here a small one that sees color and change.

    python custom_backbone.py videos --out features.h5

The module is a plugin as well, so that the commands know the backbone:

    vad extract videos --plugin custom_backbone.py --set backbone=color-change ...
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import vad_toolkit as vad

NAME = "color-change"


class ColorChange(vad.Backbone):
    """Clips (n, 3, frames, height, width) to (n, 64): random filters on colors and their change."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.feature_dim = 64
        self.color = nn.Conv3d(channels, 32, kernel_size=(1, 8, 8), stride=(1, 8, 8))
        self.change = nn.Conv3d(channels, 32, kernel_size=(2, 8, 8), stride=(1, 8, 8))

    def forward(self, clips: Tensor) -> Tensor:
        parts = [self.color(clips).relu(), self.change(clips).relu()]
        return torch.cat([part.mean(dim=(2, 3, 4)) for part in parts], dim=1)


# With this function, the module is the module of a backbone.
def build(name: str, channels: int) -> ColorChange:
    """Return the network without weights."""
    return ColorChange(channels)


vad.register_backbone(
    vad.BackboneInfo(
        NAME,
        module=__name__,
        title="color and change",
        feature_dim=64,
        normalisation="x*2/255-1",
        min_frames=2,
    )
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("videos", help="video, or folder of videos")
    parser.add_argument("--out", default="features.h5", help="feature pack to write")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:  # weights that you trained would be here
        weights = Path(folder, "color-change.safetensors")
        save_file(ColorChange(3).state_dict(), weights)
        vad.import_weights(weights, f"{NAME}-random", backbone=NAME)
    recipe = vad.load_recipe(
        "i3d-rgb-center",
        {"backbone": NAME, "weights": f"{NAME}-random", "resize": 128, "crop_size": 112},
    )
    summary = vad.extract(arguments.videos, recipe, out=arguments.out)
    with vad.open_pack(summary) as pack:
        for video, features in pack.items():
            print(f"{video}: {features.shape[0]} snippets, {features.shape[2]} dimensions")


if __name__ == "__main__":
    main()
