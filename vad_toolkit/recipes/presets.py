"""Recipes by name: this toolkit's own, and those that published features were made by.

A preset holds the fields that differ from `Recipe`'s defaults. Weights stand by their names; a
recipe holds the digests that they stand for. docs/extract.md says where each rule comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vad_toolkit.backbones.registry import ARCHITECTURES, Architecture
from vad_toolkit.core.crops import FIVE_CROP_ORDERS, TEN_CROP_ORDERS

TVL1 = {"algorithm": "tvl1", "quantisation": "clamp20"}
TWO_STREAMS = {
    "streams": ("rgb", "flow"),
    "flow": TVL1,
    "weights": {"rgb": "i3d-rgb-imagenet", "flow": "i3d-flow-imagenet"},
}


def _torchvision(network: Architecture) -> Mapping[str, Any]:
    """Frames as torchvision's own transforms prepare them, snippets of 16, centre crop."""
    return {
        "resize": network.resize,
        "resize_method": "bilinear-uint8",
        "crops": "center",
        "crop_size": network.crop_size,
        "normalisation": network.normalisation,
        "backbone": network.name,
        "weights": {"rgb": f"{network.name}-k400"},
    }


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "i3d-rgb-tencrop": {"crops": "ten"},
    "i3d-rgb-fivecrop": {"crops": "five"},
    "i3d-rgb-center": {"crops": "center"},
    "i3d-rgb-flow-tencrop": {"crops": "ten", **TWO_STREAMS},
    "i3d-rgb-flow-center": {"crops": "center", **TWO_STREAMS},
    # RTFM (Tian et al., ICCV 2021), in its author's words.
    "rtfm": {
        "normalisation": "(x-114.75)/57.375",
        "backbone": "i3d-resnet50",
        "weights": {"rgb": "i3d-resnet50-k400"},
    },
    # GowthamGottimukkala/I3D_Feature_Extraction_resnet: other features than RTFM's.
    "gowtham": {
        "resize": (340, 256),
        "resize_method": "lanczos-pillow",
        "crop_order": TEN_CROP_ORDERS["gowtham"],
        "tail": "drop",
        "backbone": "i3d-resnet50",
        "weights": {"rgb": "i3d-resnet50-k400"},
    },
    # UCF-Crime, 1,024-d, as in DeepMIL and UR-DMU.
    "deepmil": {
        "crop_order": TEN_CROP_ORDERS["deepmil"],
        "tail": "drop-next",
        "weights": {"rgb": "i3d-rgb-imagenet"},
    },
    # XD-Violence (Wu et al., ECCV 2020).
    "xd-violence": {
        "crops": "five",
        "crop_order": FIVE_CROP_ORDERS["deepmil"],
        "tail": "drop-next",
        **TWO_STREAMS,
    },
    # v-iashin/video_features, feature type i3d, with a stack and a step of 16.
    "video-features": {
        "resize_method": "bilinear-pillow",
        "crops": "center",
        "tail": "drop-next",
        **TWO_STREAMS,
        "flow": {"algorithm": "raft-large", "quantisation": "video-features"},
    },
    **{
        network.name: _torchvision(network)
        for network in ARCHITECTURES.values()
        if network.module == "torchvision_video"
    },
}
