"""The ground beside lines: it goes with the strips along them, and that fades out over the lines' reach.

Works in bands of rows, so that little more than the map itself is in memory; what the strips are is
backend.ops.terrain.curves.sections, how the displacement spreads between them backend.ops.terrain.curves.displacement.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.smoothing import gaussian
from backend.ops.terrain.bands import row_bands
from backend.ops.terrain.curves.displacement import Membrane, Window
from backend.ops.terrain.curves.sections import Wanted

FADES = 2.6, 3.6  # reaches beside a line between which the last of its displacement goes
FARTHEST = 7.0  # reaches beyond which a line's own forms have lost all of their weight
ORGANIC = 0.8  # how much a flank follows the spurs and hollows of the ground: 0 is as smooth as a tent
FORM_SHARE = 4.0  # small forms, which stay as they are, are shorter than this part of the reach
FREE = 1e-7  # a pull that is none


def moved(ground: np.ndarray, wanted: Wanted, held: np.ndarray | None, device: torch.device) -> np.ndarray:
    """The ground float32 [H, W] with the wanted heights, and a displacement that fades out around them; computed on `device`.

    held [H, W] bool: pixels that stay.
    """
    return _Surroundings(ground, wanted, held, device).moved()


class _Surroundings:
    """What lies around strips, looked up by windows. Windows count from the corner of the rectangle that is in reach at all."""

    def __init__(self, ground: np.ndarray, wanted: Wanted, held: np.ndarray | None, device: torch.device) -> None:
        near = wanted.near
        self._ground, self._wanted, self._held, self._device = ground, wanted, held, device
        self._reach_px = (wanted.reach_m / near.pixel_size_m).astype(np.float32)
        self._zone_px = (wanted.zone_m / near.pixel_size_m).astype(np.float32)
        self._height = wanted.height.astype(np.float32)
        self._rises = self._rise_of_samples()
        self._most = torch.tensor(np.abs(self._rises[near.owner.ravel()[near.pixel]]).max(), device=device)
        (self._rows, self._columns), median_px = self._within_reach()
        self._shape = (self._rows.stop - self._rows.start, self._columns.stop - self._columns.start)
        here = torch.from_numpy(ground[self._rows, self._columns]).to(device)
        self._form = _forms(here, median_px / FORM_SHARE)
        self._spread = _deviation(self._form)

    def moved(self) -> np.ndarray:
        result = self._ground.copy()
        shift = Membrane(self._displacement, self._shape)
        shaped, middle = None, 0.0
        if self._wanted.share.any():
            middle = self._mean_level()
            shaped = Membrane(lambda window: self._own_forms(window, middle), self._shape)
        for window, beyond, reach in self._bands(FADES[1] if shaped is None else FARTHEST):
            whole = self._on_map(window)
            result[whole] = self._band(window, beyond / reach, shift, shaped, middle).cpu().numpy()
        return result

    def _band(self, window: Window, share: Tensor, shift: Membrane, shaped: Membrane | None, middle: float) -> Tensor:
        """The moved ground of a window. share: how many reaches away the lines are."""
        here, there, is_fixed, stays = self._heights(window)
        by, nearness = shift.at(window)
        by = by * _smoothstep((FADES[1] - share) / (FADES[1] - FADES[0]))
        made = torch.where(by != 0, here + by, here)
        if shaped is not None:
            level, rise, weight, kept = shaped.at(window)
            own = level + middle + rise * (1.0 - nearness) + kept * self._form[window]
            made = made + weight * _smoothstep(nearness) * (own - made)
        return torch.where(is_fixed, there, torch.where(stays, here, made))

    # What membranes are made of --------------------------------------------------------------------------------------

    def _displacement(self, window: Window) -> tuple[Tensor, Tensor, Tensor]:
        """How far the ground moves, and 1 on strips (0 out of reach)."""
        here, there, is_fixed, stays = self._heights(window)
        beyond, reach, owner = self._distances(window)
        rises = torch.from_numpy(self._rises[owner]).to(self._device)
        pull = (beyond / reach).square() / reach.square() * self._organic(self._form[window], rises)
        return torch.stack([there - here, is_fixed.float()]), stays, pull

    def _own_forms(self, window: Window, middle: float) -> tuple[Tensor, Tensor, Tensor]:
        """Beside a line, its level and rise take the place of the ground's large forms, to its share; small forms stay.

        Level, rise, share, and share of the small forms that stay, on the strips.
        """
        level, stays, kept = self._levels(window)
        rise, share = (self._on_strip(window, values) for values in (self._wanted.rise_m, self._wanted.share))
        own = torch.stack([level - middle, rise, share, kept])
        return own, stays, torch.full_like(level, FREE)

    def _levels(self, window: Window) -> tuple[Tensor, Tensor, Tensor]:
        _, there, _, stays = self._heights(window)
        kept = self._on_strip(window, self._wanted.form)
        return there - kept * self._form[window], stays, kept

    def _mean_level(self) -> float:
        parts = []
        for rows in row_bands(self._shape):
            level, stays, _ = self._levels((rows, slice(0, self._shape[1])))
            parts.append(level[stays])
        return float(torch.cat(parts).double().mean().float())

    def _organic(self, form: Tensor, rises: Tensor) -> Tensor:
        """A factor on the pull: flanks of what rises reach out along spurs, those of what sinks along hollows."""
        way = (10.0 * rises / (self._most + 1e-6)).clamp(-1.0, 1.0)
        return torch.exp(-ORGANIC * way * (form / self._spread).clamp(-2.0, 2.0))

    # Looking up ------------------------------------------------------------------------------------------------------

    def _rise_of_samples(self) -> np.ndarray:
        """How far the pixel under each sample [n] moves; 0 where no height is wanted."""
        wanted = self._wanted
        place = np.searchsorted(wanted.pixel, wanted.near.pixel).clip(max=len(wanted.pixel) - 1)
        rises = self._height - self._ground.ravel()[wanted.pixel]
        return np.where(wanted.pixel[place] == wanted.near.pixel, rises[place], np.float32(0.0))

    def _within_reach(self) -> tuple[Window, float]:
        """The rectangle around all pixels that move, and the median reach there in pixels."""
        near, shape = self._wanted.near, self._ground.shape
        self._rows, self._columns = slice(0, shape[0]), slice(0, shape[1])
        in_rows, in_columns = np.zeros(shape[0], bool), np.zeros(shape[1], bool)
        for rows in row_bands(shape):
            beyond, reach, _ = self._distances_of((rows, slice(0, shape[1])))
            inside = beyond < FADES[1] * reach
            in_rows[rows] = inside.any(axis=1)
            in_columns |= inside.any(axis=0)
        rows, columns = (_span(part) for part in (in_rows, in_columns))
        counts = np.zeros(len(near.row), np.int64)
        for band in row_bands(shape):
            part = slice(max(band.start, rows.start), min(band.stop, rows.stop))
            if part.start < part.stop:
                counts += np.bincount(near.owner[part, columns].ravel(), minlength=len(counts))
        return (rows, columns), _weighted_median(self._reach_px, counts)

    def _bands(self, limit: float) -> Iterator[tuple[Window, Tensor, Tensor]]:
        """Windows that hold all pixels with lines nearer than some reaches, and distance and reach there in pixels."""
        for rows in row_bands(self._shape):
            beyond, reach, _ = self._distances_of(self._on_map((rows, slice(0, self._shape[1]))))
            inside = beyond < np.float32(limit) * reach
            if inside.any():
                across, down = (_span(np.asarray(inside.any(axis=axis))) for axis in (0, 1))
                beyond, reach = (
                    torch.from_numpy(np.ascontiguousarray(v[down, across])).to(self._device) for v in (beyond, reach)
                )
                window = (slice(rows.start + down.start, rows.start + down.stop), across)
                yield window, beyond, reach

    def _distances(self, window: Window) -> tuple[Tensor, Tensor, np.ndarray]:
        beyond, reach, owner = self._distances_of(self._on_map(window))
        return torch.from_numpy(beyond).to(self._device), torch.from_numpy(reach).to(self._device), owner

    def _distances_of(self, whole: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of a window of the map: pixels from each to its line's strip, that line's reach in pixels, and the nearest sample."""
        owner = self._wanted.near.owner[whole]
        beyond = np.maximum(self._wanted.near.distance_px[whole] - self._zone_px[owner], np.float32(0.0))
        return beyond, self._reach_px[owner], owner

    def _heights(self, window: Window) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of a window: the ground, the wanted heights (ground elsewhere), whether there are some, and which pixels stay."""
        whole = self._on_map(window)
        here = np.ascontiguousarray(self._ground[whole])
        there, is_fixed = here.copy(), np.zeros(here.shape, bool)
        inside, place = self._strip(window)
        there.ravel()[place], is_fixed.ravel()[place] = self._height[inside], True
        stays = is_fixed if self._held is None else is_fixed | self._held[whole]
        return tuple(torch.from_numpy(values).to(self._device) for values in (here, there, is_fixed, stays))  # pyright: ignore[reportReturnType]

    def _on_strip(self, window: Window, values: np.ndarray) -> Tensor:
        """Values of the strips' pixels in a window, 0 elsewhere."""
        made = np.zeros((window[0].stop - window[0].start, window[1].stop - window[1].start), np.float32)
        inside, place = self._strip(window)
        made.ravel()[place] = values[inside]
        return torch.from_numpy(made).to(self._device)

    def _strip(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Which wanted heights lie in a window, and their flat places in it."""
        rows, columns = self._on_map(window)
        pixel, width = self._wanted.pixel, self._ground.shape[1]
        first, last = np.searchsorted(pixel, (rows.start * width, rows.stop * width))
        row, column = np.divmod(pixel[first:last], width)
        inside = np.flatnonzero((column >= columns.start) & (column < columns.stop))
        place = (row[inside] - rows.start) * (columns.stop - columns.start) + column[inside] - columns.start
        return inside + first, place

    def _on_map(self, window: Window) -> Window:
        rows, columns = window
        return (
            slice(rows.start + self._rows.start, rows.stop + self._rows.start),
            slice(columns.start + self._columns.start, columns.stop + self._columns.start),
        )


def _span(inside: np.ndarray) -> slice:
    """From the first true one to the last."""
    places = np.flatnonzero(inside)
    return slice(int(places[0]), int(places[-1]) + 1)


def _weighted_median(values: np.ndarray, counts: np.ndarray) -> float:
    """The median of float32 values [n] that occur so many times each."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(counts[order])
    middle = np.searchsorted(upto, ((upto[-1] - 1) // 2, upto[-1] // 2), side="right")
    return float(np.mean(values[order[middle]]))


def _forms(ground: Tensor, length_px: float) -> Tensor:
    """The ground's forms smaller than a length; with long lengths the larger ones are found on a thinned map."""
    length_px = max(1.0, min(length_px, min(ground.shape) / 4.0))
    step = max(1, int(length_px / 4.0))
    mean = F.avg_pool2d(ground[None, None], step, ceil_mode=True, count_include_pad=False)[0, 0]
    mean = gaussian(mean, 0.5 * length_px / step, edge="nearest")
    if step > 1:
        mean = F.interpolate(mean[None, None], size=ground.shape, mode="bicubic", align_corners=False)[0, 0]
    return torch.sub(ground, mean, out=mean)


def _deviation(form: Tensor) -> float:
    """The root of the mean square."""
    total = 0.0
    for rows in row_bands(tuple(form.shape)):
        total += float(np.square(form[rows].numpy(force=True), dtype=np.float64).sum())
    return float(np.sqrt(total / form.numel())) + 1e-6


def _smoothstep(share: Tensor) -> Tensor:
    share = share.clamp(0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)
