"""How much each pixel of a photograph counts.

A pixel's weight is the product of
    cos(angle)^power   of the surface's normal and the line of sight: errors of pose slide furthest where it grazes;
    silhouettes        (d / (radius + 1))^2, d px from where the surface ends or another hides it: such a pixel mixes both;
    the border         fading over border_px, so that no photograph ends with a step;
    the mask           of the photograph;
    the sensor         a full channel says only "at least this bright" (SATURATED).
Coarse pixels need no weight of their own: each is taken for the mean of the texels under it (backend/ops/texels/pyramid.py).

Decides nothing about colours or outliers: those are the solver's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.photos import view_weights_plain
from backend.ops.surface.rasterization import SurfaceMap

BREAK = (
    0.005  # relative change of 1/z from pixel to pixel, beyond the slopes', that counts as one surface behind another
)
LEAST_AT_SILHOUETTE = 1e-3  # never 0: the rim of an open mesh may be seen nowhere else
SATURATED = 0.996  # of the full range: 254 of 255
SATURATED_WEIGHT = 0.05


@dataclass(frozen=True)
class WeightSettings:
    """power: of the cosine. steepest_deg: 0..90, views more grazing than this count nothing. silhouette_px, border_px:
    where weights fade, 0 for nowhere."""

    power: float = 1.0
    steepest_deg: float = 80.0
    silhouette_px: float = 2.0
    border_px: float = 4.0

    @property
    def halo_px(self) -> int:
        """Rows that must be drawn beyond those that are weighed."""
        return math.ceil(self.silhouette_px) + 2

    def at_scale(self, reduction: int) -> WeightSettings:
        """The same distances on the object in a photograph reduced so many times."""
        return WeightSettings(self.power, self.steepest_deg, self.silhouette_px / reduction, self.border_px / reduction)


def surface_weights(surface: SurfaceMap, settings: WeightSettings, *, impl: Impl = "auto") -> Tensor:
    """Weights [h, W] float32 in 0..1 from the surface alone, 0 where nothing is seen. NaN depths throughout mean unknown ones.

    Of B photographs' maps at once [B, h, W], which on a card is as quick as one.
    """
    chosen = choose(impl, surface.facing.device, cuda=True)
    shape, radius = surface.facing.shape, settings.silhouette_px
    if len(shape) == 3 and chosen != "cuda":
        return torch.stack([surface_weights(surface.of(own), settings, impl=chosen) for own in range(shape[0])])
    reach = min(math.ceil(radius) + 1, 255)
    least = math.cos(math.radians(min(settings.steepest_deg, 89.9)))
    if chosen == "cuda":
        return _surface_weights_cuda(surface, settings, reach, least)
    if chosen == "plain":
        distances = torch.full(shape, float(reach), device=surface.facing.device)
        if radius > 0:
            distances = view_weights_plain.silhouettes(surface.depth, surface.facing, BREAK, reach)
        return view_weights_plain.weigh(
            surface.facing, surface.footprint, distances, radius, settings.power, least, LEAST_AT_SILHOUETTE
        )
    import numpy as np

    from backend.ops.photos import view_weights_cpu as kernel

    weights, distances = torch.empty(shape), torch.full(shape, reach, dtype=torch.uint8)
    facing = surface.facing.numpy()
    if radius > 0:
        kernel.silhouettes(surface.depth.numpy(), facing, np.float32(BREAK), reach, distances.numpy())
    kernel.weigh(
        facing, surface.footprint.numpy(), distances.numpy(), float(radius), np.float32(settings.power),
        np.float32(least), np.float32(LEAST_AT_SILHOUETTE), weights.numpy(),
    )  # fmt: skip
    return weights


def _surface_weights_cuda(surface: SurfaceMap, settings: WeightSettings, reach: int, least: float) -> Tensor:
    from backend.ops.photos import view_weights_cuda as kernel

    radius, alone = settings.silhouette_px, surface.facing.ndim == 2
    depth, facing, footprint = (
        part[None] if alone else part for part in (surface.depth, surface.facing, surface.footprint)
    )
    shape = tuple(facing.shape)
    rims, distances = (torch.empty(shape, dtype=torch.uint8, device=facing.device) for _ in range(2))
    if radius > 0:
        kernel.find_rims.launch(shape, depth, facing, BREAK, rims)
        kernel.spread.launch(shape, rims, reach, distances)
    weights = torch.empty(shape, device=facing.device)
    kernel.weigh.launch(
        shape, facing, footprint, distances, float(radius), float(settings.power), least, LEAST_AT_SILHOUETTE, weights
    )
    return weights[0] if alone else weights


def frame_weights(
    weights: Tensor,
    pixels: Tensor,
    mask: Tensor | None,
    first_row: int,
    height: int,
    settings: WeightSettings,
    *,
    impl: Impl = "auto",
) -> None:
    """Multiply weights [rows, W], in place, by what the photograph's border, its mask and its full pixels leave of them.

    pixels: [rows, W, 3] uint8 or uint16. mask: [rows, W] float32 0..1 or None. first_row: of the photograph's height. Of B
    photographs at once everything has an axis more.
    """
    top, chosen = float(torch.iinfo(pixels.dtype).max), choose(impl, weights.device, cuda=True)
    if chosen == "cuda":
        from backend.ops.photos.view_weights_cuda import frame

        alone = weights.ndim == 2
        own, shown, masked = (
            part[None] if alone else part for part in (weights, pixels, weights if mask is None else mask)
        )
        frame.launch(
            tuple(own.shape), own, shown, masked, mask is not None, SATURATED * top, SATURATED_WEIGHT, first_row, height,
            float(settings.border_px),
        )  # fmt: skip
        return
    if weights.ndim == 3:
        for own in range(len(weights)):
            masked = None if mask is None else mask[own]
            frame_weights(weights[own], pixels[own], masked, first_row, height, settings, impl=chosen)
        return
    if chosen == "plain":
        if settings.border_px > 0:
            weights *= view_weights_plain.from_border(weights, first_row, height, settings.border_px)
        if mask is not None:
            weights *= mask
        view_weights_plain.dim(weights, pixels, SATURATED * top, SATURATED_WEIGHT)
        return
    import numpy as np

    from backend.ops.photos import view_weights_cpu as kernel

    kernel.frame(
        weights.numpy(), (weights if mask is None else mask).numpy(), mask is not None,
        pixels.contiguous().numpy(), top, SATURATED, np.float32(SATURATED_WEIGHT), first_row, height,
        float(settings.border_px),
    )  # fmt: skip
