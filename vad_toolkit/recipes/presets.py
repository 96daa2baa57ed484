"""Named recipes: the toolkit's own, and those of published features.

A preset holds the fields that differ from the defaults of `Recipe`. Weights have names here, which
`load_recipe` replaces by digests. docs/extract.md has the source of each preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vad_toolkit.backbones.registry import BUILTIN, BackboneInfo
from vad_toolkit.core.crops import FIVE_CROP_ORDERS, TEN_CROP_ORDERS

TVL1 = {"algorithm": "tvl1", "quantisation": "clamp20"}
TWO_STREAMS = {
    "streams": ("rgb", "flow"),
    "flow": TVL1,
    "weights": {"rgb": "i3d-rgb-imagenet", "flow": "i3d-flow-imagenet"},
}


def _torchvision(network: BackboneInfo) -> Mapping[str, Any]:
    """Return snippets of 16 frames, center crop, preprocessed as by torchvision's transforms."""
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
    # RTFM (Tian et al., ICCV 2021), as its author describes it.
    "rtfm": {
        "normalisation": "(x-114.75)/57.375",
        "backbone": "i3d-resnet50",
        "weights": {"rgb": "i3d-resnet50-k400"},
    },
    # GowthamGottimukkala/I3D_Feature_Extraction_resnet, which differs from RTFM's.
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
        for network in BUILTIN.values()
        if network.module.endswith("torchvision_video")
    },
}
