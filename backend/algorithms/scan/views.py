"""Photographs as the solver takes them: decoded one ahead, undistorted, with what their pixels see of the surface, in strips.

Nothing grows with the number of photographs, except a cache of stated size that a small scan fits into as a whole. A reduced
view is the same photograph with pixels reduction times as wide, drawn by a camera of as many fewer: coarse passes cost little.
This module says what a photograph shows; what follows for texture, gains and poses is decided elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.files.photographs import decode
from backend.ops.photos.alignment import Displacement
from backend.ops.photos.bending import bent
from backend.ops.photos.pixel_means import pixel_means
from backend.ops.photos.surface_maps import reduced_surface, surface_of_maps
from backend.ops.photos.undistortion import undistort
from backend.ops.photos.view_weights import WeightSettings, frame_weights, surface_weights
from backend.ops.surface.constants import BAND
from backend.ops.surface.rasterization import Projection, SurfaceMap, draw, project
from backend.ops.tensors import as_tensor
from backend.runtime.memory import drop_pages
from backend.runtime.threads import spread
from shared.arrays import Array
from shared.cameras.camera import Camera, Distortion

STRIP_PIXELS = 1 << 19  # of a strip: some 15 MiB of maps
CACHE_BYTES = 256 << 20
CACHED_BYTES_A_PIXEL = 27  # pixels, uv, depth, footprint, stretch, weights
DECODED_AHEAD = 4  # photographs, for a card
MOST_DECODED = 8  # times that a photograph shrinks as it is decoded
POLL_S = 0.05
AT_A_TIME = 4  # photographs a thread between two looks at the first of them


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
    """Rows of a view, ready to be solved with, on the stream's device. rows: uv [rows, W, 2] (NaN: nothing), footprint,
    weights [rows, W], pixels [rows, W, 3] uint8 or uint16 as decoded; first_row: of the (reduced) photograph."""

    first_row: int
    uv: Tensor
    footprint: Tensor
    weights: Tensor
    pixels: Tensor


@dataclass(eq=False)
class Frame:
    """A decoded view at one reduction: pixels [h, W, 3], mask [h, W] float32 or None, and how rows of surface are had."""

    pixels: Tensor
    mask: Tensor | None
    projection: Projection | None
    surface: SurfaceMap | None
    weights: Tensor | None = None  # of a whole surface that is kept

    def close(self) -> None:
        """Let go of the pixels, whoever still holds the frame: a photograph less in memory while the next is opened."""
        self.pixels, self.mask, self.projection = self.pixels[:0].clone(), None, None


@dataclass(eq=False)
class ViewStream:
    """Views of one surface. mesh, occluders: triangles, for views with a camera. device: where photographs are worked on."""

    mesh: Tensor | None
    occluders: Tensor | None
    settings: WeightSettings
    alive: Callable[[], None]
    """Called at least every 50 ms while a photograph is waited for; may raise."""
    device: torch.device
    strip_pixels: int = STRIP_PIXELS
    _kept: dict[tuple[int, int], Frame] = dataclass_field(default_factory=dict)
    _reduction: int = 0
    _keeps: bool = False
    _keeps_all: bool = False

    def keep(self, views: Sequence[ScanView]) -> None:
        """Say which views will come, so that a small scan is kept."""
        self._keeps_all = bytes_of(views, 1) <= CACHE_BYTES

    def frames(self, views: Sequence[ScanView], reduction: int = 1) -> Iterator[tuple[ScanView, Frame]]:
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
            self._keeps = bytes_of(views, reduction) <= CACHE_BYTES
        for view, frame in self.opened(views, reduction):
            if self._keeps:
                self._kept[view.index, reduction] = frame
            yield view, frame
            if not self._keeps:
                frame.close()

    def _kept_frames(self, views: Sequence[ScanView], reduction: int) -> Iterator[tuple[ScanView, Frame]]:
        """From the cache, which fills up: several photographs at a time are made ready, each on one thread."""
        missing = [view for view in views if (view.index, 1) not in self._kept]
        threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        alone = missing[:1] if threads > 1 else missing  # kernels are compiled on this thread, which signals reach
        for view, frame in self.opened(alone, 1):
            self._kept[view.index, 1] = frame
        for first in range(len(alone), len(missing), threads * AT_A_TIME):
            some = missing[first : first + threads * AT_A_TIME]
            frames = spread(self._made_ready, some, threads, lambda done, total: self.alive())
            self._kept |= {(view.index, 1): frame for view, frame in zip(some, frames, strict=True)}
        for view in views:
            if (view.index, reduction) not in self._kept:
                whole = self._kept[view.index, 1]
                self._kept[view.index, reduction] = _reduced_frame(whole, reduction, self.settings)
            yield view, self._kept[view.index, reduction]

    def _made_ready(self, view: ScanView) -> Frame:
        return self._open(view, as_tensor(_decode(view, 1), self.device), 1)

    def opened(self, views: Sequence[ScanView], reduction: int) -> Iterator[tuple[ScanView, Frame]]:
        """Decoded, undistorted and made ready to be drawn, or from the cache."""
        ahead = DECODED_AHEAD if self.device.type == "cuda" else 1  # the CPU has enough to do
        with ThreadPoolExecutor(ahead) as pool:

            def ask(view: ScanView) -> Future | None:
                if (view.index, reduction) in self._kept:
                    return None
                return pool.submit(_decode_for, self.device, view, reduction)

            waiting = deque(ask(view) for view in views[:ahead])
            for place, view in enumerate(views):
                future = waiting.popleft()
                decoded = None if future is None else self._wait(future)
                if place + ahead < len(views):
                    waiting.append(ask(views[place + ahead]))
                if decoded is None:
                    yield view, self._kept[view.index, reduction]
                else:
                    yield view, self._open(view, decoded.to(self.device, non_blocking=True), reduction)

    def _wait(self, future: Future) -> Tensor:
        while True:
            try:
                return future.result(timeout=POLL_S)
            except TimeoutError:
                self.alive()

    def _open(self, view: ScanView, pixels: Tensor, reduction: int) -> Frame:
        height, width = pixels.shape[:2]
        settings = self.settings.at_scale(reduction)
        mask = None if view.mask is None else as_tensor(_mask_at(view.mask, height, width), self.device)
        if view.maps is not None:
            surface = _reduced_maps(view.maps, height, width, self.device)
            return Frame(pixels, mask, None, surface, surface_weights(surface, settings))
        assert view.camera is not None
        assert self.mesh is not None
        camera = reduced_camera(view.camera, reduction)
        if not camera.distortion.is_none:
            if mask is not None:
                grey = (mask * 255).to(torch.uint8)[..., None].repeat(1, 1, 3)
                mask = undistort(grey, camera)[0][..., 0].to(torch.float32) / 255
            pixels, inside = undistort(pixels, camera)
            if inside is not None:
                mask = inside.to(torch.float32) if mask is None else mask * inside
            camera = replace(camera, distortion=Distortion())
        projection = project(self.mesh, camera, self.occluders, checked=True)
        if not (self._keeps or self._keeps_all):
            return Frame(pixels, mask, projection, None)
        surface = replace(draw(projection), triangle=torch.empty((0, 0), dtype=torch.int32))  # nobody asks for them
        return Frame(pixels, mask, None, surface, surface_weights(surface, settings))

    def strips(self, frame: Frame, reduction: int = 1, displacement: Displacement | None = None) -> Iterator[Strip]:
        """A frame from the top down, each pixel looked up where the displacement says."""
        height, width = frame.pixels.shape[:2]
        settings = self.settings.at_scale(reduction)
        bend = displacement is not None and not displacement.is_none
        margin = 2 + int(np.ceil(displacement.most_px / reduction)) if bend and displacement is not None else 0
        rows_a_strip = max(self.strip_pixels // (width * BAND), 1) * BAND
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
                uv, footprint, weights = surface.uv, surface.footprint, weights.clone()
            pixels = frame.pixels[first : first + rows]
            mask = None if frame.mask is None else frame.mask[first : first + rows]
            frame_weights(weights, pixels, mask, first, height, settings)
            yield Strip(first, uv, footprint, weights, pixels)

    def _rows(
        self, frame: Frame, settings: WeightSettings, first: int, rows: int, margin: int
    ) -> tuple[SurfaceMap, Tensor, int]:
        """The surface and its weights for rows and `margin` more to each side, and how many of them lie above."""
        height = frame.pixels.shape[0]
        low, high = max(first - margin, 0), min(first + rows + margin, height)
        if frame.surface is not None:
            assert frame.weights is not None
            return frame.surface.rows(low, high), frame.weights[low:high], first - low
        assert frame.projection is not None
        halo = settings.halo_px
        top, bottom = max(low - halo, 0), min(high + halo, height)
        surface = draw(frame.projection, top, bottom - top)
        weights = surface_weights(surface, settings)
        return surface.rows(low - top, high - top), weights[low - top : high - top], first - low


def bytes_of(views: Sequence[ScanView], reduction: int) -> int:
    return CACHED_BYTES_A_PIXEL * sum((view.width // reduction) * (view.height // reduction) for view in views)


def reduced_camera(camera: Camera, reduction: int) -> Camera:
    """The camera whose pixels are means of reduction x reduction of the given one's; rows that do not fill one fall away."""
    if reduction == 1:
        return camera
    return replace(
        camera, width=camera.width // reduction, height=camera.height // reduction, fx=camera.fx / reduction,
        fy=camera.fy / reduction, cx=camera.cx / reduction, cy=camera.cy / reduction,
    )  # fmt: skip


