"""Public names and where they come from; `__init__.py` loads them lazily by this list."""

# Weights and videos
from .weights.store import get_weights as get_weights
from .weights.store import list_weights as list_weights
from .weights.store import import_weights as import_weights
from .weights.store import check_weights as check_weights
from .video.survey import probe as probe

# Features
from .recipes.recipe import list_recipes as list_recipes
from .recipes.recipe import load_recipe as load_recipe
from .backbones.registry import list_backbones as list_backbones
from .api import extract as extract
from .api import estimate_extraction as estimate_extraction
from .packs.pack import open_pack as open_pack
from .packs.write import write_pack as write_pack
from .packs.merge import merge_packs as merge_packs
from .packs.split import split_pack as split_pack
from .interchange.importing import import_features as import_features
from .interchange.exporting import export_features as export_features
from .interchange.compare import compare as compare
from .sharing.card import write_card as write_card
from .compose.compose import compose_videos as compose_videos

# Manifests and ground truth
from .datasets.registry import list_datasets as list_datasets
from .datasets.building.builder import build_manifest as build_manifest
from .api import read_manifest as read_manifest
from .fit import check_manifest as check_manifest
from .evaluation.audit import audit_manifest as audit_manifest
from .evaluation.ground_truth import export_ground_truth as export_ground_truth

# Training, evaluation and prediction
from .models.registry import list_methods as list_methods
from .training.load_config import load_config as load_config
from .training.train import train as train
from .evaluation.evaluate import evaluate as evaluate
from .scoring.predict import predict as predict
from .evaluation.metrics import compute_metrics as compute_metrics
from .scoring.alarms import find_alarms as find_alarms

# Plugins
from .backbones.registry import register_backbone as register_backbone
from .models.registry import register_method as register_method
from .video.registry import register_decoder as register_decoder
from .interchange.layouts.registry import register_layout as register_layout
from .evaluation.registry import register_metric as register_metric
from .flow.registry import register_flow as register_flow
from .datasets.registry import register_dataset as register_dataset
from .core.registry import load_plugin as load_plugin
from .backbones.backbone import Backbone as Backbone
from .backbones.registry import BackboneInfo as BackboneInfo
from .models.base import MilModel as MilModel
from .models.base import Output as Output
from .models.config import TrainConfig as TrainConfig
from .models.config import MethodLosses as MethodLosses
from .video.reader import Decoder as Decoder
from .interchange.layouts.layout import Layout as Layout
from .evaluation.registry import Metric as Metric

# Errors
from . import errors as errors

__version__: str
__all__: list[str]
