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

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.surface import rasterization_plain
from backend.ops.surface.constants import BAND
from shared.cameras.camera import Camera
from shared.errors import InvalidInput

NEAR_M = 1e-4  # nothing nearer to the camera's plane is drawn
_EVERYWHERE = (-np.inf, -np.inf, np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class Projection:
    """A mesh before a camera, ready to be drawn. Made by project, drawn by draw; holds no copy of the mesh.

    strips: for the CPU's twin, starts int64 [n + 1] and members int32: the triangles of strip s of BAND rows are
    members[starts[s] : starts[s + 1]], occluders counted on after the mesh. set_up: for the plain form. records: for the CUDA
    twin, see there.
    """

    mesh: Tensor  # [N, 3, 5] float32
    occluders: Tensor  # [M, 3, 5] float32
    width: int
    height: int
    pose: np.ndarray  # [12] float64: rotation by rows, translation
    lens: np.ndarray  # [6] float64: fx fy cx cy 1/fx 1/fy
    near_m: float
    strips: tuple[np.ndarray, np.ndarray] | None
    set_up: rasterization_plain.SetUp | None
    records: tuple[Tensor, Tensor] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether not one triangle can be in the picture."""
        if self.records is not None:
            boxes = self.records[1]
            return not bool(((boxes[:, 0] <= boxes[:, 1]) & (boxes[:, 2] <= boxes[:, 3])).any())
        if self.set_up is None:
            assert self.strips is not None
            return self.strips[1].size == 0
        return not len(self.set_up.numbers)


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

    uv: Tensor
    depth: Tensor
    facing: Tensor
    footprint: Tensor
    stretch: Tensor
    triangle: Tensor

    def rows(self, first: int, last: int) -> SurfaceMap:
        """Rows first to last - 1, sharing memory."""
        if first == 0 and last == self.depth.shape[0]:
            return self
        return SurfaceMap(**{field.name: getattr(self, field.name)[first:last] for field in fields(SurfaceMap)})

    def of(self, photograph: int) -> SurfaceMap:
        """One of several photographs' maps [B, rows, W, ...], sharing memory."""
        return SurfaceMap(**{field.name: getattr(self, field.name)[photograph] for field in fields(SurfaceMap)})


def project(
    mesh: Tensor,
    camera: Camera,
    occluders: Tensor | None = None,
    *,
    near_m: float = NEAR_M,
    checked: bool = False,
    impl: Impl = "auto",
) -> Projection:
    """Prepare a mesh's triangles for a photograph's draws: once per photograph.

    mesh: [N, 3, 5] x, y, z, u, v, counter-clockwise from outside, in metres of the world; the maps will lie on its
    device. occluders: [M, 3, 5] or [M, 3, 3], triangles that hide the mesh and have no texture. near_m: what lies nearer
    to the camera's plane, or behind it, is not seen. The camera's lens distortion is left out. checked: the caller knows that all
    coordinates are finite, for which a card would make the host wait. Raises InvalidInput for corners with NaN or infinite
    coordinates.
    """
    mesh = _triangles(mesh, "mesh")
    occluders = mesh[:0] if occluders is None else _triangles(occluders, "occluders").to(mesh.device)
    pose = np.concatenate([np.asarray(camera.rotation, np.float64).ravel(), np.asarray(camera.translation, np.float64)])
    lens = np.array([camera.fx, camera.fy, camera.cx, camera.cy, 1.0 / camera.fx, 1.0 / camera.fy], np.float64)
    strips, set_up, records = None, None, None
    chosen = choose(impl, mesh.device, cuda=True)
    if chosen == "cpu":
        strips = _sort_into_strips(mesh, occluders, pose, lens, near_m, camera)
    else:
        for triangles in () if checked else (mesh, occluders):
            finite = torch.isfinite(triangles[..., :3]).flatten(1).all(1)
            _refuse_broken(len(triangles) - int(torch.count_nonzero(finite)), len(triangles))
        size = (camera.width, camera.height)
        if chosen == "cuda":
            from backend.ops.surface import rasterization_cuda

            placed, seen_by = (torch.from_numpy(values).to(mesh.device) for values in (pose, lens))
            records = rasterization_cuda.set_up(mesh, occluders, placed, seen_by, near_m, size)
        else:
            set_up = rasterization_plain.set_up(mesh, occluders, pose.tolist(), lens.tolist(), near_m, size)
    return Projection(mesh, occluders, camera.width, camera.height, pose, lens, near_m, strips, set_up, records)


def draw(
    projection: Projection,
    first_row: int = 0,
    rows: int | None = None,
    *,
    uv_window: tuple[float, float, float, float] | None = None,
    out: SurfaceMap | None = None,
) -> SurfaceMap:
    """The surface map of rows first_row to first_row + rows - 1 (to the last row if None), by the implementation that
    project chose.

    uv_window: u0, v0, u1, v1: pixels that do not see u0 <= u < u1, v0 <= v < v1 get no uv, footprint and stretch, though
    everything still hides what is behind it: a UDIM tile, or a block of a large texture. out: a map of at least so many
    rows and this width to draw into, whose memory the returned map shares: half as fast again, strip after strip, as
    fresh memory. Neither the number of threads nor the cut into rows changes a bit.
    """
    rows = projection.height - first_row if rows is None else rows
    if rows < 1 or first_row < 0 or first_row + rows > projection.height:
        raise ValueError(f"rows {first_row} to {first_row + rows} of {projection.height}")
    if out is not None and (out.depth.shape[0] < rows or out.depth.shape[1] != projection.width):
        raise ValueError(f"{rows} rows of {projection.width} do not fit into a map of {tuple(out.depth.shape)}")
    window = _EVERYWHERE if uv_window is None else uv_window
    if projection.strips is not None:
        drawn = _blank(rows, projection.width) if out is None else out.rows(0, rows)
        _draw_strips(projection, window, first_row, drawn)
        return drawn
    drawn = SurfaceMap(**_draw_on_device(projection, window, first_row, rows))
    if out is None:
        return drawn
    for field in fields(SurfaceMap):
        getattr(out, field.name)[:rows] = getattr(drawn, field.name)
    return out.rows(0, rows)


def _draw_on_device(
    projection: Projection, window: tuple[float, float, float, float], first_row: int, rows: int
) -> dict[str, Tensor]:
    lens, near_m, width = projection.lens, projection.near_m, projection.width
    if projection.records is None:
        assert projection.set_up is not None
        return rasterization_plain.draw(projection.set_up, lens.tolist(), near_m, width, first_row, rows, window)
    from backend.ops.surface import rasterization_cuda

    meshed, on = len(projection.mesh), torch.from_numpy(lens).to(projection.mesh.device)
    return rasterization_cuda.draw(*projection.records, meshed, on, near_m, width, first_row, rows, window)


def _sort_into_strips(
    mesh: Tensor, occluders: Tensor, pose: np.ndarray, lens: np.ndarray, near_m: float, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    from backend.ops.surface import rasterization_cpu as kernel

    count = len(mesh) + len(occluders)
    first, last = np.empty(count, np.int32), np.empty(count, np.int32)
    for triangles, part in ((mesh, slice(None, len(mesh))), (occluders, slice(len(mesh), None))):
        broken = kernel.row_ranges(
            triangles.numpy(), pose, lens, near_m, camera.width, camera.height, first[part], last[part]
        )
        _refuse_broken(broken, len(triangles))
    return kernel.bin_triangles(first, last, -(-camera.height // BAND))


def _refuse_broken(broken: int, count: int) -> None:
    if broken:
        raise InvalidInput(
            f"{broken} of {count} triangles have a corner with NaN or infinite coordinates.",
            hint="Clean the mesh first.",
            field="mesh",
        )


def _draw_strips(
    projection: Projection, window: tuple[float, float, float, float], first_row: int, drawn: SurfaceMap
) -> None:
    import numba

    from backend.ops.surface import rasterization_cpu as kernel

    assert projection.strips is not None
    strips = np.arange(first_row // BAND, (first_row + drawn.depth.shape[0] - 1) // BAND + 1)
    threads = numba.get_num_threads()
    kernel.draw_strips(
        projection.mesh.numpy(),
        projection.occluders.numpy(),
        projection.pose,
        projection.lens,
        projection.near_m,
        np.concatenate([strips[thread::threads] for thread in range(threads)]),  # a thread's share is spread evenly
        *projection.strips,
        np.array(window, np.float64),
        first_row,
        *(getattr(drawn, field.name).numpy() for field in fields(SurfaceMap)),
    )


def _blank(rows: int, width: int) -> SurfaceMap:
    shape = (rows, width)
    depth, facing, footprint, stretch = (torch.empty(shape) for _ in range(4))
    triangle = torch.empty(shape, dtype=torch.int32)
    return SurfaceMap(torch.empty((*shape, 2)), depth, facing, footprint, stretch, triangle)


def _triangles(values: Tensor, name: str) -> Tensor:
    """[N, 3, 5] float32, contiguous. Corners of three numbers get UVs of NaN."""
    if values.ndim != 3 or values.shape[1] != 3 or values.shape[2] not in (3, 5):
        raise InvalidInput(f"The {name} of shape {tuple(values.shape)} is not [N, 3, 5] triangles.", field=name)
    values = values.to(torch.float32)
    if values.shape[2] == 3:
        values = torch.cat([values, values.new_full((len(values), 3, 2), torch.nan)], 2)
    return values.contiguous()
