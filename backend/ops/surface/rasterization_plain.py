"""The plain form of rasterization.py: torch operations on any device, with the kernel's float64 arithmetic.

Every pixel of every triangle's bounds is a fragment; they are tested by the million, the nearest claims its pixel, the lower
triangle at equal depth. Maximum and minimum know no order, so that the result is the same on every run of a parallel device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.ops.surface.fragments import fragments

TRIANGLES = 1 << 18  # set up together: about a kilobyte each while it is done
_MARGIN_PX = 1e-6  # as in the kernel
_EVERYWHERE = (-torch.inf, -torch.inf, torch.inf, torch.inf)
Numbers = Sequence[float]


@dataclass(frozen=True)
class SetUp:
    """The N triangles that may show in a photograph, in the mesh's order, occluders after it."""

    numbers: Tensor  # [N] int64, in the mesh; -1 for an occluder
    edges: Tensor  # [N, 3, 3] a, b, c of each edge function, turned so that the inside is positive
    planes: Tensor  # [N, 3, 3] a, b, c of 1/z, u/z, v/z
    scale: Tensor  # [N] facing = scale / (z |d|)
    area: Tensor  # [N] |det d(u, v)/d(x, y)| = area z^3
    boxes: Tensor  # [N, 4] int64: first and last column, first and last row; empty ones have last < first


def draw(
    set_up: SetUp, lens: Numbers, near_m: float, width: int, first_row: int, rows: int, window: Numbers
) -> dict[str, Tensor]:
    """The fields of a SurfaceMap by name, [rows, W, ...] on the device of the set-up. lens: [6], fx fy cx cy 1/fx 1/fy.
    window: u0, v0, u1, v1."""
    none, device = len(set_up.edges), set_up.edges.device
    boxes = torch.cat([set_up.boxes[:, :2], set_up.boxes[:, 2:].clamp(first_row - 1, first_row + rows)], 1)
    boxes[:, 2].clamp_(min=first_row)
    boxes[:, 3].clamp_(max=first_row + rows - 1)
    nearness = torch.zeros(rows * width, dtype=torch.float64, device=device)
    owner = torch.full((rows * width,), none, dtype=torch.int64, device=device)
    for triangle, row, column in fragments(boxes):
        value = _nearness(set_up, triangle, column + 0.5, row + 0.5, near_m)
        pixel = (row - first_row) * width + column
        before = nearness.clone()
        nearness.scatter_reduce_(0, pixel, value, "amax")
        owner.masked_fill_(nearness > before, none)
        wins = (value > 0) & (value == nearness[pixel])
        owner.scatter_reduce_(0, pixel, torch.where(wins, triangle, none), "amin")
    return _shade(set_up, owner.reshape(rows, width), lens, first_row, window)


def _nearness(set_up: SetUp, triangle: Tensor, x: Tensor, y: Tensor, near_m: float) -> Tensor:
    """1/z of pixel centres on a triangle, 0 where they lie outside of it or too near."""
    inside = torch.ones_like(triangle, dtype=torch.bool)
    for edge in range(3):
        a, b, c = set_up.edges[triangle, edge].unbind(-1)
        value = a * x + (b * y + c)
        inside &= (value > 0) | ((value == 0) & ((a > 0) | ((a == 0) & (b > 0))))
    a, b, c = set_up.planes[triangle, 0].unbind(-1)
    value = a * x + (b * y + c)
    return torch.where(inside & (value > 0) & (value <= 1.0 / near_m), value, 0.0)


