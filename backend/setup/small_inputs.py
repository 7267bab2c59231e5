"""A small array of each kind, and small inputs for any engine: what warm-up, doctor and the contract tests run engines on.

One row per kind. Photographs belong to the mesh and the cameras beside them; everything else stands alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image

from shared import texture_set
from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import (
    AREA_MAP,
    CAMERAS,
    CLASS_MAP,
    COLOR_IMAGE,
    COUNT_MAP,
    CURVES,
    DEPTH_MAP,
    HEIGHT_MAP,
    MASK,
    MESH,
    NORMAL_MAP,
    PALETTE,
    PHOTOGRAPH,
    REPORT,
    STROKES,
    TEXTURE,
    THICKNESS_MAP,
    UV_MAP,
    Array,
)
from shared.cameras import Camera, Distortion, to_array
from shared.curves import TYPES, Line, rows_of
from shared.strokes import COLUMNS, INDEX

SIDE_PX = 96
PIXEL_SIZE_M = 30.0
PHOTOGRAPHS = 3


def typical_ports(spec: AlgorithmSpec) -> list[Port]:
    """The input ports that a run needs: those that are not optional, and with photographs the first mesh and cameras."""
    kinds = [port.kind for port in spec.inputs]
    beside = [kinds.index(kind) for kind in (MESH, CAMERAS) if PHOTOGRAPH in kinds and kind in kinds]
    return [port for place, port in enumerate(spec.inputs) if not port.optional or place in beside]


def small_inputs(spec: AlgorithmSpec, side: int = SIDE_PX) -> dict[str, tuple[Array, ...]]:
    """An array for every typical port, as check_inputs() takes them. side: pixels along maps and photographs."""
    return {
        port.name: _photographs(side) if port.kind is PHOTOGRAPH and port.many else (small_array(port, side, seed),)
        for seed, port in enumerate(typical_ports(spec), 1)
    }


def small_array(port: Port, side: int = SIDE_PX, seed: int = 1) -> Array:
    """A small array of the port's kind, other values for another seed; classes are those the port declares."""
    if port.kind is CLASS_MAP and port.classes:
        return Array(CLASS_MAP, _bands(side, seed, len(port.classes)))
    return SMALL[port.kind.name](side, seed)


def _shares(side: int, seed: int) -> np.ndarray:
    """Smooth hills with a slope and some roughness, 0..1 [side, side]: every engine has something to do on it."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    rough = np.random.default_rng(seed).normal(0, 4, (side, side))
    values = 200 * np.sin(3 * rows + seed) * np.cos(4 * columns) + 150 * rows + rough
    return ((values - values.min()) / (values.max() - values.min())).astype(np.float32)


def _heights(side: int, seed: int) -> np.ndarray:
    return 600.0 * _shares(side, seed)


def _bands(side: int, seed: int, count: int) -> np.ndarray:
    return np.minimum((_shares(side, seed) * count).astype(np.uint8), count - 1)


def _colors(side: int, seed: int) -> np.ndarray:
    return np.stack([_shares(side, seed + channel) for channel in range(3)], axis=-1)


def _normals(side: int, seed: int) -> np.ndarray:
    rows, columns = np.gradient(_heights(side, seed), PIXEL_SIZE_M)
    normals = np.stack([-columns, rows, np.ones_like(rows)], axis=-1)
    return (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float32)


def _uvs(side: int, seed: int) -> np.ndarray:
    rows, columns = np.mgrid[0:side, 0:side]
    return np.stack([(columns + 0.5) / side, 1.0 - (rows + 0.5) / side], axis=-1).astype(np.float32)


def _square() -> np.ndarray:
    """Two triangles with UVs over the unit square [2, 3, 5]."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    points = np.concatenate([corners, np.zeros((4, 1), np.float32), corners], axis=1)
    return points[[[0, 1, 2], [0, 2, 3]]]


