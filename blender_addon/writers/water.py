"""Seas, lakes and rivers: a surface of its own over a terrain, a child of it that moves and is scaled with it.

Only where water is: a sea or lake at its own level, flat, a river falling smoothly. It reaches one pixel under the shore, so that
it ends in the ground and not at a stair of pixels; at the map's border it goes down to the bed, or one would look under it. The
ground below stays as the engine made it. Water that a person has given another material keeps that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import bpy
import numpy as np

from .. import typed
from ..datablocks.grid import lattice
from ..shared.arrays import HEIGHT_MAP, MASK, Array
from . import own_data, water_edges
from .shader_graph import ShaderGraph

MASK_PORT, LEVEL_PORT = "water", "water_level"  # outputs of an engine: where water is, and how high its surface stands
KEY = "relievo_water"  # custom property of a water surface
MATERIAL, DEPTH = "Relievo Water", "depth"
_KEY, _VERSION = "relievo_water_material", 1
STEEPEST, SAME_M = 1.0, 1e-3  # a river, rise per run: steeper is a step between two bodies. Metres: what is one vertex
BED_SLOPE, SHELF_PX, LIFT_PX = (
    0.1,
    8,
    0.02,
)  # of beds that nobody knows: rise per run, how far out; and how high water stands
BLOCK = 16  # cells on each side of a face of open water
DEEP, SHALLOW = (0.006, 0.020, 0.026), (0.020, 0.055, 0.055)  # linear
CLEAR_M = 6.0  # depth at which most of the ground below is out of sight
THINNEST = 0.45  # opacity at the shore


@dataclass(frozen=True)
class Surface:
    """Faces of water: corners [F, 4] of vertices, counter-clockwise from above; positions [V, 3] metres; depth [V] metres."""

    positions: np.ndarray
    corners: np.ndarray
    depth: np.ndarray


def taken(outputs: Mapping[str, Array]) -> tuple[dict[str, Array], Array | None]:
    """The outputs without the level of the water, and that level; None where the engine makes none."""
    level = outputs.get(LEVEL_PORT)
    if level is None or level.kind is not HEIGHT_MAP:
        return dict(outputs), None
    return {name: array for name, array in outputs.items() if name != LEVEL_PORT}, level


def is_dry(outputs: Mapping[str, Array]) -> bool:
    """Whether there is a mask of water among the outputs, and no water in it."""
    mask = outputs.get(MASK_PORT)
    return mask is not None and mask.kind is MASK and not mask.values.any()


def of(item: bpy.types.Object) -> bpy.types.Object | None:
    """The water over a terrain, None where it has none."""
    return next((child for child in item.children if KEY in child), None)


def renew(item: bpy.types.Object, heights: Array, mask: Array | None, level: Array | None) -> None:
    """Give a terrain its water, or other water than it had. Without any, water that was there is hidden and empty."""
    surface = _surface(heights, mask, level)
    made = of(item)
    if surface is None:
        if made is not None:
            typed.mesh(made).clear_geometry()
            _show(made, in_views=False, in_renders=False)
        return
    if made is None:
        made = _new(item)
    elif not len(typed.mesh(made).vertices):
        _show(made, in_views=True, in_renders=not item.hide_render)
    fill(typed.mesh(made), surface.positions, surface.corners, surface.depth)


def _surface(heights: Array, mask: Array | None, level: Array | None) -> Surface | None:
    if level is None or level.values.shape != heights.values.shape:
        return None
    if mask is not None and mask.kind is MASK and mask.values.shape == heights.values.shape:
        is_water = mask.values > 0.5
    else:
        is_water = level.values > heights.values
    if not is_water.any():
        return None
    bed, top = _with_a_bed(heights.values, is_water, level.values, heights.pixel_size_m)
    return surface(bed, is_water, top, heights.pixel_size_m)


def _with_a_bed(
    heights: np.ndarray, is_water: np.ndarray, level: np.ndarray, pixel_size_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Heights and levels of water. Where a map shows the surface of its lakes and nobody knows their beds, water stands a little
    higher than the ground, or the two would flicker, and is taken to be the deeper the farther from the shore."""
    unknown = is_water & (level - heights < SAME_M)
    if 2 * np.count_nonzero(unknown) < np.count_nonzero(is_water):
        return heights, level
    depth, left = np.zeros(heights.shape, np.float32), unknown
    for _ in range(SHELF_PX):
        depth += np.where(left, np.float32(BED_SLOPE * pixel_size_m), np.float32(0.0))
        padded = np.pad(left, 1, mode="edge")
        left = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:] & left
    return heights - depth, np.where(is_water, level + np.float32(LIFT_PX * pixel_size_m), level)


