"""What each form of result becomes in Blender: one row a form (AlgorithmSpec.makes), for settings, panel, placing and previews.

An engine of a known form needs no Blender code. The rows' functions make datablocks; where they go, selection, framing and undo are
placing/results.py's business.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import bpy

from ..shared.algorithm import AlgorithmSpec, Arrays, Makes
from ..shared.arrays import Array
from ..shared.catalog import algorithms
from . import maps, result_size, rivers, terrain, textures
from .paintings import canvases, painted_meshes
from .preview_objects import Canvas, Look, Terrain, Texture
from .result_size import Cost

Item = tuple[
    str, str, str, str, int
]  # identifier, label, help, icon, and the number that .blend files hold: it never changes


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is to be put somewhere. choice: one of the form's items. uv_layer: of the mesh that it goes on, "" for its own.
    prepared: what the form's prepare() has made of it. rivers: what becomes of a terrain's rivers, out of rivers.ITEMS.
    """

    outputs: Arrays
    choice: str
    name: str
    recipe: Mapping[str, Any]
    scene: bpy.types.Scene
    location: tuple[float, float, float] = (0.0, 0.0, 0.0)
    uv_layer: str = ""
    prepared: Any = None
    rivers: str = rivers.RIBBON


Preparing = Generator[float, None, Any]
Prepare = Callable[[Result, bpy.types.Object | None], Preparing]
CostOf = Callable[[str, int, int], Cost | None]


def _nothing_to_prepare(_result: Result, _target: bpy.types.Object | None) -> Preparing:
    """For forms whose results are put together at once."""
    return
    yield


@dataclass(frozen=True, kw_only=True)
class Writer:
    """A form of result. items: what it can become; setting: the name of the scene's setting that says which, under this label.

    button: the text of the button that starts it; held: of the one that places a result that waits. goes_on_mesh: whether it is
    put on a mesh that is there, the one that was read or the selected one. goes_back: choices with which a result goes back onto
    the mesh whose surface was read, where one was. frames: whether a new one can be brought into view.
    make: something new; put_on: in the place of, or onto, an object; both return what Show has to show. prepare: the slow part
    of either beforehand, in steps. cost: of a choice of rows x columns, None where it is never large. look: a preview's, by what
    has come of it first.
    """

    items: tuple[Item, ...]
    setting: str
    label: str
    help: str
    button: str
    held: str
    make: Callable[[Result], bpy.types.ID]
    put_on: Callable[[Result, bpy.types.Object], bpy.types.ID]
    prepare: Prepare = _nothing_to_prepare
    cost: CostOf = lambda _choice, _rows, _columns: None
    look: Callable[[Arrays], Look | None] = lambda _preview: None
    goes_on_mesh: bool = False
    goes_back: frozenset[str] = frozenset()
    frames: bool = True

    def mesh_of(self, sources: Mapping[str, Sequence[Any]], choice: str) -> str:
        """Name of the mesh that a result goes back onto, by the sources of its inputs; "" for none. Cheap: for draw()."""
        given = (source for entries in sources.values() for source in entries) if choice in self.goes_back else ()
        return next((source.name for source in given if source.kind == "surface"), "")


def of(spec: AlgorithmSpec) -> Writer:
    """The row of an engine."""
    return WRITERS[spec.makes]


def has_rivers(spec: AlgorithmSpec) -> bool:
    """Whether an engine's terrains have rivers."""
    return spec.makes == "terrain" and any(port.name == rivers.PORT for port in spec.outputs)


# Terrains ------------------------------------------------------------------------------------------------------------


def _by_name(result: Result) -> dict[str, Array]:
    """One array by name: the first of a port, or each of them where they have names; class maps with the names of their classes."""
    split = maps.with_names_split(result.outputs)
    spec = next((spec for spec in algorithms() if spec.name == result.recipe.get("algorithm")), None)
    names = {port.name: [name for name, _ in port.classes] for port in (spec.outputs if spec else ()) if port.classes}
    first = {name: given[0] for name, given in split.items() if given}
    return {
        name: replace(array, attributes={"names": names[name], **array.attributes}) if name in names else array
        for name, array in first.items()
    }


def _make_terrain(result: Result) -> bpy.types.ID:
    return terrain.make(
        _by_name(result),
        kind=result.choice,
        name=result.name,
        location=result.location,
        recipe=result.recipe,
        scene=result.scene,
        mesh=result.prepared,
        with_rivers=result.rivers,
    )


def _prepare_terrain(result: Result, target: bpy.types.Object | None) -> Preparing:
    outputs = _by_name(result)
    return terrain.mesh_in_steps(outputs, kind=result.choice, name=result.name, target=target)


def _replace_terrain(result: Result, target: bpy.types.Object) -> bpy.types.ID:
    outputs = _by_name(result)
    return terrain.replace(
        target,
        outputs,
        kind=result.choice,
        recipe=result.recipe,
        mesh=result.prepared,
        with_rivers=result.rivers,
    )