def _corners(triangles: Tensor, pose: Numbers) -> Tensor:
    """[N, 3, 3] in camera space, each product and sum rounded as in the kernel."""
    x, y, z = triangles[..., :3].double().unbind(-1)
    return torch.stack([pose[k] * x + pose[k + 1] * y + pose[k + 2] * z + pose[9 + k // 3] for k in (0, 3, 6)], -1)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    (ax, ay, az), (bx, by, bz) = a.unbind(-1), b.unbind(-1)
    return torch.stack([ay * bz - by * az, az * bx - bz * ax, ax * by - bx * ay], -1)


def _over_pixels(normal: Tensor, lens: Numbers) -> Tensor:
    """a, b, c of normal · d as a function of pixel coordinates."""
    a, b = normal[..., 0] * lens[4], normal[..., 1] * lens[5]
    return torch.stack([a, b, normal[..., 2] - (a * lens[2] + b * lens[3])], -1)


def set_up(
    mesh: Tensor, occluders: Tensor, pose: Numbers, lens: Numbers, near_m: float, size: tuple[int, int]
) -> SetUp:
    """mesh, occluders: float32 [., 3, 5]. pose: [12], rotation by rows and translation. lens: [6], fx fy cx cy 1/fx 1/fy. size:
    width and height of the photograph."""
    parts = []
    for triangles, is_mesh in ((mesh, True), (occluders, False)):
        for first in range(0, max(len(triangles), 1), TRIANGLES):
            part = _set_up_part(triangles[first : first + TRIANGLES], is_mesh, pose, lens, near_m, size)
            left, right, top, bottom = part.boxes.unbind(1)
            shown = torch.nonzero((left <= right) & (top <= bottom))[:, 0]
            kept = [values[shown] for values in (part.edges, part.planes, part.scale, part.area, part.boxes)]
            parts.append((shown + first if is_mesh else torch.full_like(shown, -1), *kept))
    return SetUp(*(torch.cat(values) for values in zip(*parts, strict=True)))


def _set_up_part(
    triangles: Tensor, is_mesh: bool, pose: Numbers, lens: Numbers, near_m: float, size: tuple[int, int]
) -> SetUp:
    """Of all given triangles, shown or not."""
    p = _corners(triangles, pose)
    p0, p1, p2 = p.unbind(1)
    normal = _cross(p1 - p0, p2 - p0)
    along = p0 * normal
    determinant = along[:, 0] + along[:, 1] + along[:, 2]
    sign = torch.where(determinant > 0, 1.0, -1.0).to(determinant)
    edges = torch.stack([_over_pixels(_cross(a, b), lens) for a, b in ((p1, p2), (p2, p0), (p0, p1))], 1)
    edges = sign[:, None, None] * edges
    inverse = 1.0 / determinant
    a, b = normal[:, 0] * lens[4] * inverse, normal[:, 1] * lens[5] * inverse
    planes = [torch.stack([a, b, normal[:, 2] * inverse - (a * lens[2] + b * lens[3])], -1)]
    uv = triangles[..., 3:].double() if is_mesh else torch.full_like(p[..., :2], torch.nan)
    for channel in range(2):
        start = uv[:, 0, channel]
        to_1, to_2 = ((uv[:, corner, channel] - start) * (1.0 / determinant.abs()) for corner in (1, 2))
        planes.append(start[:, None] * planes[0] + to_1[:, None] * edges[:, 1] + to_2[:, None] * edges[:, 2])
    squares = normal * normal
    length = torch.sqrt(squares[:, 0] + squares[:, 1] + squares[:, 2])
    scale = -determinant / length if is_mesh else torch.full_like(length, torch.nan)
    u1, v1, u2, v2 = (uv[:, corner, channel] - uv[:, 0, channel] for corner in (1, 2) for channel in (0, 1))
    area = ((u1 * v2 - u2 * v1) / (determinant * lens[0] * lens[1])).abs()
    boxes = _boxes(p, lens, near_m, size)
    boxes[:, 3].masked_fill_(determinant == 0, -1)  # seen edge on
    numbers = torch.arange(len(triangles), device=triangles.device)
    return SetUp(numbers, edges, torch.stack(planes, 1), scale, area, boxes)


def _boxes(p: Tensor, lens: Numbers, near_m: float, size: tuple[int, int]) -> Tensor:
    """First and last column, first and last row [N, 4] of what lies before the near plane, within the photograph."""
    before = p.roll(1, 1)
    in_front, was_in_front = p[..., 2] >= near_m, before[..., 2] >= near_m
    share = (near_m - before[..., 2]) / (p[..., 2] - before[..., 2])
    pierced = before + share[..., None] * (p - before)
    pierced[..., 2] = near_m
    points = torch.cat([p, pierced], 1)
    valid = torch.cat([in_front, in_front != was_in_front], 1)
    box = []
    for axis, begin, end in ((0, 0, size[0]), (1, 0, size[1])):
        at = lens[axis] * points[..., axis] / points[..., 2] + lens[2 + axis]
        low = torch.where(valid, at, torch.inf).amin(1)
        high = torch.where(valid, at, -torch.inf).amax(1)
        box.append(torch.ceil(low - 0.5 - _MARGIN_PX).clamp(begin, end))
        box.append(torch.floor(high - 0.5 + _MARGIN_PX).clamp(begin - 1, end - 1))
    return torch.stack(box, -1).long()


def _shade(set_up: SetUp, owner: Tensor, lens: Numbers, first_row: int, window: Numbers) -> dict[str, Tensor]:
    """What each pixel sees of the triangle that owns it [rows, W]; N stands for none."""
    rows, width = owner.shape
    none = len(set_up.edges)
    hit = owner < none
    index = torch.where(hit, owner, 0)
    y = (torch.arange(rows, device=owner.device) + first_row + 0.5)[:, None].double().expand(rows, width)
    x = (torch.arange(width, device=owner.device) + 0.5)[None].double().expand(rows, width)
    if none == 0:
        nothing = torch.full((1, 3, 3), torch.nan, dtype=torch.float64, device=owner.device)
        numbers = torch.full((1,), -1, device=owner.device)
        set_up = SetUp(numbers, nothing, nothing, nothing[:, 0, 0], nothing[:, 0, 0], set_up.boxes)
    (a, b, c), (ua, ub, uc), (va, vb, vc) = (plane.unbind(-1) for plane in set_up.planes[index].unbind(-2))
    z = 1.0 / (a * x + (b * y + c))
    u, v = (ua * x + (ub * y + uc)) * z, (va * x + (vb * y + vc)) * z
    dx, dy = (x - lens[2]) / lens[0], (y - lens[3]) / lens[1]
    facing = set_up.scale[index] / (z * torch.sqrt(dx * dx + dy * dy + 1.0))
    told_u, told_v = u.float().double(), v.float().double()  # as they come out
    inside = (window[0] <= told_u) & (told_u < window[2]) & (window[1] <= told_v) & (told_v < window[3])
    if tuple(window) == _EVERYWHERE:
        inside = torch.ones_like(inside)
    u_x, u_y = ((ua - u * a) * z).float(), ((ub - u * b) * z).float()
    v_x, v_y = ((va - v * a) * z).float(), ((vb - v * b) * z).float()
    size = (set_up.area[index] * z * z * z).float()
    twice = torch.sqrt((u_x + v_y) ** 2 + (u_y - v_x) ** 2) + torch.sqrt((u_x - v_y) ** 2 + (u_y + v_x) ** 2)
    stretch = torch.where(size == 0, torch.inf, (twice * twice / (4.0 * size)).clamp(min=1.0))
    nan = torch.nan
    return {
        "uv": torch.where((hit & inside)[..., None], torch.stack([u, v], -1), nan).float(),
        "depth": torch.where(hit, z, nan).float(),
        "facing": torch.where(hit, facing, nan).float(),
        "footprint": torch.where(hit & inside, torch.sqrt(size), nan),
        "stretch": torch.where(hit & inside, stretch, nan),
        "triangle": torch.where(hit, set_up.numbers[index], -1).int(),
    }
