"""The mesh that carries a terrain: a grid of quads with one vertex a pixel, at real distances, made in a fraction
of a second.

Blender's own Mesh Grid node makes the topology, which is an order of magnitude faster than handing over faces and
letting Blender find the edges (benchmarks/terrain_mesh.py). The node counts x first; here its x axis runs down the
rows and its y axis along them (a quarter turn, so that faces still look up), and a mesh's vertices lie in the very
order of an array's cells, top row first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

import bpy
import numpy as np
from mathutils import Matrix

from .. import typed
from ..datablocks.grid import GRID_KEY, SPACING_KEY, lattice, shape_of
from ..shared.errors import InvalidInput

UV_NAME = "UVMap"
STEP_FACES = 1 << 21  # whose UVs take about 0.2 s
PLANE_QUADS = 16  # a side of build_plane(): enough for Cycles to dice in pieces

_plane: tuple[tuple[int, int, float], np.ndarray] | None = None  # the last grid's positions: previews come ten a second


def build(name: str, heights: np.ndarray, pixel_size_m: float) -> bpy.types.Mesh:
    """A new mesh with vertex (r, c) at x = (c - (W-1)/2) p, y = ((H-1)/2 - r) p, z = heights[r, c], for p =
    pixel_size_m.

    heights: float32 [H, W] metres, top row first, at least 2 x 2. The top row is the farthest along +Y. The UV map
    samples an image of H x W pixels at their centres. Shaded smooth.
    """
    steps = build_in_steps(name, heights, pixel_size_m)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def build_in_steps(name: str, heights: np.ndarray, pixel_size_m: float) -> Generator[float, None, bpy.types.Mesh]:
    """The same in pieces of a fraction of a second each, for large grids: yields the share that is done, returns the mesh."""
    rows, columns = heights.shape
    if min(rows, columns) < 2:
        raise InvalidInput(f"A terrain of {rows} x {columns} has no faces.", hint="It takes at least 2 x 2 heights.")
    mesh = _topology(name, rows, columns)
    try:
        yield 0.25
        for share in _uv_in_steps(mesh, (np.arange(columns) + 0.5) / columns, 1.0 - (np.arange(rows) + 0.5) / rows):
            yield 0.25 + 0.65 * share
    except GeneratorExit:  # nobody wants it any more
        with contextlib.suppress(ReferenceError):  # an undo has taken it already
            bpy.data.meshes.remove(mesh)
        raise
    mesh[GRID_KEY] = [rows, columns]
    mesh[SPACING_KEY] = float(pixel_size_m)
    update_heights(mesh, heights)
    mesh.shade_smooth()
    return mesh


def build_plane(name: str, shape: tuple[int, int], pixel_size_m: float) -> bpy.types.Mesh:
    """A flat mesh of a few quads that covers what build() covers for heights of `shape`, with the same UV map: for
    subdivision.
    """
    rows, columns = shape
    count = PLANE_QUADS + 1
    mesh = _topology(name, count, count)
    along = np.linspace(0.0, 1.0, count)
    for _ in _uv_in_steps(mesh, (0.5 + along * (columns - 1)) / columns, 1.0 - (0.5 + along * (rows - 1)) / rows):
        pass  # so few are one step
    positions = np.zeros((count, count, 3), np.float32)
    positions[..., 0] = (along - 0.5) * (columns - 1) * pixel_size_m
    positions[..., 1] = ((0.5 - along) * (rows - 1) * pixel_size_m)[:, None]
    typed.positions(mesh).foreach_set("vector", positions.ravel())
    mesh.update()
    mesh.shade_smooth()
    return mesh


def update_heights(mesh: bpy.types.Mesh, heights: np.ndarray) -> None:
    """Move every vertex of a grid to its cell's height. heights: float32 [H, W] of the size the mesh was built with.

    Vertices go back to their own x and y as well. Raises InvalidInput when the mesh is not such a grid (any more).
    """
    if shape_of(mesh) != heights.shape:
        raise InvalidInput(
            f"The mesh {mesh.name!r} is not a grid of {heights.shape[0]} x {heights.shape[1]} vertices.",
            hint="Generate it again instead of updating it.",
        )
    rows, columns = heights.shape
    positions = _positions(rows, columns, float(mesh[SPACING_KEY]))
    positions[:, 2] = heights.ravel()
    typed.positions(mesh).foreach_set("vector", positions.ravel())
    mesh.transform(
        Matrix.Identity(4)
    )  # Blender would go on with the box around the old heights, to frame and to cull by
    mesh.update()


def _positions(rows: int, columns: int, pixel_size_m: float) -> np.ndarray:
    """[H * W, 3] float32 with x and y set; z is whatever the last caller left."""
    global _plane
    key = (rows, columns, pixel_size_m)
    if _plane is None or _plane[0] != key:
        positions = np.empty((rows, columns, 3), np.float32)
        x, y = lattice(rows, columns, pixel_size_m)
        positions[..., 0], positions[..., 1] = x, y[:, None]
        _plane = (key, positions.reshape(-1, 3))
    return _plane[1]


def _uv_in_steps(mesh: bpy.types.Mesh, u: np.ndarray, v: np.ndarray) -> Iterator[float]:
    """UV map of a grid: u [W] of its columns from the left, v [H] of its rows from the top; (0, 0) is an image's
    bottom left. Yields the share that is done, about every STEP_FACES faces.
    """
    points = np.empty((len(v), len(u)), np.complex64)  # u + iv: a pair is then moved in one piece
    points.real = u
    points.imag = v[:, None]
    corners = np.empty((len(v) - 1, len(u) - 1, 4), np.complex64)
    filled = 0
    for top in range(0, len(v) - 1, 32):  # so many rows stay in the cache while their four corners are filled in
        band, upper, lower = corners[top : top + 32], points[top : top + 33][:-1], points[top + 1 : top + 33]
        band[:, :, 0] = upper[:, :-1]  # of a face: top left, bottom left, bottom right, top right
        band[:, :, 1] = lower[:, :-1]
        band[:, :, 2] = lower[:, 1:]
        band[:, :, 3] = upper[:, 1:]
        filled += band.shape[0] * band.shape[1]
        if filled >= STEP_FACES:
            filled = 0
            yield top / len(v)
    layer = mesh.uv_layers.new(name=UV_NAME, do_init=False)
    layer.uv.foreach_set("vector", corners.view(np.float32).ravel())


def _topology(name: str, rows: int, columns: int) -> bpy.types.Mesh:
    """A grid's vertices, edges and faces. Made in a scene of its own, so that the user's is neither changed nor
    evaluated.
    """
    tree = typed.of(bpy.data.node_groups.new("Relievo Grid", "GeometryNodeTree"), bpy.types.GeometryNodeTree)
    seed = bpy.data.meshes.new("Relievo Grid")
    carrier = bpy.data.objects.new("Relievo Grid", seed)
    scene = bpy.data.scenes.new("Relievo Grid")
    try:
        _mesh_grid_nodes(tree, rows, columns)
        typed.of(carrier.modifiers.new("Grid", "NODES"), bpy.types.NodesModifier).node_group = tree
        scene.collection.objects.link(carrier)
        layer = scene.view_layers[0]
        layer.update()
        # asked to preserve all data layers it would evaluate the nodes a second time; a bare grid has none but its own
        mesh = bpy.data.meshes.new_from_object(carrier.evaluated_get(layer.depsgraph))
    finally:
        bpy.data.objects.remove(carrier)
        bpy.data.meshes.remove(seed)
        bpy.data.node_groups.remove(tree)
        bpy.data.scenes.remove(scene)
    mesh.name = name
    mesh.materials.clear()  # the node leaves an empty slot
    return mesh


def _mesh_grid_nodes(tree: bpy.types.NodeTree, rows: int, columns: int) -> None:
    typed.new_socket(tree, "Geometry", bpy.types.NodeTreeInterfaceSocketGeometry, is_output=True)
    grid = tree.nodes.new("GeometryNodeMeshGrid")
    typed.set_value(grid.inputs["Vertices X"], rows)
    typed.set_value(grid.inputs["Vertices Y"], columns)
    tree.links.new(grid.outputs["Mesh"], tree.nodes.new("NodeGroupOutput").inputs[0])