def surface(heights: np.ndarray, is_water: np.ndarray, level: np.ndarray, pixel_size_m: float) -> Surface | None:
    """The faces of a map's water, None where there are none. A face has at least one corner in water; the others take its level.

    Open water is made of large faces. Where two bodies of different levels meet in a face, each gets a face of its own.
    """
    wide, rest = _open_water(is_water, level)
    columns = heights.shape[1]
    corners = rest[:, None] + np.array([0, columns, columns + 1, 1])
    flat = level.ravel()
    own = np.where(is_water.ravel()[corners], flat[corners].astype(np.float64), np.nan)
    step = STEEPEST * pixel_size_m
    apart = np.nanmax(own, axis=1, initial=-np.inf) - np.nanmin(own, axis=1, initial=np.inf) > step
    cells = [wide, corners[~apart]]
    levels = [flat[wide], _with_shore(own[~apart], corners[~apart], heights.size, step)]
    for corner in range(4):
        mine = own[:, corner]
        is_first = ~np.isnan(mine) & ~(own[:, :corner] == mine[:, None]).any(axis=1) & apart
        cells.append(corners[is_first])
        levels.append(np.repeat(mine[is_first, None], 4, axis=1))
    every = np.concatenate(cells)
    if not len(every):
        return None
    top = _welded(heights, every, np.concatenate(levels).astype(np.float32), pixel_size_m)
    return _joined(top, water_edges.sides(heights, is_water, level, pixel_size_m))


def _joined(top: Surface, sides: np.ndarray) -> Surface:
    """The level surface and its sides, as water_edges.py gives them, which share no vertex with it, nor its shading."""
    first = len(top.positions)
    vertices = sides.reshape(-1, 4).astype(np.float32)
    corners = first + np.arange(len(vertices), dtype=np.int32).reshape(-1, 4)
    return Surface(
        np.concatenate([top.positions, vertices[:, :3]]),
        np.concatenate([top.corners, corners]),
        np.concatenate([top.depth, vertices[:, 3]]),
    )


def _with_shore(own: np.ndarray, corners: np.ndarray, pixels: int, step: float) -> np.ndarray:
    """Levels of corners [F, 4], those on land (NaN) included: the highest water beside the pixel, if it is the same body's."""
    highest = np.nanmax(own, axis=1, initial=-np.inf)
    order = np.argsort(highest, kind="stable")
    beside = np.full(pixels, -np.inf)
    beside[corners[order].ravel()] = np.repeat(highest[order], 4)  # the last of a pixel's faces, its highest, stays
    shore = beside[corners]
    shore = np.where(shore - highest[:, None] > step, highest[:, None], shore)
    return np.where(np.isnan(own), shore, own)


