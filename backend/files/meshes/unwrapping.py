"""UVs for a mesh that has none: cut into charts that unfold with little stretch, packed into the unit square, by xatlas.

Opens no file, so that algorithms may call it. xatlas (J. Young, after thekla_atlas) grows charts by their planarity and roundness,
flattens each by least squares conformal maps and packs them by their texels.
"""

from __future__ import annotations

import logging

import numpy as np

from shared.errors import InvalidInput

logger = logging.getLogger(__name__)

GUTTER_PX = 8  # between charts: three mip levels stay apart
MOST_GUTTER_SHARE = 1 / 128  # of the side: a small texture must not be all gutter


def unwrap(mesh: np.ndarray, *, size: int = 2048, keep_aspect: bool = False) -> np.ndarray:
    """The mesh with new UVs 0..1 at every corner: float32 [N, 3, 5], the triangles and their positions as they were.

    mesh: [N, 3, 5], its UVs are not looked at. size: side of the texture in pixels, for which the distance between
    charts is chosen. keep_aspect: leave an atlas that is not square as it is, its longer side 1, instead of stretching it to the
    square. Corners at one place count as one vertex. A triangle without area gets a single point of the
    texture that belongs to it as well as to any other. The same mesh gives the same UVs. Raises InvalidInput where
    nothing can be unfolded.
    """
    import xatlas  # a compiled module that only meshes without UVs need

    places, corners = weld(mesh[:, :, :3])
    faces = corners.reshape(-1, 3).astype(np.uint32)
    atlas = xatlas.Atlas()
    atlas.add_mesh(places, faces)
    packing = xatlas.PackOptions()
    packing.resolution = size
    packing.padding = max(1, min(GUTTER_PX, int(size * MOST_GUTTER_SHARE)))
    packing.bilinear = True
    packing.rotate_charts = False  # xatlas turns a chart by swapping u and v, which mirrors it
    cutting = xatlas.ChartOptions()
    cutting.fix_winding = True  # the outside of every triangle stays in front
    atlas.generate(cutting, packing)
    _, order, uvs = atlas[0]
    if atlas.atlas_count != 1 or len(order) != len(faces) or not np.isfinite(uvs).all():
        raise InvalidInput(
            "The mesh could not be unwrapped.",
            hint="Unwrap it in Blender (UV > Smart UV Project) and use it with its UVs.",
            field="mesh",
        )
    if keep_aspect:
        uvs = uvs * (np.array([atlas.width, atlas.height], np.float32) / max(atlas.width, atlas.height))
    unfolded = np.array(mesh, dtype=np.float32)
    unfolded[:, :, 3:] = uvs[order]
    logger.info(
        "unwrapped %d triangles into %d charts, %.0f %% of the texture used",
        len(mesh),
        atlas.chart_count,
        100.0 * atlas.utilization,
    )
    return unfolded


def weld(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows of [..., C] float32 in a fixed order, and for each given row which one it is, [...] flattened."""
    flat = np.ascontiguousarray(rows, dtype=np.float32).reshape(-1, rows.shape[-1]) + np.float32(0.0)  # -0.0 is 0.0
    keys = flat.view(np.dtype((np.void, flat.itemsize * flat.shape[1]))).ravel()
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return flat[first], which.ravel()
