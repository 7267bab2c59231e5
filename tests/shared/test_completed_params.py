"""A recipe of an older version names every parameter that it knew; what came later takes the value that changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from shared.catalog import algorithms
from shared.catalog.morphology import MorphologyParams
from shared.params import check_value, completed, describe, param, to_json


@dataclass(frozen=True, kw_only=True)
class Grown:
    size: int = param(4, label="Size", help="As ever")
    scale: str = param("fit", label="Scale", help="Added later", before="true")
    margin: int = param(8, label="Margin", help="Added later still", before=0)


@pytest.mark.parametrize(
    ("recorded", "meant"),
    [
        ({"size": 5}, {"size": 5, "scale": "true", "margin": 0}),
        ({"size": 5, "scale": "fit"}, {"size": 5, "scale": "fit", "margin": 0}),
        ({"size": 5, "scale": "fit", "margin": 8}, {"size": 5, "scale": "fit", "margin": 8}),
        ({"scale": "fit"}, {"scale": "fit"}),  # written by hand: defaults
        ({}, {}),
    ],
)
def test_only_a_complete_record_is_completed(recorded: dict[str, Any], meant: dict[str, Any]) -> None:
    assert completed(Grown, recorded) == meant


def test_relief_transfer_of_version_1_is_completed() -> None:
    recorded = to_json(MorphologyParams())
    for name in ("scale", "level", "legacy"):
        del recorded[name]
    found = completed(MorphologyParams, recorded)
    assert (found["scale"], found["level"], found["legacy"]) == ("true", "exemplar", True)


def test_relief_transfer_of_version_3_keeps_its_exemplars() -> None:
    recorded = to_json(MorphologyParams())
    del recorded["edition"]
    assert completed(MorphologyParams, recorded)["edition"] == "1"
    assert MorphologyParams().edition == "2"


@pytest.mark.parametrize("spec", algorithms(), ids=lambda spec: spec.name)
def test_values_before_are_values(spec: Any) -> None:
    """It may be the default: without one a record that lacks the parameter counts as written by hand."""
    for parameter in describe(spec.params):
        if parameter.before is not None:
            assert check_value(parameter, parameter.before) == parameter.before
