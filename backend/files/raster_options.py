"""What a user may say about a raster file that the file does not say itself, or says wrongly.

One declaration for the command line, for recipes and for the readers. Names and checks only; no file is opened, so that --help
stays quick.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from shared.errors import InvalidParameter

ENCODINGS = ("terrarium", "terrain-rgb")
UNITS = ("m", "ft", "us-ft", "cm", "dm", "mm", "km")
RAW_TYPES = ("u8", "u16", "u16be", "i16", "i16be", "f32", "f32be")


@dataclass(frozen=True, kw_only=True)
class RasterOptions:
    """layer: an EXR's part, layer or channel, or a band by number or description. encoding: how colours hold heights.
    height_unit: of the stored heights. nodata: the value that stands for no data, "none" to take every value as a height, ""
    to recognise the usual ones. raw_size: (columns, rows) of a grid of bare numbers. raw_type: of its numbers.
    snap_classes: whether a colour that is no class counts as the nearest one.
    """

    layer: str = ""
    encoding: str = ""
    height_unit: str = ""
    nodata: str = ""
    raw_size: tuple[int, int] | None = None
    raw_type: str = ""
    snap_classes: bool = False

    def __post_init__(self) -> None:
        for name, known in (("encoding", ENCODINGS), ("height_unit", UNITS), ("raw_type", RAW_TYPES)):
            value = getattr(self, name)
            if value and value not in known:
                raise InvalidParameter(f"{_flag(name)} is {value!r}; it must be one of {', '.join(known)}.", field=name)
        if self.nodata and self.nodata != "none":
            try:
                float(self.nodata)
            except ValueError:
                raise InvalidParameter(
                    f"--nodata is {self.nodata!r}; it must be a number, or none.", field="nodata"
                ) from None

    def to_json(self) -> dict[str, Any]:
        """What was said, for a recipe; {} for nothing."""
        said = {name: value for name, value in asdict(self).items() if value not in ("", None, False)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}


NOTHING_SAID = RasterOptions()


def from_json(said: Any) -> RasterOptions:
    """What to_json() wrote; unknown names, from a later version, are refused. Raises InvalidParameter."""
    said = dict(said) if isinstance(said, Mapping) else {}
    known = {entry.name for entry in fields(RasterOptions)}
    for name in said:
        if name not in known:
            raise InvalidParameter(f"Unknown reading option {name!r}.", field=str(name))
    size = said.pop("raw_size", None)
    if size is not None:
        said["raw_size"] = parse_size(size if isinstance(size, str) else "x".join(map(str, size)), "--raw-size")
    words: dict[str, Any] = {
        name: value if name == "raw_size" else bool(value) if name == "snap_classes" else str(value)
        for name, value in said.items()
    }
    return RasterOptions(**words)


def parse_size(text: str, option: str) -> tuple[int, int]:
    """(columns, rows) from "512" or "1024x512". Raises InvalidParameter."""
    found = re.fullmatch(r"\s*(\d{1,7})(?:\s*[x*×,:]\s*(\d{1,7}))?\s*", str(text), re.IGNORECASE)
    if not found or not int(found[1]) or (found[2] and not int(found[2])):
        raise InvalidParameter(
            f"{option} is {text!r}; it must be one number, such as 512, or width x height, such as 1024x512.",
            field=option.lstrip("-").replace("-", "_"),
        )
    return int(found[1]), int(found[2] or found[1])


def add_options(group: argparse._ArgumentGroup, taken: Mapping[str, Any]) -> None:
    """An option for each field, where the engine has none of that name. taken: the parser's options."""
    for name, metavar, text in (
        ("layer", "NAME", "the part, layer or channel of an EXR, or the band of a GeoTIFF, to read"),
        ("nodata", "VALUE", "the value that stands for no data; none takes every value as a height"),
        (
            "height_unit",
            "UNIT",
            f"the unit of the stored heights: {', '.join(UNITS)} [default: as the file says, else m]",
        ),
        ("encoding", "NAME", f"decode heights from an image's colours: {' or '.join(ENCODINGS)}"),
        ("raw_size", "WxH", "columns and rows of a .raw or .r16 file, such as 1024x512"),
        ("raw_type", "TYPE", f"its numbers: {', '.join(RAW_TYPES)} [default: by the file's length]"),
    ):
        if _flag(name) not in taken:
            group.add_argument(_flag(name), dest=f"raster:{name}", metavar=metavar, help=text)


def add_class_options(group: argparse._ArgumentGroup) -> None:
    """What can be said of pictures in the colours of classes."""
    text = "take a colour that is no class for the nearest one instead of reporting an error"
    group.add_argument("--snap-classes", dest="raster:snap_classes", action="store_true", help=text)


def given(namespace: argparse.Namespace, before: Any) -> RasterOptions:
    """What the command line says, over what a recipe says."""
    said = {n.removeprefix("raster:"): v for n, v in vars(namespace).items() if n.startswith("raster:") and v}
    return from_json({**(before if isinstance(before, Mapping) else {}), **said})


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
