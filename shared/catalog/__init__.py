"""Every algorithm there is. To add one: its declaration here, its code in backend/algorithms under the same name."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from ..algorithm import AlgorithmSpec
from ..declaration_checks import check_catalog
from . import hydrology, morphology, noise, paint, scan_texture, terrain, texture
from .extra import modules

ALGORITHMS: tuple[AlgorithmSpec, ...] = (
    noise.SPEC,
    terrain.SPEC,
    morphology.SPEC,
    hydrology.SPEC,
    scan_texture.SPEC,
    texture.SPEC,
    paint.SPEC,
)
check_catalog(ALGORITHMS)


def algorithms() -> tuple[AlgorithmSpec, ...]:
    """Ours, then those of the packages that RELIEVO_EXTRA_ALGORITHMS names (extra.py). Cheap after the first call.

    Raises BackendUnavailable for a package that cannot be used, DeclarationError for two engines of one name or number.
    """
    return _with(modules())


@cache
def _with(extra: tuple[ModuleType, ...]) -> tuple[AlgorithmSpec, ...]:
    found = (*ALGORITHMS, *(spec for module in extra for spec in module.SPECS))
    check_catalog(found)
    return found
