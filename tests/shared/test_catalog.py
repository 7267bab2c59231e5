"""Engines of other packages: found by name, with the classes of whichever `shared` asks for them."""

from __future__ import annotations

import sys

import pytest

import blender_addon.shared.catalog as addon_catalog
import shared.catalog as catalog
from shared.errors import BackendUnavailable

TOYS = "tests.support.toy_engines"


def test_both_sides_have_the_same_engines_each_of_its_own_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELIEVO_EXTRA_ALGORITHMS", TOYS)
    here, there = catalog.algorithms(), addon_catalog.algorithms()
    assert {spec.name: spec.digest for spec in here} == {spec.name: spec.digest for spec in there}
    assert len(here) == len(catalog.ALGORITHMS) + 4
    for spec in there:
        assert isinstance(spec, addon_catalog.AlgorithmSpec)
        assert not isinstance(spec, catalog.AlgorithmSpec)
    assert sys.modules["shared.catalog"] is catalog, "no other module sees another `shared`"
    monkeypatch.delenv("RELIEVO_EXTRA_ALGORITHMS")
    assert catalog.algorithms() == catalog.ALGORITHMS


@pytest.mark.parametrize("package", [catalog, addon_catalog])
def test_a_module_that_cannot_be_used_is_said(package: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, reason in (("no_such_module", "No module named"), ("json", "it has no SPECS")):
        monkeypatch.setenv("RELIEVO_EXTRA_ALGORITHMS", name)
        with pytest.raises(Exception, match=reason) as caught:
            package.algorithms()  # type: ignore[attr-defined]
        assert type(caught.value).__name__ == BackendUnavailable.__name__
        assert name in str(caught.value)
