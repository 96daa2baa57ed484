"""Metrics that would hide fields of the results, or are none, or fail, are refused by name."""

from __future__ import annotations

import pytest

from vad_toolkit.errors import InputError, VadError
from vad_toolkit.evaluation.registry import RESERVED, Metric, measure, register_metric


@pytest.mark.parametrize("name", RESERVED)
def test_names_that_a_metric_may_not_have(name: str) -> None:
    with pytest.raises(InputError, match=f"a metric cannot be called '{name}'"):
        register_metric(name, Metric(lambda sample: 0.0, "nothing"))


def test_a_function_is_no_metric() -> None:
    with pytest.raises(InputError, match="metric 'one' must be a Metric, got function"):
        register_metric("one", lambda sample: 1.0)  # type: ignore[arg-type]


def test_a_metric_that_fails_is_named() -> None:
    metric = Metric(lambda sample: 1 / 0, "nothing")
    with pytest.raises(VadError, match=r"metric 'bad' failed \(ZeroDivisionError: division"):
        measure(None, {"bad": metric})  # type: ignore[arg-type]
