from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest

from airflow_dcp_provider.model.json_ready import json_ready


class Colour(StrEnum):
    RED = "red"


class Word(str, Enum):  # noqa: UP042 - shown otherwise than it is written
    ONE = "one"


class Level(IntEnum):
    LOW = 1


@dataclass(frozen=True)
class Part:
    names: tuple[str, ...] = ("a", "b")
    more: Any = field(default_factory=dict)


@pytest.mark.parametrize(
    "value",
    [Colour.RED, Word.ONE, Level.LOW, True, None, 1.5, ("a", [1, {"b": (2,)}]), {"colour": Colour.RED, "levels": (Level.LOW,)}],
)
def test_a_value_is_what_it_is_after_a_way_through_json(value: Any) -> None:
    ready = json_ready(value)
    assert ready == json.loads(json.dumps(value))
    assert type(ready) is type(json.loads(json.dumps(value)))


def test_dataclasses_and_other_maps_become_maps() -> None:
    assert json_ready(Part(more=MappingProxyType({"part": Part()}))) == {
        "names": ["a", "b"],
        "more": {"part": {"names": ["a", "b"], "more": {}}},
    }