def _decode_for(device: torch.device, view: ScanView, reduction: int) -> Tensor:
    """The photograph on the host; for a card where the card fetches it without the host's help."""
    pixels = as_tensor(_decode(view, reduction))
    return pixels.pin_memory() if device.type == "cuda" else pixels


def _decode(view: ScanView, reduction: int) -> np.ndarray:
    """The photograph [h, w, 3], its view's size over reduction. With UV maps it takes their size, where that is smaller."""
    pixels = _decode_file(view, reduction)
    drop_pages(view.photograph.values)  # or all photographs' files would stay in memory, one after the other
    return pixels


def _decode_file(view: ScanView, reduction: int) -> np.ndarray:
    if view.maps is None:
        first = min(reduction, MOST_DECODED)
        pixels = decode(view.photograph, first, size=(view.width, view.height))
        pixels = pixel_means(as_tensor(pixels), reduction // first).numpy()
        return pixels[: view.height // reduction, : view.width // reduction]
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


def _mask_at(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    if mask.shape == (height, width):
        return np.ascontiguousarray(mask, np.float32)
    values = torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None, None]
    return F.interpolate(values, (height, width), mode="area")[0, 0].numpy()


def _reduced_maps(maps: Maps, height: int, width: int, device: torch.device) -> SurfaceMap:
    """The surface of maps at height x width, which divide the maps' own size by one whole number."""
    uv, depth, facing = (
        None if values is None else as_tensor(values, device, torch.float32)
        for values in (maps.uv, maps.depth, maps.facing)
    )
    assert uv is not None
    return reduced_surface(surface_of_maps(uv, depth, facing), maps.uv.shape[0] // height, height, width)


def _reduced_frame(frame: Frame, times: int, settings: WeightSettings) -> Frame:
    """A kept frame at another reduction."""
    assert frame.surface is not None
    height, width = frame.pixels.shape[0] // times, frame.pixels.shape[1] // times
    surface = reduced_surface(frame.surface, times, height, width)
    pixels, mask = pixel_means(frame.pixels, times), frame.mask
    if mask is not None:
        own = mask[: height * times, : width * times].cpu().numpy()
        mask = as_tensor(own.reshape(height, times, width, times).mean(axis=(1, 3)), mask.device)
    return Frame(pixels, mask, None, surface, surface_weights(surface, settings.at_scale(times)))