def _cameras(side: int, seed: int) -> Array:
    """Cameras with a lens, above the square and looking down at it."""
    down = np.diag([1.0, -1.0, -1.0])
    width, focal = side + side // 3, 1.15 * side
    return to_array(
        [
            Camera(
                name=f"{number}.png",
                width=width,
                height=side,
                fx=focal,
                fy=focal,
                cx=width / 2,
                cy=side / 2,
                rotation=down,
                translation=-down @ np.array([0.4 + 0.1 * number, 0.5, 1.2]),
                distortion=Distortion(coefficients=(-0.05, 0.01)),
            )
            for number in range(PHOTOGRAPHS)
        ]
    )


def _photographs(side: int) -> tuple[Array, ...]:
    rows, columns = np.mgrid[0:side, 0 : side + side // 3]
    waves = 128 + 100 * np.sin(columns / 7) * np.cos(rows / 9)
    picture = np.stack([255 * columns / columns.max(), 255 * rows / rows.max(), waves], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    data = np.frombuffer(buffer.getvalue(), np.uint8)
    return tuple(Array(PHOTOGRAPH, data, {"name": f"{number}.png"}) for number in range(PHOTOGRAPHS))


def _strokes(side: int, seed: int) -> Array:
    values = np.random.default_rng(seed).random((12, len(COLUMNS))).astype(np.float32)
    values[:, INDEX["layer"]], values[:, INDEX["segment"]] = 0.0, -1.0
    values[:, INDEX["order"]] = np.arange(len(values))
    return Array(STROKES, values, {"canvas_width_px": side, "canvas_height_px": side})


def _curves(side: int, seed: int) -> Array:
    share = np.linspace(0.0, 1.0, 12)
    wave = 0.03 * np.sin(6.0 * share + seed)
    courses = [np.stack([share, 0.2 + 0.15 * number + wave], axis=1) for number in range(len(TYPES))]
    return Array(CURVES, rows_of(Line(type=type, points=points) for type, points in zip(TYPES, courses, strict=True)))


def _material(side: int, seed: int) -> Array:
    maps = {"base_color": _colors(side, seed), "roughness": _shares(side, seed), "normal": _normals(side, seed)}
    return texture_set.stack(maps)


_GROUND = {"pixel_size_m": PIXEL_SIZE_M}

SMALL: Mapping[str, Callable[[int, int], Array]] = MappingProxyType(
    {
        "HEIGHT_MAP": lambda side, seed: Array(HEIGHT_MAP, _heights(side, seed), _GROUND),
        "AREA_MAP": lambda side, seed: Array(AREA_MAP, _heights(side, seed), _GROUND),
        "THICKNESS_MAP": lambda side, seed: Array(THICKNESS_MAP, _heights(side, seed), _GROUND),
        "MASK": lambda side, seed: Array(MASK, _shares(side, seed)),
        "CLASS_MAP": lambda side, seed: Array(CLASS_MAP, _bands(side, seed, 4)),
        "COUNT_MAP": lambda side, seed: Array(COUNT_MAP, _bands(side, seed, 9).astype(np.uint16)),
        "COLOR_IMAGE": lambda side, seed: Array(COLOR_IMAGE, _colors(side, seed)),
        "NORMAL_MAP": lambda side, seed: Array(NORMAL_MAP, _normals(side, seed)),
        "UV_MAP": lambda side, seed: Array(UV_MAP, _uvs(side, seed)),
        "DEPTH_MAP": lambda side, seed: Array(DEPTH_MAP, 1.0 + _shares(side, seed)),
        "TEXTURE": lambda side, seed: Array(TEXTURE, np.rint(_colors(side, seed) * 65535).astype(np.uint16)),
        "TEXTURE_SET": _material,
        "MESH": lambda side, seed: Array(MESH, _square()),
        "CAMERAS": _cameras,
        "PHOTOGRAPH": lambda side, seed: _photographs(side)[0],
        "STROKES": _strokes,
        "CURVES": _curves,
        "PALETTE": lambda side, seed: Array(
            PALETTE, np.random.default_rng(seed).random((4, 3)).astype(np.float32), {"names": ["A", "B", "C", "D"]}
        ),
        "REPORT": lambda side, seed: Array(REPORT, np.frombuffer(b'{"summary": []}', np.uint8)),
    }
)
