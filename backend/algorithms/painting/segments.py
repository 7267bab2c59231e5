"""The segments of a picture: which pixel belongs to which, and how far each is from its segment's edge.

A segment is whatever has one number in the map: one object, one material, one painted class. Its parts need not touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SPECK_PX = 9
MOST_INWARD_PX = 64
CHECKED = 8  # steps on a card
FAR_PX = 1e6  # from any edge, where there is one segment alone


@dataclass(frozen=True)
class Segments:
    """labels: places in `numbers` [H, W] int64. numbers: those of the map. depth_px: distance from each pixel's centre to the edge
    of its segment [H, W]; the picture's border is none. pixels: of each segment. names: by the map's numbers, () for none."""

    labels: Tensor
    numbers: tuple[int, ...]
    depth_px: Tensor
    pixels: tuple[int, ...]
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, classes: np.ndarray, device: torch.device, names: Sequence[str] = ()) -> Segments:
        """Of a class map [H, W] uint8."""
        numbers, labels, pixels = np.unique(without_specks(classes), return_inverse=True, return_counts=True)
        labels = labels.reshape(classes.shape)
        return cls(
            torch.from_numpy(labels.astype(np.int64)).to(device),
            tuple(map(int, numbers)),
            torch.from_numpy(_depths(labels, len(numbers))).to(device),
            tuple(map(int, pixels)),
            tuple(map(str, names)),
        )

    @classmethod
    def one(cls, shape: tuple[int, int], device: torch.device) -> Segments:
        """The whole picture."""
        return cls(
            torch.zeros(shape, dtype=torch.int64, device=device),
            (-1,),
            torch.full(shape, FAR_PX, device=device),
            (shape[0] * shape[1],),
        )

    @property
    def count(self) -> int:
        return len(self.numbers)

    def signed_depth(self, points: Tensor, segment: Tensor) -> Tensor:
        """How deep points (row, column) [N, T, 2] px lie inside the segments [N] that they belong to, [N, T] px, below 0 outside.

        Outside it is the distance back to the edge of the segment that they are in, which is that of their own near by.
        Between pixels' centres it is bilinear, with a slope where the points have one.
        """
        if self.count == 1:
            return torch.full_like(points[..., 0], FAR_PX)
        height, width = self.labels.shape
        row = points[..., 0].clamp(0.5, height - 0.5) - 0.5
        column = points[..., 1].clamp(0.5, width - 0.5) - 0.5
        top, left = row.detach().floor().long(), column.detach().floor().long()
        down, right = row - top, column - left
        bottom, far = (top + 1).clamp_max(height - 1), (left + 1).clamp_max(width - 1)
        own = segment[:, None]
        upper = torch.lerp(self._at(top, left, own), self._at(top, far, own), right)
        lower = torch.lerp(self._at(bottom, left, own), self._at(bottom, far, own), right)
        return torch.lerp(upper, lower, down)

    def slope(self) -> Tensor:
        """Unit vectors (row, column) [H, W, 2] towards the inside of each segment; 0 where there is no edge."""
        return torch.nn.functional.normalize(torch.stack(torch.gradient(self.depth_px), dim=2), dim=2, eps=1e-6)

    def inward(self, places: Tensor, deep_px: Tensor) -> Tensor:
        """Places [N, 2] (row, column) px moved away from the edges of their segments until they are `deep_px` [N] deep, or where
        it is deepest near by; as far as that depth at most."""
        if self.count == 1:
            return places
        slope, limit = self.slope(), torch.tensor(self.labels.shape, device=places.device) - 0.5
        own = self.labels[tuple(places.long().unbind(1))]
        for step in range(MOST_INWARD_PX):
            at = tuple(places.long().unbind(1))
            ahead = torch.minimum((places + slope[at]).clamp_min(0.5), limit)
            there = tuple(ahead.long().unbind(1))
            climbs = (self.depth_px[at] < deep_px) & (step < deep_px) & (self.labels[there] == own)
            climbs &= self.depth_px[there] > self.depth_px[at]
            # where nothing climbs nothing ever will; a card is asked now and then, since the host waits for it
            if (step % CHECKED == 0 or places.device.type == "cpu") and not bool(climbs.any()):
                break
            places = torch.where(climbs[:, None], ahead, places)
        return places

    def _at(self, row: Tensor, column: Tensor, own: Tensor) -> Tensor:
        depth = self.depth_px[row, column]
        return torch.where(self.labels[row, column] == own, depth, -depth)


def without_specks(classes: np.ndarray) -> np.ndarray:
    """The class map [H, W] with segments of fewer than SPECK_PX pixels given to those beside them, which no brush would paint."""
    from scipy.ndimage import distance_transform_edt

    numbers, pixels = np.unique(classes, return_counts=True)
    specks = numbers[(pixels < SPECK_PX) & (numbers != numbers[pixels.argmax()])]
    if not len(specks):
        return classes
    nearest = distance_transform_edt(np.isin(classes, specks), return_distances=False, return_indices=True)
    return classes[tuple(np.asarray(nearest))]


def _depths(labels: np.ndarray, count: int) -> np.ndarray:
    """Distance from each pixel's centre to the nearest edge of its segment, float32 [H, W]."""
    from scipy.ndimage import distance_transform_edt, find_objects

    depth = np.full(labels.shape, FAR_PX, np.float32)
    if count == 1:
        return depth
    for label, place in enumerate(find_objects(labels + 1)):
        assert place is not None  # every label is somewhere
        rows, columns = (slice(max(one.start - 1, 0), one.stop + 1) for one in place)  # a pixel more: the edge itself
        inside = labels[rows, columns] == label
        if not inside.all():
            depth[rows, columns][inside] = np.asarray(distance_transform_edt(inside), np.float32)[inside] - 0.5
    return depth
