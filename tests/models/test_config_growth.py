"""A field that is added with a default changes no hash, and no older run or checkpoint."""

from __future__ import annotations

from typing import ClassVar

import pytest

from vad_toolkit.models.config import DataConfig, TrainConfig
from vad_toolkit.models.registry import METHODS
from vad_toolkit.models.sultani import SultaniConfig, SultaniHead
from vad_toolkit.models.ur_dmu import UrDmuConfig


class LaterHead(SultaniHead):
    layers: int = 2


class LaterData(DataConfig):
    shuffle: bool = False


class LaterConfig(SultaniConfig):
    """As the config of a later version."""

    head: LaterHead = LaterHead()
    data: LaterData = LaterData()
    patience: int = 0


class LaterUrDmu(UrDmuConfig):
    data: LaterData = LaterData(segments=200, standardise=False, shuffle=True)


def test_fields_at_their_default_leave_the_hash_as_it_is() -> None:
    settings = {"steps": 7, "head": {"dropout": 0.5}, "data": {"segments": 9}}
    old, new = SultaniConfig.model_validate(settings), LaterConfig.model_validate(settings)
    assert new.canonical_json() == old.canonical_json()
    assert new.sha256 == old.sha256
    assert set(new.model_dump()) == set(old.model_dump()) | {"patience"}


@pytest.mark.parametrize(
    ("changes", "section", "field"),
    [
        ({"patience": 3}, None, "patience"),
        ({"head": {"layers": 3}}, "head", "layers"),
        ({"data": {"shuffle": True}}, "data", "shuffle"),
    ],
)
def test_other_values_of_them_change_it(changes: dict, section: str | None, field: str) -> None:
    config = LaterConfig.model_validate(changes)
    assert config.sha256 != SultaniConfig().sha256
    fields = config.canonical_fields()
    value = (changes[section] if section else changes)[field]
    assert (fields[section] if section else fields)[field] == value


def test_the_default_is_that_of_the_section_in_its_method() -> None:
    assert LaterUrDmu().sha256 == UrDmuConfig().sha256
    config = LaterUrDmu.model_validate({"data": {"segments": 200, "standardise": False}})
    assert config.canonical_fields()["data"]["shuffle"] is False


@pytest.mark.parametrize("method", METHODS)
def test_all_fields_of_the_first_release_are_always_written(method: str) -> None:
    """A field that is not in VERSION_1 would be missing in checkpoints for version 0.1.0."""
    config = METHODS[method].config.model_validate({})
    assert config.canonical_fields() == config.model_dump(mode="json")


def test_sections_have_their_own_list() -> None:
    """A list that a section takes over from its base would let fields go missing."""
    lists: ClassVar = {
        kind.VERSION_1 for name in METHODS for kind in sections(METHODS[name].config)
    }
    assert all(lists)


def sections(config: type[TrainConfig]) -> list[type]:
    names = {"head", "losses", "data"} & config.model_fields.keys()
    return [type(getattr(config.model_validate({}), name)) for name in names]
