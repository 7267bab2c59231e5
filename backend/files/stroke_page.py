"""The statistics of a painting's strokes as one page of HTML that needs no other file: six plots, after de Guevara et al. 2023."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from backend.files.svg_charts import ACCENT, INK, Axis, Chart, ramp
from backend.files.whole_files import write_bytes
from backend.measures import stroke_statistics as statistics
from backend.measures.stroke_statistics import StrokeStatistics
from shared.arrays import Array

MOST_POINTS = 4000  # drawn of a scatter plot; of more strokes every second, third ... one is

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ margin: 2rem auto; max-width: 1440px; padding: 0 1.5rem; background: #faf7f0; color: #2b2f36;
  font: 15px/1.45 system-ui, sans-serif; }}
h1 {{ font-size: 1.5rem; font-weight: 600; margin: 0 0 .2rem; }}
p {{ margin: 0 0 1.4rem; color: #5b616b; }}
main {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); gap: 1.2rem; }}
figure {{ margin: 0; padding: .9rem 1rem .5rem; background: #fff; border: 1px solid #e6e1d6; border-radius: 6px; }}
figcaption {{ font-weight: 600; }}
figcaption small {{ display: block; font-weight: 400; color: #5b616b; }}
svg {{ width: 100%; height: auto; display: block; }}
.ticks path {{ stroke: #8a909a; }} .ticks text {{ font-size: 11px; fill: #5b616b; }} .ticks .axis {{ font-size: 12px; }}
</style></head><body><h1>{title}</h1><p>{summary}</p><main>
{figures}
</main></body></html>
"""


def write(array: Array, path: Path) -> None:
    """Raises StorageFull, and InvalidInput where the file cannot be written."""
    write_bytes(path, page(array, path.stem).encode())


def page(array: Array, title: str) -> str:
    """The page of a STROKES array."""
    canvas = (float(array.attributes["canvas_width_px"]), float(array.attributes["canvas_height_px"]))
    found = statistics.measure(array.values, canvas)
    plots = (_histogram, _heat, _density, _course, _by_place, _shares)
    figures = "\n".join(_figure(*plot(found), f"plot-{number}") for number, plot in enumerate(plots))
    return _PAGE.format(title=escape(title), summary=_summary(found), figures=figures)


def _summary(found: StrokeStatistics) -> str:
    layers = len(np.unique(found.layer))
    shape = np.median(found.length / np.maximum(found.width, 1e-9))
    cover = found.area.sum() / (found.canvas[0] * found.canvas[1])
    return (
        f"{len(found):,} strokes in {layers} layer{'s' * (layers != 1)} on {found.canvas[0]:g} × {found.canvas[1]:g} pixels. "
        f"The median stroke is {np.median(found.width):.3g} pixels wide and {shape:.2g} times as long. "
        f"Together they would cover the canvas {cover:.2g} times."
    )


def _figure(title: str, note: str, chart: Chart, name: str) -> str:
    return f"<figure><figcaption>{escape(title)}<small>{escape(note)}</small></figcaption>{chart.svg(title, name)}</figure>"


def _histogram(found: StrokeStatistics) -> tuple[str, str, Chart]:
    counts = statistics.histogram(found)
    chart, size = _canvas_chart(found), statistics.BIN_PX
    reach = [count * size / side for count, side in zip(counts.shape[::-1], found.canvas, strict=True)]
    chart.value_map(counts, smooth=False, across=reach[0], down=reach[1])
    return "Histogram", f"strokes in each square of {size:g} pixels, 0 to {counts.max():g}", chart


def _heat(found: StrokeStatistics) -> tuple[str, str, Chart]:
    layers = statistics.heat(found)
    chart = _canvas_chart(found)
    chart.value_map(layers, smooth=True)
    return "Heat map", f"layers of paint, 0 to {layers.max():.3g}", chart


def _density(found: StrokeStatistics) -> tuple[str, str, Chart]:
    density = statistics.density(found)
    chart = _canvas_chart(found)
    chart.value_map(density, smooth=True)
    return "Density", f"kernel density of strokes, 0 to {1e4 * density.max():.3g} on 100 × 100 pixels", chart


def _course(found: StrokeStatistics) -> tuple[str, str, Chart]:
    numbers = np.arange(len(found))
    some = numbers[:: _thinning(found)]
    chart = Chart(Axis("stroke", 0, len(found)), _area_axis(found))
    chart.points(some, found.area[some], 1.4, _by_layer(found.layer[some]), 0.4)
    chart.line(*statistics.course(found), INK)
    return (
        "Size over the painting",
        "area of each stroke in painting order, coloured by layer, and the running median",
        chart,
    )


def _by_place(found: StrokeStatistics) -> tuple[str, str, Chart]:
    order = np.argsort(-found.area, kind="stable")[:: _thinning(found)]  # small ones in front
    chart = _canvas_chart(found)
    radii = np.sqrt(found.area[order] / np.pi) * chart.width / found.canvas[0]
    shares = 0.15 + 0.85 * (1.0 - _area_axis(found).share(found.area[order]))
    colors = [f"rgb({r},{g},{b})" for r, g, b in ramp(shares).tolist()]
    chart.points(found.middles[order, 0], found.middles[order, 1], np.maximum(0.5 * radii, 0.7), colors, 0.75)
    return "Size by place", "a disc for each stroke, half as wide as its area would make it; dark is small", chart


def _shares(found: StrokeStatistics) -> tuple[str, str, Chart]:
    edges, areas, numbers = statistics.area_shares(found)
    axis = Axis("area of a stroke (px²)", float(edges[0]), float(edges[-1]), log=True)
    chart = Chart(axis, Axis("share", 0.0, 1.08 * float(max(areas.max(), numbers.max()))))
    ratio = (edges[1:] / edges[:-1]) ** (1 / 2.4)
    chart.bars(edges[:-1], edges[:-1] * ratio, areas, ACCENT)
    chart.bars(edges[:-1] * ratio, edges[:-1] * ratio**2, numbers, _NUMBERS)
    chart.key([(ACCENT, "of all paint"), (_NUMBERS, "of all strokes")])
    return "Shares", "of the painted area and of the number of strokes, by their size", chart


_NUMBERS = "#d9c49a"


def _canvas_chart(found: StrokeStatistics) -> Chart:
    """x to the right and y down, in pixels of the canvas."""
    width, height = found.canvas
    return Chart(Axis("column (px)", 0.0, width), Axis("row (px)", height, 0.0), ratio=width / height)


def _area_axis(found: StrokeStatistics) -> Axis:
    low = max(float(found.area.min()), 1e-3)
    return Axis("area (px²)", 0.8 * low, 1.25 * max(float(found.area.max()), 1.01 * low), log=True)


def _by_layer(layers: np.ndarray) -> list[str]:
    """A colour for each stroke, the first layer light."""
    numbers = np.unique(layers)
    shares = 0.3 + 0.6 * np.searchsorted(numbers, layers) / max(len(numbers) - 1, 1)
    return [f"rgb({r},{g},{b})" for r, g, b in ramp(shares).tolist()]


def _thinning(found: StrokeStatistics) -> int:
    return -(-len(found) // MOST_POINTS)
