"""Which files an output becomes: the formats of --format, which kinds each can hold, and what is written when none is asked for.

Names only; nothing is written here and nothing heavy imported, so that --help stays quick.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.algorithm import AlgorithmSpec
from shared.arrays import COLOR_IMAGE, MASK, MESH, REPORT, TEXTURE, ArrayKind
from shared.errors import InvalidParameter


@dataclass(frozen=True)
class Format:
    """kinds: those it can hold, None for every map."""

    ending: str
    kinds: tuple[ArrayKind, ...] | None = None

    def holds(self, kind: ArrayKind) -> bool:
        return kind.axes[:2] == ("H", "W") if self.kinds is None else kind in self.kinds


FORMATS: dict[str, Format] = {
    "npy": Format(".npy"),
    "exr": Format(".exr"),
    "tif": Format(".tif"),
    "png16": Format(".png"),
    "png8": Format(".png", (TEXTURE, COLOR_IMAGE, MASK)),
    "jpg": Format(".jpg", (TEXTURE, COLOR_IMAGE)),
    "obj": Format(".obj", (MESH,)),
    "glb": Format(".glb", (MESH,)),
    "json": Format(".json", (REPORT,)),
}
PICTURED = (".png", ".jpg")  # what a GLB takes in as its texture


def of_spec(spec: AlgorithmSpec) -> tuple[str, ...]:
    """The formats that some output of the algorithm can be written in, in the table's order."""
    return tuple(name for name, made in FORMATS.items() if any(made.holds(port.kind) for port in spec.outputs))


def defaults(spec: AlgorithmSpec, kind: ArrayKind) -> tuple[str, ...]:
    """Exact numbers and a georeferenced map for terrain; for what belongs to a texture what opens in Blender at once."""
    if kind is MESH:
        return ("obj", "glb")
    if kind is REPORT:
        return ("json",)
    return ("png16",) if any(port.kind is TEXTURE for port in spec.outputs) else ("npy", "tif")


def resolve(spec: AlgorithmSpec, words: Sequence[str] | None) -> dict[str, list[str]]:
    """Each output port's formats: those asked for that can hold it, else its defaults. Raises InvalidParameter.

    words: what --format was given, a comma between names or not.
    """
    asked = list(dict.fromkeys(name for word in words or () for name in str(word).split(",") if name))
    known = of_spec(spec)
    for name in asked:
        if name not in known:
            raise InvalidParameter(f"--format is {name!r}; it takes {', '.join(known)}.", field="format")
    if "png16" in asked and "png8" in asked:
        raise InvalidParameter("--format png8 and png16 would be one file.", hint="Choose one of them.", field="format")
    made = {port.name: _of_kind(spec, port.kind, asked) for port in spec.outputs}
    return _with_picture(spec, made, asked)


def _of_kind(spec: AlgorithmSpec, kind: ArrayKind, asked: Iterable[str]) -> list[str]:
    return [name for name in asked if FORMATS[name].holds(kind)] or list(defaults(spec, kind))


def _with_picture(spec: AlgorithmSpec, made: dict[str, list[str]], asked: Sequence[str]) -> dict[str, list[str]]:
    """A GLB holds its texture as PNG or JPEG: where there will be none, it is refused, or not made by default."""
    textures = [name for port in spec.outputs if port.kind is TEXTURE for name in made[port.name]]
    if not textures or any(FORMATS[name].ending in PICTURED for name in textures):
        return made
    if "glb" in asked:
        raise InvalidParameter(
            "A GLB takes its texture in as PNG or JPEG, and neither is written.",
            hint="Add png8 to --format.",
            field="format",
        )
    return {port: [name for name in names if name != "glb"] for port, names in made.items()}
