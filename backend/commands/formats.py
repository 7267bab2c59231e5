"""Which files an output becomes: what --format takes for an engine, and what is written when it is not given.

Names only, from the table by kind (backend/files/kinds.py); nothing is written here and nothing heavy imported, so that --help
stays quick.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backend.files.kinds import EMBEDDED, ENDINGS, file_kind
from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import COLOR_IMAGE, HEIGHT_MAP, MESH
from shared.errors import InvalidParameter


def of_spec(spec: AlgorithmSpec) -> tuple[str, ...]:
    """The formats that some output of the engine can be written in, in the table's order."""
    held = {name for port in spec.outputs for name in file_kind(port.kind).formats}
    return tuple(name for name in ENDINGS if name in held)


def defaults(spec: AlgorithmSpec) -> tuple[str, ...]:
    """What is written where no format is asked for, over all outputs."""
    return tuple(dict.fromkeys(name for port in spec.outputs for name in file_kind(port.kind).default_for(spec)))


def resolve(spec: AlgorithmSpec, words: Sequence[str] | None) -> dict[str, list[str]]:
    """Each output port's formats: those asked for that can hold it, else its defaults. Raises InvalidParameter.

    words: what --format was given, a comma between names or not.
    """
    asked = list(dict.fromkeys(name for word in words or () for name in str(word).split(",") if name))
    known = of_spec(spec)
    for name in asked:
        if name not in known:
            raise InvalidParameter(f"--format is {name!r}; it must be {', '.join(known)}.", field="format")
    if "png16" in asked and "png8" in asked:
        raise InvalidParameter(
            "--format png8 and png16 would write the same file.", hint="Choose one of them.", field="format"
        )
    made = {port.name: _of_port(spec, port, asked) for port in spec.outputs}
    return _with_picture(spec, _with_colors(spec, made, asked), asked)


def _of_port(spec: AlgorithmSpec, port: Port, asked: Iterable[str]) -> list[str]:
    row = file_kind(port.kind)
    return [name for name in asked if name in row.formats] or list(row.default_for(spec))


def _with_colors(spec: AlgorithmSpec, made: dict[str, list[str]], asked: Sequence[str]) -> dict[str, list[str]]:
    """The material of heights as OBJ names a picture of their colours: where none was asked for, a PNG is made as well."""
    heights = [port for port in spec.outputs if port.kind is HEIGHT_MAP]
    if "obj" not in asked or not heights:
        return made
    colors = next((port.name for port in spec.outputs if port.kind is COLOR_IMAGE), "")
    if not colors or any(ENDINGS[name] in EMBEDDED for name in made[colors]):
        return made
    return made | {colors: [*made[colors], "png16"]}


def _with_picture(spec: AlgorithmSpec, made: dict[str, list[str]], asked: Sequence[str]) -> dict[str, list[str]]:
    """A GLB holds its textures as PNG or JPEG: where there will be none, it is refused, or not made by default."""
    ports = [port for port in spec.outputs if port.kind.shows == "color" and spec.makes == "surface"]
    textures = [name for port in ports for name in made[port.name]]
    if not any(port.kind is MESH for port in spec.outputs) or not textures:
        return made
    if any(ENDINGS[name] in EMBEDDED for name in textures):
        return made
    if "glb" in asked:
        raise InvalidParameter(
            "A GLB contains its texture as PNG or JPEG, and neither format is selected.",
            hint="Add png8 to --format.",
            field="format",
        )
    return {port: [name for name in names if name != "glb"] for port, names in made.items()}
