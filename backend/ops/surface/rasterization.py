"""What every pixel of a photograph sees of a mesh: where in its texture, how deep, how obliquely, and how coarsely.

The ray through a pixel's centre is sampled exactly, without anti-aliasing. With the corners p0 p1 p2 of a triangle in camera
space and the ray d = ((x - cx) / fx, (y - cy) / fy, 1), the edge functions e_i = d · (p_j × p_k) are linear in x and y, their
shares of the sum are the barycentric coordinates on the triangle itself, and with n = (p1 - p0) × (p2 - p0)

    1 / z = d · n / (p0 · n),        u / z, v / z likewise linear in x and y

(Olano and Greer, "Triangle scan conversion using 2D homogeneous coordinates", 1997). A triangle that reaches behind the camera
needs no clipping for its inside test: only its bounds are clipped at the near plane. A pixel centre on an edge belongs to the
triangle that lies to its right, or below it for a level edge: the two neighbours' edge functions are each other's exact
negative, so that none is drawn twice or missed.

Cameras are pinholes here: a photograph is undistorted before (ops/photos/undistortion.py). No weights, no colours: this says
only what is seen.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numba
import numpy as np
import torch
from torch import Tensor

from backend.ops.surface import rasterization_cpu as kernel
from backend.ops.surface import rasterization_plain
from shared.cameras.camera import Camera
from shared.errors import InvalidInput

NEAR_M = 1e-4  # nothing nearer to the camera's plane is drawn
_EVERYWHERE = (-np.inf, -np.inf, np.inf, np.inf)
_NO_TRIANGLES = np.empty((0, 3, 5), np.float32)


@dataclass(frozen=True, eq=False)
class Projection:
    """A mesh before a camera, its triangles sorted into strips of rows. Made by project, drawn by draw; holds no copy of
    the mesh."""

    mesh: np.ndarray  # [N, 3, 5] float32
    occluders: np.ndarray  # [M, 3, 5] float32
    width: int
    height: int
    pose: np.ndarray  # [12] float64: rotation by rows, translation
    lens: np.ndarray  # [6] float64: fx fy cx cy 1/fx 1/fy
    near_m: float
    starts: np.ndarray  # [strips + 1] int64
    members: np.ndarray  # int32, triangles of strip s are members[starts[s]:starts[s + 1]], occluders after the mesh

    @property
    def is_empty(self) -> bool:
        """Whether not one triangle can be in the picture."""
        return self.members.size == 0


@dataclass(frozen=True, eq=False)
class SurfaceMap:
    """What the pixels of some rows of a photograph see. NaN where they see nothing; an occluder has a depth only.

    uv: [rows, W, 2] float32, u right, v up, as the mesh has them (tiles of UDIM beyond 0..1); NaN as well where the mesh
    has none, and outside draw's window. depth: [rows, W] float32, m along the camera's axis. facing: [rows, W] float32,
    -1..1, cosine between the triangle's normal and the direction to the camera: below 0 is a back. footprint: [rows, W]
    float32, sqrt|det d(u, v)/d(x, y)|: how much of the texture's side one pixel spans. stretch: [rows, W] float32, 1 and
    up: the larger over the smaller singular value of that Jacobian, infinite where the UVs collapse. triangle: [rows, W]
    int32, the mesh's triangle seen, -1 where there is none.
    """

    uv: np.ndarray
    depth: np.ndarray
    facing: np.ndarray
    footprint: np.ndarray
    stretch: np.ndarray
    triangle: np.ndarray


def project(
    mesh: np.ndarray, camera: Camera, occluders: np.ndarray | None = None, *, near_m: float = NEAR_M
) -> Projection:
    """Sort a mesh's triangles by the rows of a photograph that they may show in: once a photograph, before its draws.

    mesh: [N, 3, 5] x, y, z, u, v, counter-clockwise from outside, in metres of the world. occluders: [M, 3, 5] or
    [M, 3, 3], triangles that hide the mesh and have no texture. near_m: what lies nearer to the camera's plane, or
    behind it, is not seen. The camera's lens distortion is left out. Raises InvalidInput for corners that are no place.
    """
    mesh = _triangles(mesh, "mesh")
    occluders = _NO_TRIANGLES if occluders is None else _triangles(occluders, "occluders")
    pose = np.concatenate([np.asarray(camera.rotation, np.float64).ravel(), np.asarray(camera.translation, np.float64)])
    lens = np.array([camera.fx, camera.fy, camera.cx, camera.cy, 1.0 / camera.fx, 1.0 / camera.fy], np.float64)
    count = len(mesh) + len(occluders)
    first, last = np.empty(count, np.int32), np.empty(count, np.int32)
    for triangles, part in ((mesh, slice(None, len(mesh))), (occluders, slice(len(mesh), None))):
        broken = kernel.row_ranges(triangles, pose, lens, near_m, camera.width, camera.height, first[part], last[part])
        if broken:
            raise InvalidInput(
                f"{broken} of {len(triangles)} triangles have a corner that is no place (NaN or infinite).",
                hint="Clean the mesh first.",
                field="mesh",
            )
    starts, members = kernel.bin_triangles(first, last, -(-camera.height // kernel.BAND))
    return Projection(mesh, occluders, camera.width, camera.height, pose, lens, near_m, starts, members)


def draw(
    projection: Projection,
    first_row: int = 0,
    rows: int | None = None,
    *,
    uv_window: tuple[float, float, float, float] | None = None,
    out: SurfaceMap | None = None,
) -> SurfaceMap:
    """The surface map of rows first_row to first_row + rows - 1 (to the last row if None).

    uv_window: u0, v0, u1, v1: pixels that do not see u0 <= u < u1, v0 <= v < v1 get no uv, footprint and stretch, though
    everything still hides what is behind it: a UDIM tile, or a block of a large texture. out: a map of at least so many
    rows and this width to draw into, whose memory the returned map shares: half as fast again, strip after strip, as
    fresh memory. Neither the number of threads nor the cut into rows changes a bit.
    """
    rows = projection.height - first_row if rows is None else rows
    if rows < 1 or first_row < 0 or first_row + rows > projection.height:
        raise ValueError(f"rows {first_row} to {first_row + rows} of {projection.height}")
    drawn = _blank(rows, projection.width) if out is None else _first_rows(out, rows, projection.width)
    strips = np.arange(first_row // kernel.BAND, (first_row + rows - 1) // kernel.BAND + 1)
    threads = numba.get_num_threads()
    kernel.draw_strips(
        projection.mesh,
        projection.occluders,
        projection.pose,
        projection.lens,
        projection.near_m,
        np.concatenate([strips[thread::threads] for thread in range(threads)]),  # a thread's share is spread evenly
        projection.starts,
        projection.members,
        np.array(_EVERYWHERE if uv_window is None else uv_window, np.float64),
        first_row,
        drawn.uv,
        drawn.depth,
        drawn.facing,
        drawn.footprint,
        drawn.stretch,
        drawn.triangle,
    )
    return drawn


def draw_plain(
    projection: Projection,
    first_row: int = 0,
    rows: int | None = None,
    *,
    uv_window: tuple[float, float, float, float] | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, Tensor]:
    """draw with plain torch operations on a device: the fields of a SurfaceMap by name, as tensors there."""
    triangles = torch.from_numpy(np.concatenate([projection.mesh, projection.occluders])).to(device)
    return rasterization_plain.draw(
        triangles,
        len(projection.mesh),
        torch.from_numpy(projection.pose).to(device),
        torch.from_numpy(projection.lens).to(device),
        projection.near_m,
        projection.width,
        first_row,
        projection.height - first_row if rows is None else rows,
        uv_window or _EVERYWHERE,
    )


def _blank(rows: int, width: int) -> SurfaceMap:
    shape = (rows, width)
    return SurfaceMap(
        uv=np.empty((*shape, 2), np.float32),
        depth=np.empty(shape, np.float32),
        facing=np.empty(shape, np.float32),
        footprint=np.empty(shape, np.float32),
        stretch=np.empty(shape, np.float32),
        triangle=np.empty(shape, np.int32),
    )


def _first_rows(drawn: SurfaceMap, rows: int, width: int) -> SurfaceMap:
    if drawn.depth.shape[0] < rows or drawn.depth.shape[1] != width:
        raise ValueError(f"{rows} rows of {width} do not fit into a map of {drawn.depth.shape}")
    return SurfaceMap(**{field.name: getattr(drawn, field.name)[:rows] for field in fields(SurfaceMap)})


def _triangles(values: np.ndarray, name: str) -> np.ndarray:
    """[N, 3, 5] float32, contiguous. Corners of three numbers get UVs of NaN."""
    values = np.asarray(values)
    if values.ndim != 3 or values.shape[1] != 3 or values.shape[2] not in (3, 5):
        raise InvalidInput(f"The {name} of shape {values.shape} are no triangles [N, 3, 5].", field=name)
    if values.shape[2] == 3:
        values = np.concatenate([values, np.full((len(values), 3, 2), np.nan)], axis=2)
    return np.ascontiguousarray(values, dtype=np.float32)
