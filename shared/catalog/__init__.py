"""Every algorithm there is. To add one: its declaration here, its code in backend/algorithms under the same name."""

from __future__ import annotations

from ..algorithm import AlgorithmSpec
from . import hydrology, morphology, noise, scan_texture

ALGORITHMS: tuple[AlgorithmSpec, ...] = (noise.SPEC, morphology.SPEC, hydrology.SPEC, scan_texture.SPEC)
