"""Names of metrics that would hide fields of the results are refused."""

from __future__ import annotations

import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.registry import RESERVED, Metric, register_metric


@pytest.mark.parametrize("name", RESERVED)
def test_names_that_a_metric_may_not_have(name: str) -> None:
    with pytest.raises(InputError, match=f"a metric cannot be called '{name}'"):
        register_metric(name, Metric(lambda sample: 0.0, "nothing"))
