"""Photographs of one size worked on together: what a card wants, for which a launch costs as much for one of them as for all.

A small scan is drawn once and stays on the card, at every reduction that is asked for; of a larger one as many photographs at a
time as there is room for. Photographs are decoded by the stream (views.py) and uploaded once. Nothing here waits for the card.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.scan.views import Frame, ScanView, Strip, ViewStream, bytes_of
from backend.ops.photos.alignment import Displacement
from backend.ops.photos.bending import bent
from backend.ops.photos.pixel_means import pixel_means
from backend.ops.photos.surface_maps import reduced_surface
from backend.ops.photos.view_weights import frame_weights, surface_weights
from backend.ops.surface.rasterization import SurfaceMap, draw

WORK_BYTES = 170  # a pixel while it is worked on: maps, bent ones, colours shown, two rows of equations and their lists
KEPT_SHARE, WORKED_SHARE = 0.1, 0.42  # of a card's budget: maps that stay, and what is worked on at a time
MOST_PIXELS = 1 << 25  # together: larger stacks gain nothing


@dataclass(frozen=True, eq=False)
class Stack:
    """B photographs. pixels [B, h, W, 3], mask [B, h, W] or None; surface and its weights [B, h, W, ...]."""

    views: list[ScanView]
    pixels: Tensor
    mask: Tensor | None
    surface: SurfaceMap
    weights: Tensor

    def chosen(self, wanted: set[int]) -> Stack:
        """Those of these numbers."""
        places = [place for place, view in enumerate(self.views) if view.index in wanted]
        if len(places) == len(self.views):
            return self
        at = torch.tensor(places, device=self.weights.device)
        return Stack(
            [self.views[place] for place in places],
            _selected(self.pixels, at),
            None if self.mask is None else self.mask[at],
            SurfaceMap(**{name: part[at] for name, part in _parts(self.surface)}),
            self.weights[at],
        )


@dataclass(eq=False)
class Stacks:
    """The stream's photographs in stacks. budget: bytes of the device that may be planned with."""

    stream: ViewStream
    budget: int
    _kept: dict[int, list[Stack]] = field(default_factory=dict)

    @property
    def most_pixels(self) -> int:
        return min(int(WORKED_SHARE * self.budget) // WORK_BYTES, MOST_PIXELS)

    def take(self, views: Sequence[ScanView]) -> bool:
        """Whether photographs as large as these fit, one at a time."""
        return max(view.width * view.height for view in views) <= self.most_pixels

    def keep(self, views: Sequence[ScanView]) -> None:
        """Draw a small scan once, for all that follows."""
        if bytes_of(views, 1) <= KEPT_SHARE * self.budget:
            self._kept[1] = list(self._opened(views, 1))

    def of(self, views: Sequence[ScanView], reduction: int) -> Iterator[Stack]:
        """These photographs in their order, as many at a time as fit."""
        if 1 not in self._kept:
            yield from self._opened(views, reduction)
            return
        if reduction not in self._kept:
            self._kept[reduction] = [self._reduced(stack, reduction) for stack in self._kept[1]]
        wanted = {view.index for view in views}
        for stack in self._kept[reduction]:
            chosen = stack.chosen(wanted)
            if chosen.views:
                yield chosen

    def strip(self, stack: Stack, reduction: int, displacements: Sequence[Displacement | None]) -> Strip:
        """A stack's pixels, each looked up where its photograph's displacement says; an axis more than other strips have."""
        surface, weights, height = stack.surface, stack.weights, stack.weights.shape[1]
        uv, footprint = surface.uv, surface.footprint
        known = [displacement for displacement in displacements if displacement is not None]
        if any(not displacement.is_none for displacement in known):
            nodes = np.stack([displacement.nodes for displacement in known]) / reduction
            cell = known[0].cell_px / reduction
            uv, footprint, weights = bent(surface, weights, nodes, cell, 0, 0, height)
        else:
            weights = weights.clone()
        settings = self.stream.settings.at_scale(reduction)
        frame_weights(weights, stack.pixels, stack.mask, 0, height, settings)
        return Strip(0, uv, footprint, weights, stack.pixels)

    def _opened(self, views: Sequence[ScanView], reduction: int) -> Iterator[Stack]:
        """Decoded and drawn."""
        waiting: list[tuple[ScanView, Frame]] = []
        for view, frame in self.stream.opened(views, reduction):
            full = (len(waiting) + 1) * frame.pixels.shape[0] * frame.pixels.shape[1] > self.most_pixels
            if waiting and (full or _kind(waiting[0][0], waiting[0][1]) != _kind(view, frame)):
                yield self._stacked(waiting, reduction)
                waiting = []
            self.stream.alive()
            waiting.append((view, frame))
        if waiting:
            yield self._stacked(waiting, reduction)

    def _stacked(self, opened: Sequence[tuple[ScanView, Frame]], reduction: int) -> Stack:
        views, frames = [view for view, _ in opened], [frame for _, frame in opened]
        drawn = [frame.surface if frame.projection is None else draw(frame.projection) for frame in frames]
        maps = {name: [dict(_parts(surface))[name] for surface in drawn if surface is not None] for name in _MAPS}
        surface = SurfaceMap(**{name: torch.stack(parts) for name, parts in maps.items()}, triangle=_nobody(frames))
        masks = [frame.mask for frame in frames if frame.mask is not None]
        pixels = torch.stack([_signed(frame.pixels) for frame in frames]).view(frames[0].pixels.dtype)
        weights = surface_weights(surface, self.stream.settings.at_scale(reduction))
        return Stack(views, pixels, torch.stack(masks) if masks else None, surface, weights)

    def _reduced(self, stack: Stack, times: int) -> Stack:
        height, width = stack.weights.shape[1] // times, stack.weights.shape[2] // times
        surface, mask = reduced_surface(stack.surface, times, height, width), stack.mask
        if mask is not None:
            own = mask[:, : height * times, : width * times]
            mask = own.unflatten(1, (height, times)).unflatten(3, (width, times)).mean((2, 4))
        surface = replace(surface, triangle=stack.surface.triangle)
        weights = surface_weights(surface, self.stream.settings.at_scale(times))
        return Stack(stack.views, pixel_means(stack.pixels, times), mask, surface, weights)


_MAPS = ("uv", "depth", "facing", "footprint", "stretch")


def _parts(surface: SurfaceMap) -> list[tuple[str, Tensor]]:
    return [(one.name, getattr(surface, one.name)) for one in fields(SurfaceMap)]


def _nobody(frames: Sequence[Frame]) -> Tensor:
    """No triangles' numbers: nobody asks for them."""
    return torch.empty((len(frames), 0, 0), dtype=torch.int32, device=frames[0].pixels.device)


def _kind(view: ScanView, frame: Frame) -> tuple[object, ...]:
    """What photographs of one stack have in common."""
    return view.width, view.height, frame.pixels.shape, frame.pixels.dtype, frame.mask is None, view.maps is None


def _signed(pixels: Tensor) -> Tensor:
    """The same bits: CUDA copies uint16, and does little else with it."""
    return pixels.view(torch.int16) if pixels.dtype == torch.uint16 else pixels


def _selected(pixels: Tensor, at: Tensor) -> Tensor:
    return _signed(pixels)[at].view(pixels.dtype)
