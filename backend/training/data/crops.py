"""Which crops a pack gives: of the globe, or of metric maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch

from backend.training.data import pack
from backend.training.data.batches import Batch
from backend.training.data.globe_crops import GlobeCrops, Window
from backend.training.data.metric_crops import MetricCrops


class Crops(Protocol):
    """colored: whether batches have colours."""

    colored: bool

    def batch(self, count: int, generator: torch.Generator) -> Batch:
        """`count` crops, drawn from `generator` alone."""
        ...


def crops_of(
    folder: Path, scale: pack.Scale, side: int, device: torch.device, *, leave_out: Sequence[Window] = ()
) -> Crops:
    """What may train in a pack at a scale. leave_out: parts of a globe that no training sees. Raises InvalidInput."""
    if any(region.is_globe and region.scale == scale for region in pack.regions(folder)):
        return GlobeCrops(folder, side, device, leave_out=leave_out)
    return MetricCrops(folder, side, device, scale=scale)


def sources(folder: Path, scale: pack.Scale) -> str:
    """Where what trains at a scale is from, for a model card."""
    seen = [region.source for region in pack.regions(folder) if region.scale == scale and region.split == "train"]
    return "; ".join(dict.fromkeys(seen))
