"""A sheet that shows a pack to a person: some of its pieces with picture, relief, clusters, classes, and the classes as blobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from backend.training.data import class_maps, light
from shared.terrain_classes import TERRAIN_CLASSES

TILE_PX = 192
LINE_PX = 16
BLOBS_PX = (2.0, 7.0)  # the weaker and the stronger smoothing on the sheet; a training draws them at random
COLUMNS = ("colours", "relief", "clusters", "classes", "as weak blobs", "as strong blobs")
INK, PAPER = (30, 30, 30), (250, 250, 250)
RELIEF_EXAGGERATION = {"regional": 1.0, "continental": 20.0}


@dataclass(frozen=True)
class Shown:
    """A piece on the sheet. color: uint8 [H, W, 3] or None; clusters, classes: uint8 [H, W]."""

    title: str
    height_m: np.ndarray
    pixel_size_m: float
    scale: str
    color: np.ndarray | None
    clusters: np.ndarray
    classes: np.ndarray


def sheet(pieces: Sequence[Shown]) -> Image.Image:
    """One row per piece, the classes' colours at the bottom. Without any colours the first column is left out."""
    row, columns = TILE_PX + LINE_PX, COLUMNS if any(piece.color is not None for piece in pieces) else COLUMNS[1:]
    picture = Image.new("RGB", (len(columns) * TILE_PX, LINE_PX + len(pieces) * row + LINE_PX), PAPER)
    draw = ImageDraw.Draw(picture)
    for number, title in enumerate(columns):
        draw.text((number * TILE_PX + 4, 2), title, fill=INK)
    for number, piece in enumerate(pieces):
        top = LINE_PX + number * row
        for column, tile in enumerate(_tiles(piece)[-len(columns) :]):
            picture.paste(Image.fromarray(tile), (column * TILE_PX, top))
        draw.text((4, top + TILE_PX + 1), piece.title, fill=INK)
    _legend(draw, picture.height - LINE_PX)
    return picture


def _tiles(piece: Shown) -> list[np.ndarray]:
    side = min(piece.height_m.shape)
    height = torch.from_numpy(piece.height_m[:side, :side].copy())[None, None] / piece.pixel_size_m
    relief = _relief(height, RELIEF_EXAGGERATION[piece.scale])
    picture = relief if piece.color is None else _scaled(torch.from_numpy(piece.color[:side, :side].copy()), "area")
    classes = torch.from_numpy(piece.classes[:side, :side].astype(np.int64))
    blobs = [class_maps.blobs(classes[None], sigma)[0] for sigma in BLOBS_PX]
    palette = np.array([entry.color for entry in TERRAIN_CLASSES], np.uint8)
    clusters = torch.from_numpy(piece.clusters[:side, :side].copy())
    return [
        picture, relief, _scaled(torch.from_numpy(_hues(int(clusters.max()) + 1)[clusters.numpy()]), "nearest"),
        *(_scaled(torch.from_numpy(palette[part.numpy()]), "nearest") for part in (classes, *blobs)),
    ]  # fmt: skip


def _scaled(values: Tensor, mode: str) -> np.ndarray:
    """[TILE_PX, TILE_PX, 3] of uint8 [H, W, 3]."""
    small = F.interpolate(values.permute(2, 0, 1)[None].float(), size=(TILE_PX, TILE_PX), mode=mode)
    return small[0].permute(1, 2, 0).round().byte().numpy()


def _relief(height_px: Tensor, exaggeration: float) -> np.ndarray:
    """Light from the north-west."""
    towards = torch.tensor((-0.5, -0.5, 0.70710678))
    shade = (light.normals(height_px, exaggeration) * towards[:, None, None]).sum(1, keepdim=True).clamp(0.0, 1.0)
    levels = (shade[0] * 255.0).permute(1, 2, 0).expand(-1, -1, 3)
    return _scaled(levels.round().byte(), "area")


def _hues(count: int) -> np.ndarray:
    """Colours uint8 [count, 3] that neighbouring numbers do not share, by steps of the golden ratio around the circle of hues."""
    hues = np.arange(count) * 0.61803399 % 1.0
    channels = [
        np.clip(np.abs((hues + shift) % 1.0 * 6.0 - 3.0) - 1.0, 0.0, 1.0) for shift in (0.0, 2.0 / 3.0, 1.0 / 3.0)
    ]
    return np.rint((0.25 + 0.65 * np.stack(channels, axis=1)) * 255.0).astype(np.uint8)


def _legend(draw: ImageDraw.ImageDraw, top: int) -> None:
    left = 4
    for entry in TERRAIN_CLASSES:
        draw.rectangle((left, top + 3, left + 10, top + 12), fill=entry.color, outline=INK)
        draw.text((left + 14, top + 2), entry.name, fill=INK)
        left += 24 + int(draw.textlength(entry.name)) + 8
