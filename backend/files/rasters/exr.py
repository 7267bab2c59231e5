"""OpenEXR files: which of their parts, layers and channels is read, by its name or as the user asks.

A render has many layers, and the first is seldom the height. What was chosen among several is said in a warning, so that a black
layer is not taken for a plain in silence. Alpha marks holes in heights.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

from backend.files.rasters import pixels as px
from backend.files.rasters.pixels import Pixels, broken, not_finite
from shared.arrays import AREA_MAP, DEPTH_MAP, HEIGHT_MAP, MASK, NORMAL_MAP, THICKNESS_MAP, ArrayKind
from shared.errors import InvalidInput

logger = logging.getLogger(__name__)

PIXEL_SIZE = "relievoPixelSize"  # float attribute in the header, m
NAMED = 12  # layers in a sentence

_HEIGHT_WORDS = (
    ("height", "heights", "heightmap", "elevation", "dem", "dtm", "dsm", "altitude"),
    ("displacement", "disp"),
    ("position",),
    ("z",),
    ("depth",),
    ("y", "grey", "gray"),
)
_WORDS: dict[ArrayKind, tuple[tuple[str, ...], ...]] = {
    HEIGHT_MAP: _HEIGHT_WORDS,
    DEPTH_MAP: (("depth",), ("z",), ("y",)),
    MASK: (("mask", "matte"),),
    NORMAL_MAP: (("normal", "normals"),),
}
_SURE = 3  # ranks of _HEIGHT_WORDS that name a height whatever else is there
_ALPHA_IS_HOLE = (HEIGHT_MAP, AREA_MAP, THICKNESS_MAP, DEPTH_MAP)
_VECTORS = ({"x", "y", "z"}, {"x", "y", "z", "w"})


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One picture of the file: R, G and B, or one channel. part: its index. label: as --layer takes it."""

    part: int
    label: str
    channels: tuple[str, ...]
    alpha: str = ""
    words: frozenset[str] = field(default_factory=frozenset)

    @property
    def root(self) -> bool:
        return self.part == 0 and "." not in self.channels[0]


def load(path: Path, kind: ArrayKind, layer: str = "") -> Pixels:
    """The layer that holds this kind of map. layer: its name, "" to choose by name. Raises InvalidInput and OutOfMemory."""
    try:
        with _quiet_library(), OpenEXR.File(str(path), separate_channels=True, header_only=True) as file:
            headers = [dict(part.header) for part in file.parts]  # the file clears its own when it is closed
            names = [part.name() for part in file.parts]
        _check(path, headers)
        layers = _layers(headers, names)
        if not layers:
            raise InvalidInput(f"{path} has no channel that is a picture.", field=str(path))
        with _quiet_library(), OpenEXR.File(str(path), separate_channels=True) as file:
            chosen = _asked(path, layers, layer) if layer else _by_name(path, file, kind, layers)
            values = np.stack([_channel(file, chosen.part, name) for name in chosen.channels], axis=2)
            alpha = _channel(file, chosen.part, chosen.alpha) if chosen.alpha else None
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError) as error:
        raise broken(path, str(error)) from error
    if len(layers) > 1:
        _tell(path, kind, layers, chosen, values, asked=bool(layer))
    size = headers[chosen.part].get(PIXEL_SIZE)
    hole = not_finite(values)
    if alpha is not None and kind in _ALPHA_IS_HOLE:
        hole = _with_alpha(path, hole, alpha)
    return Pixels(
        values=values,
        hole=hole,
        format="exr",
        pixel_size_m=float(size) if size else None,
        alpha=bool(chosen.alpha),
    )


