"""Every algorithm there is. To add one: its declaration here, its code in backend/algorithms under the same name."""

from __future__ import annotations

from ..algorithm import AlgorithmSpec
from . import hydrology, morphology, noise, scan_texture
from .extra import modules

ALGORITHMS: tuple[AlgorithmSpec, ...] = (noise.SPEC, morphology.SPEC, hydrology.SPEC, scan_texture.SPEC)


def algorithms() -> tuple[AlgorithmSpec, ...]:
    """Ours, then those of the packages that RELIEVO_EXTRA_ALGORITHMS names (extra.py). Cheap after the first call.

    Raises BackendUnavailable for a package that cannot be used.
    """
    return (*ALGORITHMS, *(spec for module in modules() for spec in module.SPECS))
