"""The mesh that carries a terrain, as it is recognised: a grid of quads with one vertex per pixel."""

from __future__ import annotations

import bpy
import numpy as np

GRID_KEY = "relievo_grid"  # custom property of a mesh: rows, columns
SPACING_KEY = "relievo_pixel_size_m"


def shape_of(mesh: bpy.types.Mesh) -> tuple[int, int] | None:
    """Rows and columns of a mesh that build() made and nobody has added to or taken from since; None for any other."""
    shape = mesh.get(GRID_KEY)
    if shape is None or SPACING_KEY not in mesh:
        return None
    rows, columns = int(shape[0]), int(shape[1])
    intact = len(mesh.vertices) == rows * columns and len(mesh.polygons) == (rows - 1) * (columns - 1)
    return (rows, columns) if intact else None


def lattice(rows: int, columns: int, pixel_size_m: float) -> tuple[np.ndarray, np.ndarray]:
    """x [W] of the columns from the left and y [H] of the rows from the top, float32 metres around the middle."""
    x = (np.arange(columns) - (columns - 1) / 2) * pixel_size_m
    y = ((rows - 1) / 2 - np.arange(rows)) * pixel_size_m
    return x.astype(np.float32), y.astype(np.float32)
