"""What the pixels of a photograph see of a mesh, on a card: a thread a triangle, then a tile of its bounds, then a pixel.

The nearest triangle claims a pixel, the lower of two that are equally near: of all fragments first the largest 1/z, then the lowest
number among those that have it. Both are maxima of whole numbers, which know no order: the same bytes every run. Numbers and
formulas are rasterization_plain.py's, in float64.

A triangle's record is RECORD numbers: three edge functions and the planes of 1/z, u/z and v/z (a, b, c each), then facing z |d| and
area / z^3.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import SIMULATED, cuda, device_function, kernel

PLANES, FACING, AREA, RECORD = 9, 18, 19, 20
TILE_COLUMNS, TILE_ROWS = 8, 4
WORKERS = 64 if SIMULATED else 1 << 16  # threads that tiles are dealt to: how many there are only the card knows
_MARGIN_PX = 1e-6  # as in the CPU's kernel
_NAN, _ONE, _FOUR, _INFINITE = np.float32(np.nan), np.float32(1), np.float32(4), np.float32(np.inf)


def set_up(
    mesh: Tensor, occluders: Tensor, pose: Tensor, lens: Tensor, near_m: float, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """records [N, RECORD] float64 and boxes [N, 4] int32 (first and last column, first and last row; the last row before the first
    where nothing shows) of all triangles, occluders after the mesh. pose [12], lens [6] float64: see rasterization.Projection."""
    count = len(mesh) + len(occluders)
    records = torch.empty((count, RECORD), dtype=torch.float64, device=mesh.device)
    boxes = torch.empty((count, 4), dtype=torch.int32, device=mesh.device)
    set_up_triangles.launch(count, mesh, occluders, pose, lens, near_m, *size, records, boxes)
    return records, boxes


def draw(
    records: Tensor, boxes: Tensor, meshed: int, lens: Tensor, near_m: float, width: int, first_row: int, rows: int,
    window: tuple[float, float, float, float],
) -> dict[str, Tensor]:  # fmt: skip
    """The fields of a SurfaceMap by name. meshed: triangles of the mesh, before the occluders. window: u0, v0, u1, v1."""
    device, count = records.device, len(boxes)
    counts = torch.empty(count, dtype=torch.int64, device=device)
    count_tiles.launch(count, boxes, first_row, rows, counts)
    ends = counts.cumsum(0)
    nearness = torch.zeros((rows, width), dtype=torch.float64, device=device)
    owner = torch.full((rows, width), count, dtype=torch.int32, device=device)
    for claims in (False, True) if count else ():
        fill.launch(WORKERS, records, boxes, counts, ends, 1.0 / near_m, first_row, claims, nearness, owner)
    uv = torch.empty((rows, width, 2), device=device)
    depth, facing, footprint, stretch = (torch.empty((rows, width), device=device) for _ in range(4))
    triangle = torch.empty((rows, width), dtype=torch.int32, device=device)
    shade.launch(
        (rows, width), records, meshed, lens, first_row, *window, owner, uv, depth, facing, footprint, stretch, triangle
    )
    names = ("uv", "depth", "facing", "footprint", "stretch", "triangle")
    return dict(zip(names, (uv, depth, facing, footprint, stretch, triangle), strict=True))


# Triangles ------------------------------------------------------------------------------------------------------------


@kernel
def set_up_triangles(mesh, occluders, pose, lens, near, width, height, records, boxes):
    number = cuda.grid(1)
    if number >= records.shape[0]:
        return
    meshed = mesh.shape[0]
    if number < meshed:
        _set_up(mesh, number, True, pose, lens, near, width, height, records, boxes, number)
    else:
        _set_up(occluders, number - meshed, False, pose, lens, near, width, height, records, boxes, number)


@device_function
def _place(triangles, number, corner, pose):
    x, y, z = (
        np.float64(triangles[number, corner, 0]), np.float64(triangles[number, corner, 1]),
        np.float64(triangles[number, corner, 2]),
    )  # fmt: skip
    return (
        pose[0] * x + pose[1] * y + pose[2] * z + pose[9], pose[3] * x + pose[4] * y + pose[5] * z + pose[10],
        pose[6] * x + pose[7] * y + pose[8] * z + pose[11],
    )  # fmt: skip


@device_function
def _set_up(triangles, own, is_mesh, pose, lens, near, width, height, records, boxes, number):
    x0, y0, z0 = _place(triangles, own, 0, pose)
    x1, y1, z1 = _place(triangles, own, 1, pose)
    x2, y2, z2 = _place(triangles, own, 2, pose)
    ax, ay, az, bx, by, bz = x1 - x0, y1 - y0, z1 - z0, x2 - x0, y2 - y0, z2 - z0
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    determinant = x0 * nx + y0 * ny + z0 * nz
    shows = _bound(x0, y0, z0, x1, y1, z1, x2, y2, z2, lens, near, width, height, boxes, number)
    if determinant == 0.0 or not shows:
        boxes[number, 3] = -1
        boxes[number, 2] = 0
        return
    sign = 1.0 if determinant > 0.0 else -1.0
    _set_up_edge(x1, y1, z1, x2, y2, z2, sign, lens, records, number, 0)
    _set_up_edge(x2, y2, z2, x0, y0, z0, sign, lens, records, number, 3)
    _set_up_edge(x0, y0, z0, x1, y1, z1, sign, lens, records, number, 6)
    inverse = 1.0 / determinant
    a, b = nx * lens[4] * inverse, ny * lens[5] * inverse
    records[number, PLANES], records[number, PLANES + 1] = a, b
    records[number, PLANES + 2] = nz * inverse - (a * lens[2] + b * lens[3])
    if not is_mesh:
        for term in range(PLANES + 3, RECORD):
            records[number, term] = np.nan
        return
    u0, v0 = np.float64(triangles[own, 0, 3]), np.float64(triangles[own, 0, 4])
    u1, v1 = np.float64(triangles[own, 1, 3]) - u0, np.float64(triangles[own, 1, 4]) - v0
    u2, v2 = np.float64(triangles[own, 2, 3]) - u0, np.float64(triangles[own, 2, 4]) - v0
    share = 1.0 / abs(determinant)
    for term in range(3):
        plane, second, third = records[number, PLANES + term], records[number, 3 + term], records[number, 6 + term]
        records[number, PLANES + 3 + term] = u0 * plane + u1 * share * second + u2 * share * third
        records[number, PLANES + 6 + term] = v0 * plane + v1 * share * second + v2 * share * third
    records[number, FACING] = -determinant / math.sqrt(nx * nx + ny * ny + nz * nz)
    records[number, AREA] = abs((u1 * v2 - u2 * v1) / (determinant * lens[0] * lens[1]))


@device_function
def _set_up_edge(xa, ya, za, xb, yb, zb, sign, lens, records, number, place):
    """The edge function between two corners. Both triangles of an edge take its ends in one order, or a card, which fuses a
    product with a difference, would not find one's numbers to be exactly the other's negatives."""
    if xa > xb or (xa == xb and (ya > yb or (ya == yb and za > zb))):
        xa, xb, ya, yb, za, zb, sign = xb, xa, yb, ya, zb, za, -sign
    a, b = sign * ((ya * zb - yb * za) * lens[4]), sign * ((za * xb - zb * xa) * lens[5])
    records[number, place], records[number, place + 1] = a, b
    records[number, place + 2] = sign * (xa * yb - xb * ya) - (a * lens[2] + b * lens[3])


@device_function
def _bound(x0, y0, z0, x1, y1, z1, x2, y2, z2, lens, near, width, height, boxes, number):
    """The pixels whose centres the part before the near plane may cover; whether there are any."""
    box = cuda.local.array(4, np.float64)
    box[0], box[1], box[2], box[3] = np.inf, -np.inf, np.inf, -np.inf
    _widen(x0, y0, z0, x1, y1, z1, lens, near, box)
    _widen(x1, y1, z1, x2, y2, z2, lens, near, box)
    _widen(x2, y2, z2, x0, y0, z0, lens, near, box)
    for axis in range(2):
        end = float(width if axis == 0 else height)
        low, high = box[2 * axis] - 0.5 - _MARGIN_PX, box[2 * axis + 1] - 0.5 + _MARGIN_PX
        boxes[number, 2 * axis] = np.int32(math.ceil(min(max(low, 0.0), end)))
        boxes[number, 2 * axis + 1] = np.int32(math.floor(min(max(high, -1.0), end - 1.0)))
    return boxes[number, 0] <= boxes[number, 1] and boxes[number, 2] <= boxes[number, 3]


@device_function
def _widen(x0, y0, z0, x1, y1, z1, lens, near, box):
    """By a corner before the near plane, and by where the edge from it pierces that."""
    if z0 >= near:
        _reach(x0, y0, z0, lens, box)
    if (z0 >= near) != (z1 >= near):
        share = (near - z0) / (z1 - z0)
        _reach(x0 + share * (x1 - x0), y0 + share * (y1 - y0), near, lens, box)


@device_function
def _reach(x, y, z, lens, box):
    px, py = lens[0] * x / z + lens[2], lens[1] * y / z + lens[3]
    box[0], box[1] = min(box[0], px), max(box[1], px)
    box[2], box[3] = min(box[2], py), max(box[3], py)


# Tiles ----------------------------------------------------------------------------------------------------------------


@kernel
def count_tiles(boxes, first_row, rows, counts):
    """Of each triangle the tiles of its bounds within the rows that are drawn."""
    number = cuda.grid(1)
    if number >= counts.size:
        return
    top, bottom = max(boxes[number, 2], first_row), min(boxes[number, 3], first_row + rows - 1)
    counts[number] = 0
    if bottom >= top:
        across = (boxes[number, 1] - boxes[number, 0]) // TILE_COLUMNS + 1
        counts[number] = across * ((bottom - top) // TILE_ROWS + 1)


@kernel
def fill(records, boxes, counts, ends, nearest, first_row, claims, nearness, owner):
    """The largest 1/z of each pixel, at most `nearest`; where it claims, the lowest triangle that has it."""
    rows = nearness.shape[0]
    for tile in range(cuda.grid(1), ends[ends.size - 1], cuda.gridsize(1)):
        number = _find(ends, tile)
        left, right = boxes[number, 0], boxes[number, 1]
        top, bottom = max(boxes[number, 2], first_row), min(boxes[number, 3], first_row + rows - 1)
        across = (right - left) // TILE_COLUMNS + 1
        place = tile - (ends[number] - counts[number])
        first, begin = top + place // across * TILE_ROWS, left + place % across * TILE_COLUMNS
        for row in range(first, min(first + TILE_ROWS, bottom + 1)):
            for column in range(begin, min(begin + TILE_COLUMNS, right + 1)):
                value = _nearness(records, number, column + 0.5, row + 0.5, nearest)
                if claims:
                    if value > 0.0 and value == nearness[row - first_row, column]:
                        cuda.atomic.min(owner, (row - first_row, column), number)
                elif value > nearness[row - first_row, column]:
                    cuda.atomic.max(nearness, (row - first_row, column), value)


@device_function
def _find(ends, tile):
    """The first triangle whose tiles end after this one."""
    low, high = 0, ends.size - 1
    while low < high:
        middle = (low + high) // 2
        if ends[middle] > tile:
            high = middle
        else:
            low = middle + 1
    return low


@device_function
def _nearness(records, number, x, y, nearest):
    """1/z of a pixel's centre on a triangle, 0 where it lies outside of it or too near."""
    for place in range(0, PLANES, 3):
        a, b = records[number, place], records[number, place + 1]
        value = a * x + (b * y + records[number, place + 2])
        if not (value > 0.0 or (value == 0.0 and (a > 0.0 or (a == 0.0 and b > 0.0)))):
            return 0.0
    value = records[number, PLANES] * x + (records[number, PLANES + 1] * y + records[number, PLANES + 2])
    return value if 0.0 < value <= nearest else 0.0


