"""From an algorithm's declaration to command-line options, and from what was given back to ports and parameters.

Nothing is said here of any one algorithm. Values are checked by shared/params.py, not by argparse, so that the command line, the
wire and Blender refuse the same things in the same words.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from backend.cli import Parser
from backend.commands.posed_photographs import takes_folder, takes_views
from backend.files.raster_options import parse_size
from shared.algorithm import AlgorithmSpec, Port, classes_text
from shared.errors import InvalidParameter
from shared.params import Param, with_role
from shared.read_files import MIB, read_text

PORT, PARAM = "port:", "param:"  # prefixes of argparse destinations: a port and an option of one name stay apart
MOST_JSON_BYTES = MIB
UNITS = ("_m", "_px", "_deg", "_yr", "_s")


def add_ports(parser: Parser, spec: AlgorithmSpec) -> None:
    """An option an input port: --height FILE; a port of many takes several files and may be repeated."""
    if not spec.inputs:
        return
    group = parser.add_argument_group("inputs")
    if takes_views(spec):
        text = "photographs with UV maps: images/ID.jpg or .png, uvs/ID.exr with R = u, G = 1-v, -1 outside, and masks/ID.png"
        group.add_argument("--views", metavar="DIR", help=text)
    for port in spec.inputs:
        text = port.help[:1].lower() + port.help[1:].rstrip(".") + _port_note(port)
        options: dict[str, Any] = {"nargs": "+", "action": "extend"} if port.many else {}
        group.add_argument(
            flag(port.name),
            dest=PORT + port.name,
            metavar="PATH" if takes_folder(port) else "FILE",
            default=argparse.SUPPRESS,
            help=_escape(text),
            **options,
        )


def _port_note(port: Port) -> str:
    several = "a folder, or several files" if takes_folder(port) else "several files may be given"
    notes = ["optional"] * port.optional + [several] * port.many
    notes += [f"not needed with {flag(port.unless)}"] if port.unless else []
    if port.classes:
        notes.append(f"an image of the classes' colours, or grey with their numbers: {classes_text(port)}")
    if port.any_colors:
        notes.append("an image with one colour for each, or grey with their numbers")
    return f" ({'; '.join(notes)})" if notes else ""


def add_parameters(parser: Parser, parameters: Iterable[Param]) -> None:
    """An option per parameter, in the declaration's groups."""
    groups: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.group not in groups:
            groups[parameter.group] = parser.add_argument_group(parameter.group.lower() or "settings")
        _add_parameter(groups[parameter.group], parser, parameter)


def _add_parameter(group: Any, parser: Parser, parameter: Param) -> None:
    names = [flag(parameter.name)]
    short = flag(_without_unit(parameter.name))
    if short not in names and short not in parser._option_string_actions:
        names.insert(0, short)
    common: dict[str, Any] = {
        "dest": PARAM + parameter.name,
        "default": argparse.SUPPRESS,
        "help": _escape(_describe(parameter)),
    }
    if parameter.type == "bool":
        group.add_argument(*names, action=argparse.BooleanOptionalAction, **common)
    else:
        group.add_argument(*names, type=_converter(parameter), metavar=_metavar(parameter), **common)


SIZE = "sides"  # where --size goes for an engine that has a width and a height


def add_size(parser: Parser, parameters: Iterable[Param]) -> None:
    """--size 512 or 1024x512 for an engine that has a width and a height."""
    sides = _sides(parameters)
    if sides and "--size" not in parser._option_string_actions:
        names = " and ".join(flag(_without_unit(name)) for name in sides)
        text = f"both sides: 512 for a square, or width x height, such as 1024x512; {names} override it"
        parser.add_argument_group("size").add_argument("--size", dest=SIZE, metavar="WxH", help=text)


def sides(namespace: argparse.Namespace, parameters: Iterable[Param]) -> dict[str, int]:
    """What --size says, by parameter. Raises InvalidParameter."""
    text = getattr(namespace, SIZE, None)
    return dict(zip(_sides(parameters), parse_size(text, "--size"), strict=True)) if text else {}


def _sides(parameters: Iterable[Param]) -> tuple[str, ...]:
    """The names of the parameters for width and height, in this order; () where there are no such two."""
    found = {parameter.name.partition("_")[0]: parameter.name for parameter in with_role(parameters, "size")}
    return (found["width"], found["height"]) if found.keys() == {"width", "height"} else ()


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _without_unit(name: str) -> str:
    return next((name.removesuffix(unit) for unit in UNITS if name.endswith(unit)), name)


def _metavar(parameter: Param) -> str:
    if parameter.type == "choice":
        return "NAME"
    if parameter.role == "json":
        return "JSON"
    return {"int": "N", "float": parameter.unit.upper().replace(" ", "") or "X", "str": "TEXT"}[parameter.type]


def _describe(parameter: Param) -> str:
    text = parameter.help.rstrip(".")
    notes = []
    if parameter.type == "choice":
        notes.append("one of " + ", ".join(value for value, _ in parameter.choices))
    if parameter.min is not None and parameter.max is not None and parameter.type in ("int", "float"):
        notes.append(f"{_number(parameter.min)} to {_number(parameter.max)}{_unit(parameter)}")
    elif parameter.min is not None:
        notes.append(f"{_number(parameter.min)}{_unit(parameter)} or more")
    if parameter.type == "bool":
        notes.append("default: on" if parameter.default else "default: off")
    elif parameter.default != "":
        shown = _number(parameter.default) if parameter.type in ("int", "float") else parameter.default
        notes.append(f"default: {shown}{_unit(parameter)}")
    return f"{text} [{'; '.join(notes)}]" if notes else text


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:g}"


def _unit(parameter: Param) -> str:
    return f" {parameter.unit}" if parameter.unit else ""


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _converter(parameter: Param) -> Callable[[str], Any]:
    """Text to the JSON value that shared.params checks. What is no number stays a refusal in the same words."""

    def convert(text: str) -> Any:
        if parameter.role == "size":
            return _side(parameter, text)
        if parameter.role == "json":
            return _json_text(parameter, text)
        number: Callable[[str], Any] | None = {"int": int, "float": float}.get(parameter.type)
        if number is None:
            return text
        try:
            return number(text)
        except ValueError:
            kind = "a whole number" if parameter.type == "int" else "a number"
            raise InvalidParameter(f"{parameter.name} is {text!r}; it must be {kind}.", field=parameter.name) from None

    return convert


def _json_text(parameter: Param, text: str) -> str:
    """JSON as it stands, or what a file of that name holds; what it says is the engine's to check."""
    if not text.strip() or text.lstrip()[0] in "{[":
        return text
    return read_text(Path(text), field=parameter.name, most=MOST_JSON_BYTES)


def _side(parameter: Param, text: str) -> Any:
    """A number of pixels; 1024x1024 is 1024 where there is only one side."""
    try:
        return int(text)
    except ValueError:
        width, height = parse_size(text, flag(parameter.name))
    if width != height:
        both = parameter.name.partition("_")[0] in ("width", "height")
        raise InvalidParameter(
            f"{parameter.name} is {text!r}, two different sides; one number is needed here.",
            hint=f"--size {text} sets both." if both else f"It is square: {flag(parameter.name)} {width}.",
            field=parameter.name,
        )
    return width


def given(namespace: argparse.Namespace, prefix: str) -> dict[str, Any]:
    """What was named on the command line, by port or parameter."""
    return {name.removeprefix(prefix): value for name, value in vars(namespace).items() if name.startswith(prefix)}
