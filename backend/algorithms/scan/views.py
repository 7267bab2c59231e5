"""Photographs as the solver takes them: decoded one ahead, undistorted, with what their pixels see of the surface, in strips.

Nothing grows with the number of photographs, except a cache of stated size that a small scan fits into as a whole. A reduced
view is the same photograph with pixels reduction times as wide, drawn by a camera of as many fewer: coarse passes cost little.
Here stands what a photograph shows; what that means for texture, gains and poses is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field

import numpy as np
import torch
import torch.nn.functional as F

from backend.files.photographs import decode
from backend.ops.photos import view_weights_cpu as kernel
from backend.ops.photos.alignment import Displacement
from backend.ops.photos.pixel_means_cpu import means as pixel_means
from backend.ops.photos.undistortion import undistort
from backend.ops.photos.view_weights import (
    SAME_CHART,
    WeightSettings,
    bent,
    frame_weights,
    surface_of_maps,
    surface_weights,
)
from backend.ops.surface.rasterization import Projection, SurfaceMap, draw, project
from backend.ops.surface.rasterization_cpu import BAND
from backend.runtime.memory import drop_pages
from shared.arrays import Array
from shared.cameras.camera import Camera, Distortion

STRIP_PIXELS = 1 << 19  # of a strip: some 15 MiB of maps
CACHE_BYTES = 256 << 20
CACHED_BYTES_A_PIXEL = 27  # pixels, uv, depth, footprint, stretch, weights
MOST_DECODED = 8  # times that a photograph shrinks as it is decoded
POLL_S = 0.05


@dataclass(frozen=True, eq=False)
class Maps:
    """What a camera without a pinhole sees: uv [H, W, 2] float32, NaN outside; depth and facing [H, W] or None."""

    uv: np.ndarray
    depth: np.ndarray | None
    facing: np.ndarray | None


@dataclass(frozen=True, eq=False)
class ScanView:
    """One photograph and how its pixels find the surface: by a camera before a mesh, or by maps.

    width, height: of the pixels that are solved with: the photograph's, or its UV map's where that is smaller.
    mask: [height, width] float32 of the photograph as it was stored, or None.
    """

    index: int
    name: str
    photograph: Array
    width: int
    height: int
    camera: Camera | None = None
    maps: Maps | None = None
    mask: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Strip:
    """Rows of a view, ready to be solved with. rows: uv [rows, W, 2] (NaN: nothing), footprint, weights [rows, W],
    pixels [rows, W, 3] uint8 or uint16 as decoded; first_row: of the (reduced) photograph."""

    first_row: int
    uv: np.ndarray
    footprint: np.ndarray
    weights: np.ndarray
    pixels: np.ndarray


@dataclass(eq=False)
class _Frame:
    """A decoded view at one reduction: pixels [h, W, 3], mask [h, W] or None, and how rows of surface are had."""

    pixels: np.ndarray
    mask: np.ndarray | None
    projection: Projection | None
    surface: SurfaceMap | None
    weights: np.ndarray | None = None  # of a whole surface that is kept

    def close(self) -> None:
        """Let go of the pixels, whoever still holds the frame: a photograph less in memory while the next is opened."""
        self.pixels, self.mask, self.projection = self.pixels[:0].copy(), None, None


@dataclass(eq=False)
class ViewStream:
    """Views of one surface. mesh, occluders: triangles, for views with a camera."""

    mesh: np.ndarray | None
    occluders: np.ndarray | None
    settings: WeightSettings
    alive: Callable[[], None]
    """Called at least every 50 ms while a photograph is waited for; may raise."""
    _kept: dict[tuple[int, int], _Frame] = dataclass_field(default_factory=dict)
    _reduction: int = 0
    _keeps: bool = False
    _keeps_all: bool = False

    def keep(self, views: Sequence[ScanView]) -> None:
        """Say which views will come, so that a small scan is kept."""
        self._keeps_all = _bytes_of(views, 1) <= CACHE_BYTES

    def frames(self, views: Sequence[ScanView], reduction: int = 1) -> Iterator[tuple[ScanView, _Frame]]:
        """Each view with its decoded frame, in order; the next photograph is decoded beside the computation.

        A scan that fits into the cache as a whole is decoded and drawn once, and reduced from there. One that does not:
        a frame is good until the next one is asked for.
        """
        if self._keeps_all:
            yield from self._kept_frames(views, reduction)
            return
        if reduction != self._reduction:
            self._kept.clear()
            self._reduction = reduction
            self._keeps = _bytes_of(views, reduction) <= CACHE_BYTES
        for view, frame in self._opened(views, reduction):
            if self._keeps:
                self._kept[view.index, reduction] = frame
            yield view, frame
            if not self._keeps:
                frame.close()

    def _kept_frames(self, views: Sequence[ScanView], reduction: int) -> Iterator[tuple[ScanView, _Frame]]:
        """From the cache, which fills up."""
        missing = [view for view in views if (view.index, 1) not in self._kept]
        for view, frame in self._opened(missing, 1):
            self._kept[view.index, 1] = frame
        for view in views:
            if (view.index, reduction) not in self._kept:
                whole = self._kept[view.index, 1]
                self._kept[view.index, reduction] = _reduced_frame(whole, reduction, self.settings)
            yield view, self._kept[view.index, reduction]

    def _opened(self, views: Sequence[ScanView], reduction: int) -> Iterator[tuple[ScanView, _Frame]]:
        """Decoded, undistorted and made ready to be drawn, or from the cache."""
        with ThreadPoolExecutor(1) as pool:
            waiting: list[Future | None] = []

            def ask(view: ScanView) -> Future | None:
                return None if (view.index, reduction) in self._kept else pool.submit(_decode, view, reduction)

            for place, view in enumerate(views):
                if not waiting:
                    waiting.append(ask(view))
                future = waiting.pop()
                decoded = None if future is None else self._wait(future)
                if place + 1 < len(views):
                    waiting.append(ask(views[place + 1]))
                if decoded is None:
                    yield view, self._kept[view.index, reduction]
                else:
                    yield view, self._open(view, decoded, reduction)

    def _wait(self, future: Future) -> np.ndarray:
        while True:
            try:
                return future.result(timeout=POLL_S)
            except TimeoutError:
                self.alive()

    def _open(self, view: ScanView, pixels: np.ndarray, reduction: int) -> _Frame:
        height, width = pixels.shape[:2]
        settings = self.settings.at_scale(reduction)
        mask = None if view.mask is None else _mask_at(view.mask, height, width)
        if view.maps is not None:
            surface = _reduced_maps(view.maps, height, width)
            return _Frame(pixels, mask, None, surface, surface_weights(surface, settings))
        assert view.camera is not None
        assert self.mesh is not None
        camera = reduced_camera(view.camera, reduction)
        if not camera.distortion.is_none:
            if mask is not None:
                mask = undistort(np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2), camera)[0][..., 0]
                mask = mask.astype(np.float32) / 255
            pixels, inside = undistort(pixels, camera)
            if inside is not None:
                mask = inside.astype(np.float32) if mask is None else mask * inside
            camera = replace(camera, distortion=Distortion())
        projection = project(self.mesh, camera, self.occluders)
        if not (self._keeps or self._keeps_all):
            return _Frame(pixels, mask, projection, None)
        surface = replace(draw(projection), triangle=_NO_TRIANGLES)
        return _Frame(pixels, mask, None, surface, surface_weights(surface, settings))

    def strips(self, frame: _Frame, reduction: int = 1, displacement: Displacement | None = None) -> Iterator[Strip]:
        """A frame from the top down, each pixel looked up where the displacement says."""
        height, width = frame.pixels.shape[:2]
        settings = self.settings.at_scale(reduction)
        bend = displacement is not None and not displacement.is_none
        margin = 2 + int(np.ceil(displacement.most_px / reduction)) if bend and displacement is not None else 0
        rows_a_strip = max(STRIP_PIXELS // (width * BAND), 1) * BAND
        for first in range(0, height, rows_a_strip):
            self.alive()
            rows = min(rows_a_strip, height - first)
            surface, weights, above = self._rows(frame, settings, first, rows, margin)
            if bend and displacement is not None:
                uv, footprint, weights = bent(
                    surface,
                    weights,
                    displacement.nodes / reduction,
                    displacement.cell_px / reduction,
                    first,
                    above,
                    rows,
                )
            else:
                uv, footprint, weights = surface.uv, surface.footprint, weights.copy()
            pixels = frame.pixels[first : first + rows]
            mask = None if frame.mask is None else frame.mask[first : first + rows]
            frame_weights(weights, pixels, mask, first, height, settings)
            yield Strip(first, uv, footprint, weights, pixels)

    def _rows(
        self, frame: _Frame, settings: WeightSettings, first: int, rows: int, margin: int
    ) -> tuple[SurfaceMap, np.ndarray, int]:
        """The surface and its weights for rows and `margin` more to each side, and how many of them lie above."""
        height = frame.pixels.shape[0]
        low, high = max(first - margin, 0), min(first + rows + margin, height)
        if frame.surface is not None:
            assert frame.weights is not None
            return _cut(frame.surface, low, high), frame.weights[low:high], first - low
        assert frame.projection is not None
        halo = settings.halo_px
        top, bottom = max(low - halo, 0), min(high + halo, height)
        surface = draw(frame.projection, top, bottom - top)
        weights = surface_weights(surface, settings)
        return _cut(surface, low - top, high - top), weights[low - top : high - top], first - low


_NO_TRIANGLES = np.empty((0, 0), np.int32)  # nobody asks a kept surface for them


def _bytes_of(views: Sequence[ScanView], reduction: int) -> int:
    return CACHED_BYTES_A_PIXEL * sum((view.width // reduction) * (view.height // reduction) for view in views)


def reduced_camera(camera: Camera, reduction: int) -> Camera:
    """The camera whose pixels are means of reduction x reduction of the given one's; rows that do not fill one fall away."""
    if reduction == 1:
        return camera
    return replace(
        camera, width=camera.width // reduction, height=camera.height // reduction, fx=camera.fx / reduction,
        fy=camera.fy / reduction, cx=camera.cx / reduction, cy=camera.cy / reduction,
    )  # fmt: skip