def _check(path: Path, headers: list[dict[str, Any]]) -> None:
    """Every part's window: the library reads all of them."""
    shapes = []
    for header in headers:
        if "deep" in str(header.get("type", "")):
            raise InvalidInput(
                f"{path} is a deep EXR, with several values per pixel.", hint="Save it flattened.", field=str(path)
            )
        low, high = header["dataWindow"]
        shape = int(high[1]) - int(low[1]) + 1, int(high[0]) - int(low[0]) + 1
        px.check_size(path, *shape)
        shapes.append((*shape, 4 * len(header["channels"])))
    total = sum(rows * columns * stored for rows, columns, stored in shapes)
    rows, columns, _ = shapes[0]
    px.check_claim(path, rows, columns, -(-total // (rows * columns)), sparse=True)


def _layers(headers: list[dict[str, Any]], names: list[str]) -> list[Layer]:
    """Every picture in the file, in its order; alpha, subsampled colour and what is no picture are left out."""
    found: list[Layer] = []
    for part, header in enumerate(headers):
        groups: dict[str, dict[str, str]] = {}
        for channel in header["channels"]:
            if channel.xSampling == 1 and channel.ySampling == 1:
                prefix, _, last = channel.name.rpartition(".")
                groups.setdefault(prefix, {})[last] = channel.name
        several = len(headers) > 1
        for prefix, group in sorted(groups.items()):
            found += _pictures(part, _label(names[part] if several else "", prefix), _lowered(group))
    return found


def _lowered(group: dict[str, str]) -> dict[str, str]:
    """Channels by their names in lower case, as some programs write all of them; a lone "a" is no alpha."""
    if "a" in group and not {"r", "g", "b"} <= group.keys():
        return {("a (channel)" if last == "a" else last.lower()): name for last, name in group.items()}
    return {last.lower(): name for last, name in group.items()}


def _label(part: str, prefix: str) -> str:
    return prefix if prefix.startswith(part) else ".".join(word for word in (part, prefix) if word)


def _pictures(part: int, label: str, group: dict[str, str]) -> list[Layer]:
    alpha = group.get("a", "")
    shared: dict[str, Any] = {"part": part, "alpha": alpha}
    for color in ("rgb", "rg"):  # UV maps need no blue
        if all(letter in group for letter in color):
            made = [Layer(label=label, channels=tuple(group[c] for c in color), words=_words(label), **shared)]
            return made + _singles(label, {k: v for k, v in group.items() if k not in "rgba"}, shared)
    if set(group) - {"a"} in _VECTORS and "position" not in _words(label):
        channels = tuple(group[letter] for letter in "xyz")
        return [Layer(label=label, channels=channels, words=_words(label), **shared)]
    return _singles(label, {k: v for k, v in group.items() if k != "a" or len(group) == 1}, shared)


def _singles(label: str, group: dict[str, str], shared: dict[str, Any]) -> list[Layer]:
    made = []
    for name in group.values():
        last = name.rpartition(".")[2]
        text = ".".join(word for word in (label, last) if word)
        words = _words(text) if set(group) not in _VECTORS or last.lower() == "z" else frozenset()
        made.append(Layer(label=text, channels=(name,), words=words, **shared))
    return made


def _words(label: str) -> frozenset[str]:
    return frozenset(word for word in re.split(r"[^a-z]+", label.lower()) if word)


def _asked(path: Path, layers: list[Layer], asked: str) -> Layer:
    wanted = asked.lower()
    for test in (
        lambda layer: layer.label.lower() == wanted,
        lambda layer: any(name.lower() == wanted for name in layer.channels),
        lambda layer: wanted in layer.label.lower().split("."),
        lambda layer: layer.label.lower().startswith(f"{wanted}."),
    ):
        found = [layer for layer in layers if test(layer)]
        if len(found) == 1:
            return found[0]
        for layer in found:
            single = next((name for name in layer.channels if name.lower() == wanted), "")
            if single:
                return Layer(part=layer.part, label=single, channels=(single,))
        if found:
            raise InvalidInput(
                f"{path} has {len(found)} layers of the name {asked!r}: {_list(found)}.",
                hint="Give the whole name of one to --layer.",
                field=str(path),
            )
    raise InvalidInput(
        f"{path} has no layer {asked!r}.", hint=f"--layer takes one of: {_list(layers)}.", field=str(path)
    )


def _by_name(path: Path, file: Any, kind: ArrayKind, layers: list[Layer]) -> Layer:
    """The layer whose name says that it is such a map; without one the colours, or the only channel."""
    if len(layers) == 1:
        return layers[0]
    colors = [layer for layer in layers if len(layer.channels) > 1]
    ranks = _WORDS.get(kind, _HEIGHT_WORDS if kind in _ALPHA_IS_HOLE else ())
    single = kind is not NORMAL_MAP
    for rank, words in enumerate(ranks):
        named = [layer for layer in layers if layer.words & set(words) and (len(layer.channels) == 1) == single]
        if not named and rank < 2:  # a grey picture of that name
            named = [layer for layer in colors if layer.words & set(words)]
        if not named:
            continue
        if kind is HEIGHT_MAP and rank >= _SURE:
            grey = next((layer for layer in colors if layer.root and _is_grey(file, layer)), None)
            if grey is not None:
                return grey
        if len(named) > 1:
            raise _several(path, named)
        return named[0]
    if colors:
        return min(colors, key=lambda layer: (layer.part, not layer.root))
    raise _several(path, layers)


def _several(path: Path, layers: list[Layer]) -> InvalidInput:
    return InvalidInput(
        f"{path} has the channels {_list(layers)}; one channel, or R, G and B, is needed.",
        hint=f"Choose one, for example --layer {layers[0].label}.",
        field=str(path),
    )


def _is_grey(file: Any, layer: Layer) -> bool:
    first, *others = (_channel(file, layer.part, name) for name in layer.channels)
    return float(np.ptp(first)) > 0 and all(np.array_equal(first, other) for other in others)


def _channel(file: Any, part: int, name: str) -> np.ndarray:
    return np.array(file.parts[part].channels[name].pixels)


def _tell(path: Path, kind: ArrayKind, layers: list[Layer], chosen: Layer, values: np.ndarray, *, asked: bool) -> None:
    others = _list([layer for layer in layers if layer.label != chosen.label])
    flat = kind in _ALPHA_IS_HOLE and values.size and bool(np.all(values == values[:1, :1]))
    name = chosen.label or ", ".join(chosen.channels)
    if flat:
        logger.warning(
            "%s: its layer %s is %g everywhere. It also has %s: see --layer.", path, name, values[0, 0, 0], others
        )
    elif not asked and kind in _ALPHA_IS_HOLE:
        logger.warning("%s has several layers: %s is read. --layer chooses another: %s.", path, name, others)
    if kind is HEIGHT_MAP and chosen.words & {"z", "depth"} and not chosen.words & {*_HEIGHT_WORDS[0], "position"}:
        logger.warning("%s: %s may be the distance from a camera, which is small where the ground is high.", path, name)


def _list(layers: list[Layer]) -> str:
    names = [layer.label or ", ".join(layer.channels) for layer in layers]
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _with_alpha(path: Path, hole: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Pixels that are not wholly opaque are holes: their values are mixed with what lies behind."""
    opaque = alpha >= 0.999
    if not opaque.any():
        logger.warning("%s: its alpha channel is below 1 everywhere and is ignored.", path)
        return hole
    return hole | ~opaque


@contextlib.contextmanager
def _quiet_library() -> Iterator[None]:
    """OpenEXR tells of a broken file on the process's own stdout and stderr as well as by an exception; one telling is enough."""
    kept = os.dup(1), os.dup(2)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
            try:
                with contextlib.redirect_stdout(io.StringIO()):  # its Python half prints, too
                    yield
            finally:
                os.dup2(kept[0], 1)
                os.dup2(kept[1], 2)
    finally:
        os.close(kept[0])
        os.close(kept[1])
