"""Weakly-supervised video anomaly detection, from raw video to frame-level AUC.

This is the public API: the names in `__all__`, listed with their signatures in docs/api.md. A name
is imported when it is first used, so that `import vad_toolkit` is instant. Everything else in the
package may change without notice.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from vad_toolkit import errors as errors
    from vad_toolkit.api import estimate_extraction as estimate_extraction
    from vad_toolkit.api import extract as extract
    from vad_toolkit.backbones.backbone import Backbone as Backbone
    from vad_toolkit.backbones.registry import BackboneInfo as BackboneInfo
    from vad_toolkit.backbones.registry import list_backbones as list_backbones
    from vad_toolkit.backbones.registry import register_backbone as register_backbone
    from vad_toolkit.compose.compose import compose_videos as compose_videos
    from vad_toolkit.core.registry import load_plugin as load_plugin
    from vad_toolkit.datasets.building.builder import build_manifest as build_manifest
    from vad_toolkit.datasets.registry import find_manifest as find_manifest
    from vad_toolkit.datasets.registry import list_datasets as list_datasets
    from vad_toolkit.datasets.registry import register_dataset as register_dataset
    from vad_toolkit.evaluation.evaluate import evaluate as evaluate
    from vad_toolkit.evaluation.ground_truth import export_ground_truth as export_ground_truth
    from vad_toolkit.evaluation.metrics import compute_metrics as compute_metrics
    from vad_toolkit.evaluation.registry import Metric as Metric
    from vad_toolkit.evaluation.registry import register_metric as register_metric
    from vad_toolkit.fit import check_manifest as check_manifest
    from vad_toolkit.flow.registry import register_flow as register_flow
    from vad_toolkit.interchange.compare import compare as compare
    from vad_toolkit.interchange.exporting import export_features as export_features
    from vad_toolkit.interchange.importing import import_features as import_features
    from vad_toolkit.interchange.layouts.layout import Layout as Layout
    from vad_toolkit.interchange.layouts.registry import register_layout as register_layout
    from vad_toolkit.models.base import MilModel as MilModel
    from vad_toolkit.models.base import Output as Output
    from vad_toolkit.models.config import MethodLosses as MethodLosses
    from vad_toolkit.models.config import TrainConfig as TrainConfig
    from vad_toolkit.models.registry import list_methods as list_methods
    from vad_toolkit.models.registry import register_method as register_method
    from vad_toolkit.packs.merge import merge_packs as merge_packs
    from vad_toolkit.packs.pack import open_pack as open_pack
    from vad_toolkit.packs.split import split_pack as split_pack
    from vad_toolkit.packs.write import write_pack as write_pack
    from vad_toolkit.recipes.recipe import list_recipes as list_recipes
    from vad_toolkit.recipes.recipe import load_recipe as load_recipe
    from vad_toolkit.scoring.alarms import find_alarms as find_alarms
    from vad_toolkit.scoring.predict import predict as predict
    from vad_toolkit.sharing.card import write_card as write_card
    from vad_toolkit.training.load_config import load_config as load_config
    from vad_toolkit.training.train import train as train
    from vad_toolkit.video.reader import Decoder as Decoder
    from vad_toolkit.video.registry import register_decoder as register_decoder
    from vad_toolkit.video.survey import probe as probe
    from vad_toolkit.weights.store import check_weights as check_weights
    from vad_toolkit.weights.store import get_weights as get_weights
    from vad_toolkit.weights.store import import_weights as import_weights
    from vad_toolkit.weights.store import list_weights as list_weights

    read_manifest = find_manifest

# Where each public name is, in the order of a pipeline: this is the order of docs/api.md.
_MODULES = {
    "get_weights": "weights.store",
    "list_weights": "weights.store",
    "import_weights": "weights.store",
    "check_weights": "weights.store",
    "probe": "video.survey",
    "list_recipes": "recipes.recipe",
    "load_recipe": "recipes.recipe",
    "list_backbones": "backbones.registry",
    "extract": "api",
    "estimate_extraction": "api",
    "open_pack": "packs.pack",
    "write_pack": "packs.write",
    "merge_packs": "packs.merge",
    "split_pack": "packs.split",
    "import_features": "interchange.importing",
    "export_features": "interchange.exporting",
    "compare": "interchange.compare",
    "write_card": "sharing.card",
    "compose_videos": "compose.compose",
    "list_datasets": "datasets.registry",
    "build_manifest": "datasets.building.builder",
    "read_manifest": "datasets.registry:find_manifest",
    "check_manifest": "fit",
    "export_ground_truth": "evaluation.ground_truth",
    "list_methods": "models.registry",
    "load_config": "training.load_config",
    "train": "training.train",
    "evaluate": "evaluation.evaluate",
    "predict": "scoring.predict",
    "compute_metrics": "evaluation.metrics",
    "find_alarms": "scoring.alarms",
    "register_backbone": "backbones.registry",
    "register_method": "models.registry",
    "register_decoder": "video.registry",
    "register_layout": "interchange.layouts.registry",
    "register_metric": "evaluation.registry",
    "register_flow": "flow.registry",
    "register_dataset": "datasets.registry",
    "load_plugin": "core.registry",
    # Base classes and descriptions for plugins.
    "Backbone": "backbones.backbone",
    "BackboneInfo": "backbones.registry",
    "MilModel": "models.base",
    "Output": "models.base",
    "TrainConfig": "models.config",
    "MethodLosses": "models.config",
    "Decoder": "video.reader",
    "Layout": "interchange.layouts.layout",
    "Metric": "evaluation.registry",
}
__all__ = [*_MODULES, "errors"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'vad_toolkit' has no attribute {name!r}")
    if name == "errors":
        return import_module("vad_toolkit.errors")
    module, _, attribute = _MODULES[name].partition(":")
    value = getattr(import_module(f"vad_toolkit.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
