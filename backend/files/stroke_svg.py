"""Brush strokes as a drawing: strokes.svg, which vector programs and browsers open.

A path for each stroke, in painting order, in a group (an Inkscape layer) for each layer of the painting. The viewBox is the canvas
in pixels. The smudge pass is left out, and the drawing says so. It is for looking at and for editing elsewhere; Relievo reads
strokes.npz and strokes.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from backend.files.stroke_outlines import curve_points, path_data
from backend.files.whole_files import put, whole
from shared.arrays import Array
from shared.classes import hex_color
from shared.strokes import INDEX, in_painting_order, smudge_of

AT_ONCE = 2048  # strokes
SAME = 0.5 / 255.0  # opacities and colours that differ by less are one
STOPS = 5  # of the gradient along a stroke whose opacity or colour changes
CHANGING = (("t0", "t2"), ("red", "red2"), ("green", "green2"), ("blue", "blue2"))


def write(array: Array, path: Path) -> None:
    """Raises StorageFull, and InvalidInput where the file cannot be written."""
    with whole(path) as temporary:
        put(temporary, (part.encode() for part in _document(array)))


def _document(array: Array) -> Iterator[str]:
    width, height = (float(array.attributes[f"canvas_{side}_px"]) for side in ("width", "height"))
    strokes = in_painting_order(array.values)
    decimals = 2 if max(width, height) >= 256 else 3
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg"'
        ' xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"'
        f' width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}">\n'
    )
    if smudge := smudge_of(array.attributes):
        yield f"<desc>A drawing holds no blended paint: the painting's smudge of {smudge:g} is left out here.</desc>\n"
    if color := array.attributes.get("canvas_color"):
        yield f'<rect id="canvas" width="{width:g}" height="{height:g}" fill="{hex_color(color).lower()}"/>\n'
    changes = [np.abs(_column(strokes, one) - _column(strokes, two)) for one, two in CHANGING]
    fading = np.max(changes, axis=0) > SAME
    if fading.any():
        yield "<defs>\n"
        yield from _gradients(strokes, np.flatnonzero(fading), width, height)
        yield "</defs>\n"
    layers = np.rint(_column(strokes, "layer")).astype(int)
    for layer in np.unique(layers):
        yield f'<g id="layer-{layer}" class="layer" inkscape:groupmode="layer" inkscape:label="Layer {layer}">\n'
        numbers = np.flatnonzero(layers == layer)
        for start in range(0, len(numbers), AT_ONCE):
            yield _paths(strokes, numbers[start : start + AT_ONCE], fading, width, height, decimals)
        yield "</g>\n"
    yield "</svg>\n"


def _paths(
    strokes: np.ndarray, numbers: np.ndarray, fading: np.ndarray, width: float, height: float, decimals: int
) -> str:
    some = strokes[numbers]
    outlines = path_data(some, width, height, decimals=decimals)
    opacities = np.clip((_column(some, "t0") + _column(some, "t2")) / 2, 0.0, 1.0)
    segments = np.rint(_column(some, "segment")).astype(int)
    lines = []
    for number, outline, color, opacity, segment in zip(
        numbers.tolist(), outlines, _colors(some), opacities.tolist(), segments.tolist(), strict=True
    ):
        fill = f"url(#fade-{number})" if fading[number] else color
        paint = f'fill="{fill}"' + (f' fill-opacity="{opacity:.3g}"' if not fading[number] and opacity < 1.0 else "")
        belongs = f' class="segment-{segment}"' if segment >= 0 else ""
        lines.append(f'<path id="stroke-{number}"{belongs} {paint} d="{outline}"/>\n')
    return "".join(lines)


def _gradients(strokes: np.ndarray, numbers: np.ndarray, width: float, height: float) -> Iterator[str]:
    """From the start of a stroke to its end. A stop lies where that part of the curve projects to, never before the last one."""
    t = np.linspace(0.0, 1.0, STOPS)
    for start in range(0, len(numbers), AT_ONCE):
        chosen = numbers[start : start + AT_ONCE]
        some = strokes[chosen]
        points = curve_points(some, width, height, t)
        chord = points[:, -1] - points[:, 0]
        length = np.maximum((chord**2).sum(axis=1), 1e-12)
        places = ((points - points[:, :1]) * chord[:, None]).sum(axis=2) / length[:, None]
        places = np.maximum.accumulate(np.clip(places, 0.0, 1.0), axis=1)
        t0, t2 = (np.clip(_column(some, name), 0.0, 1.0)[:, None] for name in ("t0", "t2"))
        opacities = t0 + (t2 - t0) * t
        for number, colors, ends, offsets, alphas in zip(
            chosen.tolist(),
            zip(*(_colors(some, share) for share in t), strict=True),
            points[:, [0, -1]].tolist(),
            places.tolist(),
            opacities.tolist(),
            strict=True,
        ):
            stops = "".join(
                f'<stop offset="{offset:.3g}" stop-color="{color}" stop-opacity="{alpha:.3g}"/>'
                for offset, color, alpha in zip(offsets, colors, alphas, strict=True)
            )
            (x1, y1), (x2, y2) = ends
            yield (
                f'<linearGradient id="fade-{number}" gradientUnits="userSpaceOnUse"'
                f' x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}">{stops}</linearGradient>\n'
            )


def _column(strokes: np.ndarray, name: str) -> np.ndarray:
    return strokes[:, INDEX[name]].astype(np.float64)


def _colors(strokes: np.ndarray, share: float = 0.0) -> list[str]:
    """#rrggbb of each at a share of its way; the strokes' colours are sRGB-encoded as SVG's are."""
    start, end = (strokes[:, [INDEX[name] for name in names]] for names in zip(*CHANGING[1:], strict=True))
    return [hex_color(color).lower() for color in (start + np.float32(share) * (end - start)).tolist()]
