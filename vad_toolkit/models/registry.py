"""Registry of the methods, and the function that builds their networks.

To add a method to the toolkit, write one module with a `METHOD` and add its line to `METHODS`; from
outside, call `register_method` in a plugin (docs/model.md). Listing the names imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vad_toolkit.core.registry import Registry
from vad_toolkit.errors import InputError
from vad_toolkit.models.config import TrainConfig

if TYPE_CHECKING:
    from vad_toolkit.models.base import Method, MilModel

METHODS: Registry[Method] = Registry(
    "method",
    {
        "clav-como": "vad_toolkit.models.clav_como.model:METHOD",
        "linear": "vad_toolkit.models.linear:METHOD",
        "sultani": "vad_toolkit.models.sultani:METHOD",
        "rtfm": "vad_toolkit.models.rtfm:METHOD",
        "ur-dmu": "vad_toolkit.models.ur_dmu:METHOD",
        "mgfn": "vad_toolkit.models.mgfn:METHOD",
    },
)


def register_method(
    name: str,
    *,
    config: type[TrainConfig],
    build: Callable[[int, Any], MilModel],
    summary: str = "",
) -> None:
    """Register a method, so that configs, training, evaluation and prediction know it by name.

    Args:
        name: The method's name, which is also the name of its default config.
        config: The class of its configs. Every field needs a default, that of `method` is `name`.
        build: Returns the untrained network; called as `build(input_dim, config)`. The class of the
            network itself will do.
        summary: One line that describes the method.

    Raises:
        InputError: If another module has registered the name, or `config` is of another method.

    Example:
        >>> register_method("logistic", config=LogisticConfig, build=Logistic)  # doctest: +SKIP
    """
    from vad_toolkit.models.base import Method

    default = config.model_fields["method"].default
    if default != name:
        raise InputError(
            f"method {name!r}: {config.__name__}.method must have the default {name!r}, "
            f"got {default!r}"
        )
    missing = [key for key, field in config.model_fields.items() if field.is_required()]
    if missing:
        raise InputError(f"method {name!r}: {config.__name__}.{missing[0]} needs a default")
    METHODS.register(name, Method(config, build, summary))


def list_methods() -> list[str]:
    """Return the names of the methods, built in and from plugins.

    Example:
        >>> list_methods()
        ['clav-como', 'linear', 'sultani', 'rtfm', 'ur-dmu', 'mgfn']
    """
    return list(METHODS)


def method_of(config: TrainConfig) -> Method:
    """Return the method that `config` belongs to.

    Raises:
        InputError: If `config.method` is not registered, or is registered with another class of
            configs: a class derived from a method's config is not a config of that method.
    """
    method = METHODS[config.method]
    if type(config) is not method.config:
        raise InputError(
            f"method {config.method!r} takes a {method.config.__name__}, got a "
            f"{type(config).__name__}; register a method of your own for it (register_method)"
        )
    return method


def build_model(config: TrainConfig, input_dim: int) -> MilModel:
    """Return the untrained network of a config, initialized from torch's random state.

    `input_dim` is D, the number of features per snippet. Raises InputError as `method_of`.
    """
    return method_of(config).build(input_dim, config)