# Surfaces ------------------------------------------------------------------------------------------------------------


def _make_surface(result: Result) -> bpy.types.ID:
    return textures.make(
        result.outputs, name=result.name, depth=result.choice, uv_layer=result.uv_layer, recipe=result.recipe
    )


def _put_on_surface(result: Result, target: bpy.types.Object) -> bpy.types.ID:
    textures.put_on(target, result.outputs, depth=result.choice, uv_layer=result.uv_layer, recipe=result.recipe)
    return target


# Paintings and maps --------------------------------------------------------------------------------------------------

GOES_BACK = frozenset({"CANVAS", "IMPASTO"})  # paintings that a mesh wears whose picture was painted


def _make_painting(result: Result) -> bpy.types.ID:
    return canvases.make(
        result.outputs,
        choice=result.choice,
        name=result.name,
        location=result.location,
        scene=result.scene,
        recipe=result.recipe,
    )


def _replace_painting(result: Result, target: bpy.types.Object) -> bpy.types.ID:
    slot = painted_meshes.slot_of(result.recipe) if result.choice in GOES_BACK else None
    if slot is not None:
        painted_meshes.put_on(target, result.outputs, slot=slot, uv_layer=result.uv_layer, recipe=result.recipe)
        return target
    return canvases.replace(target, result.outputs, choice=result.choice, recipe=result.recipe)


def _make_maps(result: Result) -> bpy.types.ID:
    return next(iter(maps.make(result.outputs, name=result.name, recipe=result.recipe).values()))


def _make_maps_again(result: Result, _target: bpy.types.Object) -> bpy.types.ID:
    """Maps replace no object: they are made beside the old ones."""
    return _make_maps(result)


# The rows ------------------------------------------------------------------------------------------------------------

WRITERS: Mapping[Makes, Writer] = {
    "terrain": Writer(
        items=(
            (
                "MESH",
                "Mesh",
                "A mesh with real positions: exact, for every render engine and for export",
                "MESH_GRID",
                0,
            ),
            (
                "GEOMETRY_NODES",
                "Geometry Nodes",
                "A grid displaced by Geometry Nodes from a packed 32-bit height image: stays editable",
                "GEOMETRY_NODES",
                1,
            ),
            (
                "DISPLACE",
                "Displace",
                "A grid with a Displace modifier that reads a packed 32-bit height image",
                "MOD_DISPLACE",
                2,
            ),
            (
                "ADAPTIVE",
                "Adaptive",
                "A plane that Cycles subdivides while rendering: the finest detail with the least memory",
                "MOD_SUBSURF",
                3,
            ),
            (
                "IMAGES",
                "Images",
                "Only packed 32-bit images, one for each output, and nothing in the scene",
                "IMAGE_DATA",
                4,
            ),
        ),
        setting="kind",
        label="Result",
        help="What to make of the terrain",
        button="Generate",
        held="Place as a New Object",
        make=_make_terrain,
        put_on=_replace_terrain,
        prepare=_prepare_terrain,
        cost=result_size.of,
        look=Terrain.of,
    ),
    "surface": Writer(
        items=(
            ("BYTE", "8-bit", "PNG with 256 levels, colours in sRGB, like photographs", "NONE", 0),
            (
                "SHORT",
                "16-bit",
                "PNG with 65536 levels: for heavy grading and further editing",
                "NONE",
                1,
            ),
            ("FLOAT", "EXR", "32-bit floating point in linear light: for compositing", "NONE", 2),
        ),
        setting="depth",
        label="Depth",
        help="How textures are stored",
        button="Texture",
        held="Place as a Material",
        make=_make_surface,
        put_on=_put_on_surface,
        look=Texture.of,
        goes_on_mesh=True,
        frames=False,
    ),
    "painting": Writer(
        items=(
            (
                "CANVAS",
                "Canvas",
                "A plane that shows the picture; its strokes are hidden, editable curves",
                "IMAGE_PLANE",
                0,
            ),
            (
                "IMPASTO",
                "Impasto",
                "A surface of thick paint that light falls on, raised by a packed 32-bit height image",
                "MOD_DISPLACE",
                3,
            ),
            ("STROKES", "Strokes", "Editable curves on an empty canvas, in painting order", "OUTLINER_OB_CURVES", 1),
            ("IMAGES", "Images", "Only the packed picture, and nothing in the scene", "IMAGE_DATA", 2),
        ),
        setting="painting",
        label="Result",
        help="What to make of the painting",
        button="Paint",
        held="Place as a New Object",
        make=_make_painting,
        put_on=_replace_painting,
        look=Canvas.of,
        goes_back=GOES_BACK,
    ),
    "maps": Writer(
        items=(
            ("IMAGES", "Images", "Packed images, one for each output, in their own colour spaces", "IMAGE_DATA", 0),
        ),
        setting="maps",
        label="Result",
        help="What to make of the maps",
        button="Make Maps",
        held="Keep as Images",
        make=_make_maps,
        put_on=_make_maps_again,
        frames=False,
    ),
}