def _decode(view: ScanView, reduction: int) -> np.ndarray:
    """The photograph [h, w, 3], its view's size over reduction. With UV maps it takes their size, where that is smaller."""
    pixels = _decode_file(view, reduction)
    drop_pages(view.photograph.values)  # or all photographs' files would stay in memory, one after the other
    return pixels


def _decode_file(view: ScanView, reduction: int) -> np.ndarray:
    if view.maps is None:
        first = min(reduction, MOST_DECODED)
        pixels = decode(view.photograph, first, size=(view.width, view.height))
        return _means(pixels, reduction // first)[: view.height // reduction, : view.width // reduction]
    pixels = decode(view.photograph)
    if reduction == 1 and pixels.shape[:2] == (view.height, view.width):
        return pixels
    top = float(np.iinfo(pixels.dtype).max)
    values = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    if values.shape[2:] != (view.height, view.width):
        size, smaller = (view.height, view.width), view.height < pixels.shape[0]
        values = F.interpolate(values, size, mode="bicubic", align_corners=False, antialias=smaller)
    values = F.avg_pool2d(values, reduction) if reduction > 1 else values
    return values[0].permute(1, 2, 0).round().clamp(0, top).numpy().astype(pixels.dtype)


def _means(pixels: np.ndarray, times: int) -> np.ndarray:
    """Means of times x times pixels of whole numbers [H, W, 3], rounded; what does not fill one falls away."""
    if times == 1:
        return pixels
    height, width = pixels.shape[0] // times, pixels.shape[1] // times
    result = np.empty((height, width, 3), pixels.dtype)
    pixel_means(pixels, times, result)
    return result


def _mask_at(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    if mask.shape == (height, width):
        return np.ascontiguousarray(mask, np.float32)
    values = torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None, None]
    return F.interpolate(values, (height, width), mode="area")[0, 0].numpy()


def _reduced_maps(maps: Maps, height: int, width: int) -> SurfaceMap:
    """The surface of maps at height x width, which divide the maps' own size by one whole number."""
    surface = surface_of_maps(maps.uv, maps.depth, maps.facing)
    return reduced_surface(surface, maps.uv.shape[0] // height, height, width)


def reduced_surface(surface: SurfaceMap, times: int, height: int, width: int) -> SurfaceMap:
    """Means of times x times pixels, [height, width] of them; nothing where a block sees more than one chart."""
    if times == 1:
        return surface
    shape = (height, width)
    uv = np.empty((*shape, 2), np.float32)
    depth, facing, footprint, stretch = (np.empty(shape, np.float32) for _ in range(4))
    kernel.reduce_maps(
        surface.uv, surface.depth, surface.facing, surface.footprint, surface.stretch, times, np.float32(SAME_CHART),
        uv, depth, facing, footprint, stretch,
    )  # fmt: skip
    return SurfaceMap(uv, depth, facing, footprint, stretch, _NO_TRIANGLES)


def _reduced_frame(frame: _Frame, times: int, settings: WeightSettings) -> _Frame:
    """A kept frame at another reduction."""
    assert frame.surface is not None
    height, width = frame.pixels.shape[0] // times, frame.pixels.shape[1] // times
    surface = reduced_surface(frame.surface, times, height, width)
    pixels, mask = _means(frame.pixels, times), frame.mask
    if mask is not None:
        mask = mask[: height * times, : width * times].reshape(height, times, width, times).mean(axis=(1, 3))
    return _Frame(pixels, mask, None, surface, surface_weights(surface, settings.at_scale(times)))


def _cut(surface: SurfaceMap, low: int, high: int) -> SurfaceMap:
    rows = slice(low, high)
    return SurfaceMap(
        surface.uv[rows], surface.depth[rows], surface.facing[rows], surface.footprint[rows], surface.stretch[rows],
        surface.triangle[rows],
    )  # fmt: skip
