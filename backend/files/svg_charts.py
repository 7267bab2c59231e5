"""Small charts as SVG text: axes with round numbers, points, lines, bars and maps of values. Draws what it is given; measures
nothing.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 440, 330
LEFT, RIGHT, TOP, BOTTOM = 58, 18, 12, 42
INK, PALE, ACCENT = "#2b2f36", "#c9ced6", "#b5523b"
# From paper over ochre and rust to ink: lightness falls all the way, so that it reads in grey as well.
RAMP = np.array([(250, 247, 240), (240, 214, 156), (222, 160, 88), (181, 82, 59), (104, 40, 60), (36, 22, 48)], float)


@dataclass(frozen=True)
class Axis:
    """From `low`, at the left or the bottom, to `high`; on a log axis both are above 0."""

    label: str
    low: float
    high: float
    log: bool = False

    def share(self, values: np.ndarray | float) -> np.ndarray:
        """0..1 along the axis."""
        values, low, high = np.asarray(values, float), self.low, self.high
        if self.log:
            values, low, high = np.log(np.maximum(values, 1e-12)), np.log(low), np.log(high)
        return (values - low) / ((high - low) or 1.0)

    def ticks(self) -> list[float]:
        low, high = sorted((self.low, self.high))
        if self.log:
            return _log_ticks(low, high)
        step = _round_step((high - low) / 5)
        first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
        return [float(step * number) + 0.0 for number in np.arange(first, last + 1)]  # + 0.0: no -0


class Chart:
    """What is drawn between two axes, the first thing lowest. ratio: width to height of what is inside, None for all the room."""

    def __init__(self, x: Axis, y: Axis, *, ratio: float | None = None) -> None:
        self.x, self.y = x, y
        room = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM)
        self.width = room[0] if ratio is None else min(room[0], room[1] * ratio)
        self.height = room[1] if ratio is None else min(room[1], room[0] / ratio)
        self.left = LEFT + (room[0] - self.width) / 2
        self.top = TOP + (room[1] - self.height) / 2
        self._body: list[str] = []

    def points(
        self, x: np.ndarray, y: np.ndarray, radius: np.ndarray | float, colors: Sequence[str] | str, opacity: float
    ) -> None:
        """Discs. radius: in the drawing's pixels."""
        across, down = self._places(x, y)
        fills = [colors] * len(across) if isinstance(colors, str) else colors
        radii = np.broadcast_to(radius, across.shape).tolist()
        discs = "".join(
            f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="{r:.2f}" fill="{fill}"/>'
            for cx, cy, r, fill in zip(across.tolist(), down.tolist(), radii, fills, strict=True)
        )
        self._body.append(f'<g fill-opacity="{opacity:g}">{discs}</g>')

    def line(self, x: np.ndarray, y: np.ndarray, color: str) -> None:
        across, down = self._places(x, y)
        places = " ".join(f"{px:.1f},{py:.1f}" for px, py in zip(across.tolist(), down.tolist(), strict=True))
        style = f'fill="none" stroke="{color}" stroke-width="2" stroke-linejoin="round"'
        self._body.append(f'<polyline points="{places}" {style}/>')

    def bars(self, left: np.ndarray, right: np.ndarray, tops: np.ndarray, color: str) -> None:
        """From the x axis up."""
        first, up = self._places(left, tops)
        last, _ = self._places(right, tops)
        floor = self.top + self.height
        rects = "".join(
            f'<rect x="{a:.1f}" y="{t:.1f}" width="{max(b - a, 0.5):.1f}" height="{max(floor - t, 0.0):.1f}"/>'
            for a, b, t in zip(first.tolist(), last.tolist(), up.tolist(), strict=True)
        )
        self._body.append(f'<g fill="{color}">{rects}</g>')

    def value_map(self, values: np.ndarray, *, smooth: bool, across: float = 1.0, down: float = 1.0) -> None:
        """Values [rows, columns], 0 up to their largest, the first row at the top; across, down: how far they reach, in charts."""
        colors = ramp(values / max(float(values.max()), 1e-12))
        buffer = io.BytesIO()
        Image.fromarray(colors).save(buffer, "PNG", optimize=True)
        look = "" if smooth else ' style="image-rendering:pixelated"'
        self._body.append(
            f'<image x="{self.left:.1f}" y="{self.top:.1f}" width="{self.width * across:.2f}"'
            f' height="{self.height * down:.2f}" preserveAspectRatio="none"{look}'
            f' href="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"/>'
        )

    def key(self, entries: Sequence[tuple[str, str]]) -> None:
        """What colours stand for, at the top right: (color, text)."""
        right = self.left + self.width - 10
        for number, (color, text) in enumerate(entries):
            y = self.top + 14 + 16 * number
            self._body.append(
                f'<rect x="{right - 9:.1f}" y="{y - 8:.1f}" width="9" height="9" fill="{color}"/>'
                f'<text x="{right - 14:.1f}" y="{y:.1f}" text-anchor="end" font-size="11" fill="{INK}">{escape(text)}</text>'
            )

    def svg(self, title: str, name: str) -> str:
        """The drawing. name: its own on the page."""
        frame = f'<rect x="{self.left:.1f}" y="{self.top:.1f}" width="{self.width:.1f}" height="{self.height:.1f}"'
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
            f'<clipPath id="{name}">{frame}/></clipPath><g clip-path="url(#{name})">{"".join(self._body)}</g>'
            f'{frame} fill="none" stroke="{PALE}"/><g class="ticks">{self._across()}{self._up()}</g></svg>'
        )

    def _places(self, x: np.ndarray | float, y: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        return self.left + self.width * self.x.share(x), self.top + self.height * (1.0 - self.y.share(y))

    def _across(self) -> str:
        floor = self.top + self.height
        parts = []
        for value in self.x.ticks():
            x = float(self._places(value, self.y.low)[0])
            parts.append(f'<path d="M{x:.1f} {floor:.1f}v4"/>')
            parts.append(f'<text x="{x:.1f}" y="{floor + 16:.1f}" text-anchor="middle">{number_text(value)}</text>')
        middle = self.left + self.width / 2
        label = f'<text x="{middle:.1f}" y="{floor + 34:.1f}" text-anchor="middle" class="axis">{escape(self.x.label)}</text>'
        return "".join([*parts, label])

    def _up(self) -> str:
        parts = []
        for value in self.y.ticks():
            y = float(self._places(self.x.low, value)[1])
            parts.append(f'<path d="M{self.left:.1f} {y:.1f}h-4"/>')
            parts.append(
                f'<text x="{self.left - 7:.1f}" y="{y + 3.5:.1f}" text-anchor="end">{number_text(value)}</text>'
            )
        x, middle = self.left - 45, self.top + self.height / 2
        turned = f'transform="rotate(-90 {x:.1f} {middle:.1f})" text-anchor="middle" class="axis"'
        return "".join([*parts, f'<text x="{x:.1f}" y="{middle:.1f}" {turned}>{escape(self.y.label)}</text>'])


def ramp(shares: np.ndarray) -> np.ndarray:
    """uint8 [..., 3] for 0..1, from light to dark."""
    place = np.clip(shares, 0.0, 1.0) * (len(RAMP) - 1)
    bands = [np.interp(place, np.arange(len(RAMP)), RAMP[:, band]) for band in range(3)]
    return np.rint(np.stack(bands, axis=-1)).astype(np.uint8)


def number_text(value: float) -> str:
    """1200000 as 1.2M, 20000 as 20k, 0.25 as 0.25."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, 1e4):
            return f"{value / size:.3g}{letter}"
    return f"{value:.4g}"


def _round_step(step: float) -> float:
    """1, 2 or 5 times a power of ten, not below the step."""
    power = 10.0 ** np.floor(np.log10(max(step, 1e-12)))
    return float(next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= step * (1 - 1e-9)))


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    factors = (1,) if np.log10(high / low) > 2.5 else (1, 2, 5)
    return [f * 10.0**p for p in powers for f in factors if low * (1 - 1e-9) <= f * 10.0**p <= high * (1 + 1e-9)]
