"""A texture that covers the UV square of a mesh once: how many pixels that takes, and in which directions it has to go on.

For engines whose size and tiling are parameters, by the roles of these. Reads the mesh's UVs: not for draw().
"""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np

from .. import typed
from ..shared.algorithm import AlgorithmSpec
from ..shared.errors import InvalidInput
from ..shared.params import Param, with_role
from ..units import metres_per_unit
from ..writers import uv_sizes

USUAL_DENSITY = 256.0  # pixels per metre: a photograph of 512 pixels covers 2 m
_REACH = 1e-3  # of the UV square: UVs that end at its border may lie a rounding beyond


def can_fill(spec: AlgorithmSpec) -> bool:
    """Whether an engine's surface has the size that one asks for. Cheap: for draw()."""
    return spec.makes == "surface" and len(with_role(spec.parameters, "size")) == 2


def parameters(spec: AlgorithmSpec) -> tuple[Param, ...]:
    """The parameters that a mesh's UVs decide: the two sides, and the tiling where there is one. Cheap: for draw()."""
    return with_role(spec.parameters, "size")[:2] + with_role(spec.parameters, "tiling")[:1]


def values(
    scene: bpy.types.Scene, spec: AlgorithmSpec, item: bpy.types.Object, uv_layer: str, density: float
) -> dict[str, Any]:
    """These parameters for a mesh. density: pixels per metre of its surface. Raises InvalidInput where the mesh has no UVs, or the
    texture would be too large or too small for the engine.
    """
    layer = typed.mesh(item).uv_layers.get(uv_layer)
    if layer is None or not len(layer.uv):
        raise InvalidInput(f"{item.name} has no UVs to fill.", hint="Unwrap it first (U in Edit Mode).")
    sizes_m = [size * metres_per_unit(scene) for size in uv_sizes.of_square(item, uv_layer)]
    sides = [2 * round(size_m * density / 2) for size_m in sizes_m]  # even, as sides that tile have to be
    first, second, *tiling = parameters(spec)
    _check(item, sizes_m, sides, (first, second), density)
    found: dict[str, Any] = {first.name: sides[0], second.name: sides[1]}
    return found | {parameter.name: _directions(layer, parameter) for parameter in tiling}


def _check(
    item: bpy.types.Object, sizes_m: list[float], sides: list[int], parameters: tuple[Param, Param], density: float
) -> None:
    most, least = (int(getattr(parameters[0], bound) or 0) for bound in ("max", "min"))
    if most and max(sides) > most:
        better = f"{math.floor(10 * most / max(sizes_m)) / 10:,.10g} or less"
    elif min(sides) < least:
        better = f"{math.ceil(10 * least / min(sizes_m)) / 10:,.10g} or more"
    else:
        return
    raise InvalidInput(
        f"The UV square of {item.name} is {sizes_m[0]:.3g} x {sizes_m[1]:.3g} m: at {density:.10g} pixels per metre its texture "
        f"would have {sides[0]} x {sides[1]} pixels; {least} to {most} are possible.",
        hint=f"Set Texel Density to {better}.",
        field="texel_density",
    )


def _directions(layer: bpy.types.MeshUVLoopLayer, parameter: Param) -> str:
    """Of the tiling's choices, the one that goes on where UVs leave the square, and no further."""
    uv = np.empty(len(layer.uv) * 2, np.float32)
    layer.uv.foreach_get("vector", uv)
    leaves = ((uv < -_REACH) | (uv > 1.0 + _REACH)).reshape(-1, 2)
    wanted = "".join(axis for number, axis in enumerate("xy") if leaves[:, number].any()) or "none"
    return wanted if wanted in dict(parameter.choices) else str(parameter.default)
