"""Sheets by which a person judges a terrain model while it learns: classes, made and real ground side by side."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.training.data import light
from shared.terrain_classes import TERRAIN_CLASSES

PALETTE = tuple(entry.color for entry in TERRAIN_CLASSES)


def sheet(
    shares: Tensor,
    made_px: Tensor,
    real_px: Tensor,
    *pictures: Tensor | None,
    exaggeration: float,
) -> np.ndarray:
    """One row per map: classes, made relief, real relief, and such pictures as there are: made albedo, real picture.

    shares [B, classes, H, W]; heights in pixels [B, 1, H, W]; pictures in colours 0..1 [B, 3, H, W]. uint8 [rows, columns, 3].
    """
    table = torch.tensor(PALETTE, device=shares.device)[shares.argmax(1)]
    parts = [table.float() / 255.0, _relief(made_px, exaggeration), _relief(real_px, exaggeration)]
    parts += [picture.permute(0, 2, 3, 1) for picture in pictures if picture is not None]
    rows = torch.cat(parts, dim=2).flatten(0, 1)
    return (rows.clamp(0, 1) * 255.0).round().byte().cpu().numpy()


def _relief(height_px: Tensor, exaggeration: float) -> Tensor:
    """Hillshade 0..1 [B, H, W, 3], light from the north-west."""
    towards = torch.tensor((-0.5, -0.5, 0.70710678), device=height_px.device)
    shade = (light.normals(height_px, exaggeration) * towards[:, None, None]).sum(1).clamp(0.0, 1.0)
    return shade[..., None].expand(-1, -1, -1, 3)
