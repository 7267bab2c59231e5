"""The geometry of SVG's line elements: path data, transforms and lists of points, flattened to points.

After the SVG 1.1 specification, chapters 7.6 (transforms), 8.3 (path data) and F.6 (arcs). No XML here.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping

import numpy as np

CURVE_STEPS = 24  # points of a Bezier curve
ARC_STEP = math.radians(6.0)
MOST_POINTS = 1 << 21

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_LETTERS = re.compile(r"([MmLlHhVvCcSsQqTtAaZz])")
_ARC = re.compile(
    r"[\s,]*".join([r"(NUMBER)"] * 3 + [r"([01])"] * 2 + [r"(NUMBER)"] * 2).replace("NUMBER", _NUMBER.pattern)
)
_TRANSFORM = re.compile(r"(matrix|translate|scale|rotate|skewX|skewY)\s*\(([^)]*)\)")
_COUNTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}


def numbers(text: str) -> list[float]:
    return [float(found) for found in _NUMBER.findall(text)]


def courses(tag: str, attributes: Mapping[str, str]) -> list[np.ndarray]:
    """The lines [n, 2] of an element, none for one that is no line. Raises ValueError for path data that is none."""
    if tag == "path":
        return path(attributes.get("d", ""))
    if tag == "line":
        ends = [numbers(attributes.get(key, "0"))[:1] or [0.0] for key in ("x1", "y1", "x2", "y2")]
        return [np.array(ends, np.float64).reshape(2, 2)]
    if tag in ("polyline", "polygon"):
        values = numbers(attributes.get("points", ""))
        points = np.array(values[: len(values) // 2 * 2], np.float64).reshape(-1, 2)
        return [np.concatenate([points, points[:1]]) if tag == "polygon" else points]
    return []


def matrix(text: str) -> np.ndarray:
    """The 3 x 3 matrix of a transform attribute. Raises ValueError for one that cannot be read."""
    made = np.eye(3)
    for name, arguments in _TRANSFORM.findall(text):
        made = made @ _one_matrix(name, numbers(arguments))
    if not _TRANSFORM.search(text) or _TRANSFORM.sub("", text).strip(" ,\t\n\r"):
        raise ValueError(f"the transform {text[:40]!r} is not known")
    return made


def _one_matrix(name: str, given: list[float]) -> np.ndarray:
    if name == "matrix" and len(given) == 6:
        a, b, c, d, e, f = given
        return np.array([[a, c, e], [b, d, f], [0, 0, 1]], np.float64)
    if name == "translate" and len(given) in (1, 2):
        return np.array([[1, 0, given[0]], [0, 1, (*given, 0.0)[1]], [0, 0, 1]], np.float64)
    if name == "scale" and len(given) in (1, 2):
        return np.diag([given[0], given[-1], 1.0])
    if name == "rotate" and len(given) in (1, 3):
        cosine, sine = math.cos(math.radians(given[0])), math.sin(math.radians(given[0]))
        turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        x, y = given[1:] or (0.0, 0.0)
        return _one_matrix("translate", [x, y]) @ turn @ _one_matrix("translate", [-x, -y])
    if name in ("skewX", "skewY") and len(given) == 1:
        made = np.eye(3)
        made[(0, 1) if name == "skewX" else (1, 0)] = math.tan(math.radians(given[0]))
        return made
    raise ValueError(f"the transform {name} has {len(given)} numbers")


def path(text: str) -> list[np.ndarray]:
    """The sub-paths [n, 2] of path data. Raises ValueError, with the place, for data that cannot be read."""
    pen = _Pen()
    for letter, given in _commands(text):
        pen.draw(letter, given)
    return [np.array(points, np.float64) for points in pen.courses if len(points) > 1]


def _commands(text: str) -> list[tuple[str, list[float]]]:
    """Each command with its own numbers; repeated numbers repeat the command, after a move as lines."""
    parts = _LETTERS.split(text)
    if parts[0].strip():
        raise ValueError(f"the path data begins with {parts[0].strip()[:20]!r}")
    made: list[tuple[str, list[float]]] = []
    for letter, rest in zip(parts[1::2], parts[2::2], strict=True):
        if letter in "Aa":  # flags may stand without a space before the next number
            given = [float(number) for found in _ARC.findall(rest) for number in found]
            rest = _ARC.sub("", rest)
        else:
            given = numbers(rest)
            rest = _NUMBER.sub("", rest)
        if left := rest.strip(" ,\t\n\r\f"):
            raise ValueError(f"the path data has {left[:20]!r} after {letter!r}")
        made += _split(letter, given)
    return made


def _split(letter: str, given: list[float]) -> list[tuple[str, list[float]]]:
    count = _COUNTS[letter.upper()]
    if count == 0:
        if given:
            raise ValueError("the path data has numbers after a z")
        return [(letter, [])]
    if not given or len(given) % count:
        raise ValueError(f"the path data has {len(given)} numbers after {letter!r}; it takes {count}")
    parts = [given[start : start + count] for start in range(0, len(given), count)]
    following = {"M": "L", "m": "l"}.get(letter, letter)
    return [(letter if place == 0 else following, part) for place, part in enumerate(parts)]


class _Pen:
    """Draws commands into courses of points."""

    def __init__(self) -> None:
        self.courses: list[list[tuple[float, float]]] = []
        self._here = complex(0.0)
        self._start = complex(0.0)
        self._handle: complex | None = None  # of the last curve, which S and T mirror
        self._last = ""
        self._count = 0

    def draw(self, letter: str, given: list[float]) -> None:
        name, origin = letter.upper(), self._here if letter.islower() else complex(0.0)
        if name == "M":
            self._here = self._start = origin + complex(*given)
            self.courses.append([(self._here.real, self._here.imag)])
        elif name == "Z":
            self._to([self._start])
        elif name == "H":
            self._to([complex(origin.real + given[0], self._here.imag)])
        elif name == "V":
            self._to([complex(self._here.real, origin.imag + given[0])])
        elif name == "A":
            self._arc(given[:5], origin + complex(*given[5:]))
        else:
            places = [origin + complex(given[at], given[at + 1]) for at in range(0, len(given), 2)]
            self._curve(name, places)
        self._last = name

    def _to(self, places: list[complex]) -> None:
        if not self.courses or self._last == "Z":
            self.courses.append([(self._here.real, self._here.imag)])
        self.courses[-1] += [(place.real, place.imag) for place in places]
        self._here = places[-1]
        self._count += len(places)
        if self._count > MOST_POINTS:
            raise ValueError(f"a path has more than {MOST_POINTS} points")

    def _curve(self, name: str, places: list[complex]) -> None:
        if name == "L":
            self._to(places)
            return
        mirrored = self._here
        if self._handle is not None and self._last in {"S": "CS", "T": "QT"}.get(name, ""):
            mirrored = 2 * self._here - self._handle
        if name in "ST":
            places = [mirrored, *places]
        self._handle = places[-2]
        control = [self._here, *places]
        share = [number / CURVE_STEPS for number in range(1, CURVE_STEPS + 1)]
        self._to([_bezier(control, at) for at in share])

    def _arc(self, given: list[float], end: complex) -> None:
        """An elliptical arc, from its end points to its middle and angles (F.6.5)."""
        rx, ry, turn = (
            abs(given[0]),
            abs(given[1]),
            complex(math.cos(math.radians(given[2])), math.sin(math.radians(given[2]))),
        )
        large, sweep = given[3] != 0, given[4] != 0
        if rx == 0 or ry == 0 or end == self._here:
            self._to([end])
            return
        half = (self._here - end) / 2 / turn
        x, y = half.real / rx, half.imag / ry
        size = math.hypot(x, y)
        if size > 1:
            rx, ry, x, y, size = rx * size, ry * size, x / size, y / size, 1.0
        off = math.sqrt(max(0.0, 1.0 / (size * size) - 1.0)) * (1 if large != sweep else -1)
        middle = complex(off * y, -off * x)
        first, last = complex(x, y) - middle, complex(-x, -y) - middle
        begin = math.atan2(first.imag, first.real)
        angle = math.atan2(last.imag, last.real) - begin
        angle += 2 * math.pi * ((angle < 0) and sweep) - 2 * math.pi * ((angle > 0) and not sweep)
        centre = complex(middle.real * rx, middle.imag * ry) * turn + (self._here + end) / 2
        count = max(2, math.ceil(abs(angle) / ARC_STEP))
        places = []
        for number in range(1, count):
            at = begin + angle * number / count
            places.append(centre + complex(rx * math.cos(at), ry * math.sin(at)) * turn)
        self._to([*places, end])


def _bezier(control: list[complex], at: float) -> complex:
    """De Casteljau's point of a curve of any degree."""
    while len(control) > 1:
        control = [(1 - at) * first + at * second for first, second in itertools.pairwise(control)]
    return control[0]