def _open_water(is_water: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners [F, 4] of blocks of cells that lie in one level body, and the upper left pixels of all other cells with water."""
    rows, columns = is_water.shape
    wet = is_water[:-1, :-1] | is_water[1:, :-1] | is_water[1:, 1:] | is_water[:-1, 1:]
    down, right = (rows - 1) // BLOCK, (columns - 1) // BLOCK
    values = np.where(is_water, level, np.nan).astype(np.float32)

    if not (down and right):
        return np.empty((0, 4), np.int64), np.flatnonzero(np.pad(wet, ((0, 1), (0, 1))))
    windows = np.lib.stride_tricks.sliding_window_view(values, (BLOCK + 1, BLOCK + 1))[::BLOCK, ::BLOCK]
    is_open = windows.min(axis=(2, 3)) == windows.max(axis=(2, 3))  # false where there is a NaN
    wet[: down * BLOCK, : right * BLOCK] &= ~np.kron(is_open, np.ones((BLOCK, BLOCK), bool))
    row, column = np.nonzero(is_open)
    top_left = row * BLOCK * columns + column * BLOCK
    wide = top_left[:, None] + BLOCK * np.array([0, columns, columns + 1, 1])
    return wide, np.flatnonzero(np.pad(wet, ((0, 1), (0, 1))))


def _welded(heights: np.ndarray, cells: np.ndarray, levels: np.ndarray, pixel_size_m: float) -> Surface:
    """Corners of one pixel and one level as one vertex: a vertex per pixel, and more where bodies of two levels share one."""
    used = np.full(heights.size, np.nan, np.float32)
    used[cells.ravel()] = levels.ravel()
    is_shared = (np.abs(used[cells] - levels) > SAME_M).any(axis=1)
    used[:] = np.nan
    used[cells[~is_shared].ravel()] = levels[~is_shared].ravel()
    pixels = np.flatnonzero(~np.isnan(used))
    numbers = np.cumsum(~np.isnan(used)) - 1
    keys = np.empty(cells[is_shared].size, [("pixel", np.int64), ("level", np.float32)])
    keys["pixel"], keys["level"] = cells[is_shared].ravel(), levels[is_shared].ravel()
    more, back = np.unique(keys, return_inverse=True)
    corners = np.empty(cells.shape, np.int32)
    corners[~is_shared] = numbers[cells[~is_shared]]
    corners[is_shared] = len(pixels) + back.reshape(-1, 4)
    return _placed(
        heights, np.append(pixels, more["pixel"]), np.append(used[pixels], more["level"]), corners, pixel_size_m
    )


def _placed(
    heights: np.ndarray, pixels: np.ndarray, levels: np.ndarray, corners: np.ndarray, pixel_size_m: float
) -> Surface:
    rows, columns = heights.shape
    x, y = lattice(rows, columns, pixel_size_m)
    row, column = np.divmod(pixels.astype(np.int64), columns)
    positions = np.stack([x[column], y[row], levels], axis=-1).astype(np.float32)
    depth = np.maximum(levels - heights.ravel()[pixels.astype(np.int64)], 0.0).astype(np.float32)
    return Surface(positions, corners, depth)


# In Blender -----------------------------------------------------------------------------------------------------------------


def _new(item: bpy.types.Object) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(f"{item.name} Water")
    made = bpy.data.objects.new(mesh.name, mesh)
    made[KEY] = True
    made.parent = item
    for collection in item.users_collection:
        collection.objects.link(made)
    mesh.materials.append(material())
    return made


def _show(made: bpy.types.Object, *, in_views: bool, in_renders: bool) -> None:
    """Apart from the eye in the outliner, which is the terrain's and the user's."""
    made.hide_viewport, made.hide_render = not in_views, not in_renders


def material() -> bpy.types.Material:
    """That of all waters in the file."""
    return own_data.material(MATERIAL, _KEY, _VERSION, _water)


def fill(mesh: bpy.types.Mesh, positions: np.ndarray, corners: np.ndarray, depth: np.ndarray) -> None:
    """Other faces of water for a mesh, as Surface has them."""
    mesh.clear_geometry()
    mesh.vertices.add(len(positions))
    typed.positions(mesh).foreach_set("vector", positions.ravel())
    mesh.loops.add(corners.size)
    mesh.loops.foreach_set("vertex_index", corners.ravel())
    mesh.polygons.add(len(corners))
    mesh.polygons.foreach_set("loop_start", np.arange(0, corners.size, 4, dtype=np.int32))
    attribute = typed.of(mesh.attributes.new(DEPTH, "FLOAT", "POINT"), bpy.types.FloatAttribute)
    attribute.data.foreach_set("value", depth)
    mesh.update(calc_edges=True)
    mesh.shade_smooth()


def _water(graph: ShaderGraph, made: bpy.types.Material) -> None:
    """The one material of all waters in the file: dark where it is deep, and at the shore thin enough for the ground to be seen."""
    shade = graph.math("POWER", 0.3678794, graph.math("DIVIDE", graph.attribute(DEPTH), CLEAR_M))  # Beer-Lambert
    shader = graph.node("ShaderNodeBsdfPrincipled")
    graph.feed(shader.inputs["Base Color"], graph.mix(shade, DEEP, SHALLOW))
    graph.feed(shader.inputs["Roughness"], 0.08)
    graph.feed(shader.inputs["IOR"], 1.333)
    graph.feed(shader.inputs["Alpha"], graph.math("MULTIPLY_ADD", shade, THINNEST - 1.0, 1.0))
    output = graph.node("ShaderNodeOutputMaterial")
    graph.feed(output.inputs["Surface"], shader.outputs["BSDF"])
    made.diffuse_color = (*SHALLOW, 1.0)  # pyright: ignore[reportAttributeAccessIssue]  # in Solid shading; it takes tuples
