"""Surface maps that do not come from a mesh: made of given UV maps, and means of finer ones."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.surface.rasterization import SurfaceMap

REDUCED = ("uv", "depth", "facing", "footprint", "stretch")
SAME_CHART = 3.0  # neighbours' UVs of one chart differ by less than this many footprints along the longer axis


def surface_of_maps(
    uv: Tensor, depth: Tensor | None, facing: Tensor | None, most_jump: float = 0.05, *, impl: Impl = "auto"
) -> SurfaceMap:
    """A surface map from given maps: uv [H, W, 2] float32 with NaN outside, and where known depth and facing [H, W].

    Footprint and stretch are differences of the UVs; where only neighbours of other charts are seen they are NaN and the
    pixel counts nothing. Without facing every pixel counts as frontal. most_jump: no chart changes its UV faster per pixel.
    """
    uv = uv.contiguous()
    if choose(impl, uv.device) == "cpu":
        import numpy as np

        from backend.ops.photos.surface_maps_cpu import slopes

        footprint, stretch = torch.empty(uv.shape[:2]), torch.empty(uv.shape[:2])
        slopes(uv.numpy(), footprint.numpy(), stretch.numpy(), np.float32(most_jump))
    else:
        footprint, stretch = _slopes(uv, most_jump)
    seen = torch.isfinite(uv[..., 0])
    nothing = torch.full(uv.shape[:2], torch.nan, device=uv.device)
    facing = torch.where(seen, torch.ones_like(nothing) if facing is None else facing.to(nothing), nothing)
    depth = nothing if depth is None else depth.to(nothing).contiguous()
    return SurfaceMap(uv, depth, facing, footprint, stretch, torch.where(seen, 0, -1).to(torch.int32))


def reduced_surface(surface: SurfaceMap, times: int, height: int, width: int, *, impl: Impl = "auto") -> SurfaceMap:
    """Means of times x times pixels, [height, width] of them; nothing where a block sees more than one chart. Of B photographs'
    maps at once, [B, ...], too."""
    if times == 1:
        return surface
    chosen = choose(impl, surface.uv.device)
    if chosen == "cpu" and surface.depth.ndim == 3:
        each = [
            reduced_surface(surface.of(own), times, height, width, impl=chosen) for own in range(len(surface.depth))
        ]
        return SurfaceMap(
            *(torch.stack([getattr(one, name) for one in each]) for name in REDUCED), triangle=each[0].triangle
        )
    given = (surface.uv, surface.depth, surface.facing, surface.footprint, surface.stretch)
    nobody = torch.empty((0, 0), dtype=torch.int32, device=surface.uv.device)
    if chosen == "cpu":
        import numpy as np

        from backend.ops.photos.surface_maps_cpu import reduce_maps

        uv, depth, facing, footprint, stretch = (torch.empty((height, width, *values.shape[2:])) for values in given)
        reduce_maps(
            given[0].numpy(), given[1].numpy(), given[2].numpy(), given[3].numpy(), given[4].numpy(), times,
            np.float32(SAME_CHART), uv.numpy(), depth.numpy(), facing.numpy(), footprint.numpy(), stretch.numpy(),
        )  # fmt: skip
    else:
        uv, depth, facing, footprint, stretch = _reduced(surface, times, height, width)
    return SurfaceMap(uv, depth, facing, footprint, stretch, nobody)


def _slopes(uv: Tensor, most_jump: float) -> tuple[Tensor, Tensor]:
    """Footprint and stretch by the smaller of the two one-sided differences on each axis: a chart's border spoils one side
    only. NaN where no neighbour is of the same chart."""
    across, down = _smaller(uv, 1), _smaller(uv, 0)
    jump = torch.tensor(most_jump, dtype=torch.float32, device=uv.device)
    within = (across.abs().amax(-1) <= jump) & (down.abs().amax(-1) <= jump)
    (ux, vx), (uy, vy) = across.unbind(-1), down.unbind(-1)
    area = (ux * vy - uy * vx).abs()
    squares = ux * ux + vx * vx + uy * uy + vy * vy
    spread = (squares * squares - 4 * area * area).clamp(min=0).sqrt()
    known = within & (area > 0) & ~uv[..., 0].isnan()
    footprint = torch.where(known, area.sqrt(), torch.nan)
    stretch = torch.where(known, (squares + spread) / (2 * area), torch.nan)
    return footprint.to(torch.float32), stretch.to(torch.float32)


def _smaller(uv: Tensor, axis: int) -> Tensor:
    """[H, W, 2] float64: the smaller of the differences to the next and from the previous pixel; infinite where neither is."""
    steps = uv.diff(dim=axis).to(torch.float64)
    end = uv.new_full([1 if place == axis else size for place, size in enumerate(uv.shape)], torch.inf)
    after, before = torch.cat([steps, end], axis), torch.cat([end, steps], axis)
    after, before = (torch.where(step.isnan().any(-1, keepdim=True), torch.inf, step) for step in (after, before))
    first, second = after.abs().sum(-1, keepdim=True), before.abs().sum(-1, keepdim=True)
    return torch.where(second < first, before, after)


def _reduced(surface: SurfaceMap, times: int, height: int, width: int) -> tuple[Tensor, ...]:
    """Of maps [h, W] or [B, h, W], UVs an axis more."""
    places = surface.depth.ndim

    def blocks(values: Tensor) -> Tensor:
        """The times² pixels of every new one, as the axis `places`."""
        own = values.narrow(places - 2, 0, height * times).narrow(places - 1, 0, width * times)
        own = own.unflatten(places - 1, (width, times)).unflatten(places - 2, (height, times))
        return own.transpose(places - 1, places).flatten(places, places + 1)

    def mean(values: Tensor) -> Tensor:
        return blocks(values).sum(places, dtype=torch.float64) / times**2

    uv = blocks(surface.uv)
    reach = blocks(surface.footprint) * blocks(surface.stretch).sqrt()
    reach = reach.nan_to_num(nan=0.0, posinf=torch.inf).amax(places)
    apart = (uv.amax(places) - uv.amin(places)).amax(-1)
    size, middle = mean(surface.footprint), mean(surface.uv)
    whole = (apart <= SAME_CHART * reach * (times - 1)) & ~(middle[..., 0] + size).isnan()
    shown = [(middle, whole[..., None]), (size * times, whole), (mean(surface.stretch), whole)]
    new_uv, footprint, stretch = (torch.where(known, values, torch.nan).to(torch.float32) for values, known in shown)
    return new_uv, mean(surface.depth).to(torch.float32), mean(surface.facing).to(torch.float32), footprint, stretch
