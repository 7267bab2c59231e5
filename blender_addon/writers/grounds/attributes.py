"""The weights of a terrain's grounds as attributes of its mesh: written where it wears texture sets, renewed with each result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import bpy
import numpy as np

from ... import typed
from ...datablocks import grid
from ...shared.arrays import CLASS_MAP, Array
from ...shared.catalog import algorithms
from .. import materials, record
from . import weights

PREFIX = "ground_"  # of the attributes: ground_grassland, 0..1
CLASSES = "classes"  # attribute: number of the class
_NAMES_KEY = "relievo_classes"  # custom property of an object: the names of its classes, by their numbers


def note_classes(item: bpy.types.Object, outputs: Mapping[str, Array]) -> None:
    """Keep the names of a terrain's classes on it."""
    array = outputs.get(CLASSES)
    names = array.attributes.get("names") if array is not None and array.kind is CLASS_MAP else None
    if names:
        item[_NAMES_KEY] = [str(name) for name in names]
    elif _NAMES_KEY in item:
        del item[_NAMES_KEY]


def classes_of(item: bpy.types.Object) -> tuple[str, ...]:
    """The names of a terrain's classes, by their numbers; () where it has none. Cheap: for draw()."""
    if not isinstance(item.data, bpy.types.Mesh) or CLASSES not in item.data.attributes:
        return ()
    names = item.get(_NAMES_KEY)
    if names is not None:
        return tuple(names)
    recipe = record.recipe_on(item)  # made by a version that kept no names
    spec = next((spec for spec in algorithms() if recipe is not None and spec.name == recipe["algorithm"]), None)
    ports = spec.inputs if spec is not None else ()
    return next((tuple(name for name, _ in port.classes) for port in ports if port.classes), ())


def names(layers: Sequence[str]) -> dict[str, str]:
    """The attribute of each layer."""
    return {layer: f"{PREFIX}{'_'.join(layer.lower().split())}" for layer in layers}


def renew(item: bpy.types.Object) -> dict[str, str]:
    """Write the weights of all grounds by class, slope and flow; returns the attribute of each layer that there is, {} for a
    terrain without classes.
    """
    mesh, classes = typed.mesh(item), classes_of(item)
    shape = grid.shape_of(mesh)
    remove(item)
    if not classes or shape is None:
        return {}
    numbers, slope = _values(mesh, CLASSES, shape), _values(mesh, "slope", shape)
    if numbers is None or slope is None:
        return {}
    flow = _values(mesh, "flow", shape)
    cells = flow / float(mesh[grid.SPACING_KEY]) ** 2 if flow is not None else None
    shares = weights.of(classes, np.rint(numbers).astype(np.int32), slope, cells, _colors(item, shape))
    made = names(tuple(name for name, values in shares.items() if values.any()))
    for layer, attribute in made.items():
        data = typed.of(mesh.attributes.new(attribute, "FLOAT", "POINT"), bpy.types.FloatAttribute).data
        data.foreach_set("value", np.ascontiguousarray(shares[layer], np.float32).ravel())
    return made


def remove(item: bpy.types.Object) -> None:
    """Take the weights away."""
    attributes = typed.mesh(item).attributes
    for name in [attribute.name for attribute in attributes if attribute.name.startswith(PREFIX)]:
        attributes.remove(attributes[name])


def _colors(item: bpy.types.Object, shape: tuple[int, int]) -> np.ndarray | None:
    """The terrain's colours, linear [H, W, 3], where its image has a pixel for each vertex."""
    image = materials.color_image_of(item)
    if image is None or typed.size(image) != shape[::-1]:
        return None
    pixels = typed.read_pixels(image).reshape(*shape, -1)[::-1, :, :3]
    return pixels if typed.color_space(image) != "sRGB" else pixels**2.2


def _values(mesh: bpy.types.Mesh, name: str, shape: tuple[int, int]) -> np.ndarray | None:
    """An attribute per vertex as [H, W], None where there is none."""
    attribute = mesh.attributes.get(name)
    if not isinstance(attribute, (bpy.types.FloatAttribute, bpy.types.IntAttribute)) or attribute.domain != "POINT":
        return None
    values = np.empty(shape[0] * shape[1], np.int32 if isinstance(attribute, bpy.types.IntAttribute) else np.float32)
    attribute.data.foreach_get("value", values)
    return values.reshape(shape).astype(np.float32)