# Pixels ---------------------------------------------------------------------------------------------------------------


@kernel
def shade(records, meshed, lens, first_row, u0, v0, u1, v1, owner, uv, depth, facing, footprint, stretch, triangle):
    """What each pixel sees of the triangle that owns it."""
    column, row = cuda.grid(2)
    if row >= owner.shape[0] or column >= owner.shape[1]:
        return
    number = owner[row, column]
    uv[row, column, 0], uv[row, column, 1], depth[row, column], facing[row, column] = _NAN, _NAN, _NAN, _NAN
    footprint[row, column], stretch[row, column] = _NAN, _NAN
    triangle[row, column] = number if number < meshed else -1
    if number >= records.shape[0]:
        return
    x, y = column + 0.5, first_row + row + 0.5
    a, b, c = records[number, PLANES], records[number, PLANES + 1], records[number, PLANES + 2]
    z = 1.0 / (a * x + (b * y + c))
    depth[row, column] = z
    dx, dy = (x - lens[2]) / lens[0], (y - lens[3]) / lens[1]
    facing[row, column] = records[number, FACING] / (z * math.sqrt(dx * dx + dy * dy + 1.0))
    ua, ub, uc = records[number, PLANES + 3], records[number, PLANES + 4], records[number, PLANES + 5]
    va, vb, vc = records[number, PLANES + 6], records[number, PLANES + 7], records[number, PLANES + 8]
    u, v = (ua * x + (ub * y + uc)) * z, (va * x + (vb * y + vc)) * z
    told_u, told_v = np.float32(u), np.float32(v)
    everywhere = u0 == -np.inf and v0 == -np.inf and u1 == np.inf and v1 == np.inf
    if not everywhere and not (u0 <= told_u < u1 and v0 <= told_v < v1):
        return
    uv[row, column, 0], uv[row, column, 1] = told_u, told_v
    size = np.float32(records[number, AREA] * z * z * z)
    footprint[row, column] = np.float32(math.sqrt(size))
    u_x, u_y = np.float32((ua - u * a) * z), np.float32((ub - u * b) * z)
    v_x, v_y = np.float32((va - v * a) * z), np.float32((vb - v * b) * z)
    stretch[row, column] = _stretch(u_x, u_y, v_x, v_y, size)


@device_function
def _stretch(u_x, u_y, v_x, v_y, size):
    """The larger over the smaller singular value of [[u_x, u_y], [v_x, v_y]], whose product is size."""
    p, q, r, s = u_x + v_y, u_y - v_x, u_x - v_y, u_y + v_x
    twice = np.float32(math.sqrt(p * p + q * q)) + np.float32(math.sqrt(r * r + s * s))
    if size == 0.0:
        return _INFINITE
    ratio = twice * twice / (_FOUR * size)
    return _ONE if ratio < _ONE else ratio
