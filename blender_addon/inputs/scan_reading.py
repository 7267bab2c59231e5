"""A scan's sources -> arrays: the mesh, the cameras, and for each camera its photograph, mask and drawn maps.

All of a job are read in one Reading, so that a photograph's header is looked at once and a view is drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import bpy
import numpy as np

from ..readers import cameras, masks, photographs, scans, uv_maps
from ..readers.source import Source, from_json
from ..shared.algorithm import Port
from ..shared.arrays import MESH, PHOTOGRAPH, Array
from ..shared.cameras import Camera, to_array
from ..shared.codec import MAX_TOTAL_BYTES
from ..shared.errors import InvalidInput
from ..writers import undistorted_backgrounds
from .scan_sources import FOLLOWING

BYTES_A_PIXEL = 16  # of drawn maps: two UVs, a depth, a cosine


class Reading:
    """Reads the sources of one job. Raises InvalidInput for what is gone, is none, or does not fit together."""

    def __init__(
        self, context: bpy.types.Context, given: Mapping[str, tuple[Source, ...]], params: Mapping[str, Any]
    ) -> None:
        """given: all the job's sources, by port. params: the job's, of which one may say that the mesh gets new UVs."""
        self._context = context
        self._renews_uvs = params.get("unwrap") == "always"
        self._drawn_cameras = [source.name for entry in given.values() for source in entry if source.kind == "uv_map"]
        self._photographs: dict[str, photographs.Photograph] = {}
        self._views: dict[str, dict[str, Array]] = {}

    def read(self, source: Source, port: Port) -> Array:
        """The array that one source stands for now."""
        readers: dict[str, Callable[[Source], Array]] = {
            "object": self._mesh,
            "collection": self._occluders,
            "cameras": self._cameras,
            "photograph": self._photograph,
            "mask": self._mask,
            "uv_map": self._drawn,
            "depth_map": self._drawn,
            "facing_map": self._drawn,
        }
        if source.kind not in readers:
            raise InvalidInput(f"{port.label} cannot be read from {source.kind}.", field=port.name)
        return readers[source.kind](source)

    @property
    def _depsgraph(self) -> bpy.types.Depsgraph:
        return self._context.evaluated_depsgraph_get()

    def _origin(self, source: Source) -> np.ndarray:
        """What everything of one job is counted from: the middle of the scanned mesh."""
        name = source.options.get("mesh", "") or source.name
        return scans.origin_of(_object(name, "MESH"), self._depsgraph) if name else np.zeros(3)

    # Meshes ---------------------------------------------------------------------------------------------------------

    def _mesh(self, source: Source) -> Array:
        item = _object(source.name, "MESH")
        if source.options.get("mesh", source.name) != source.name:
            return scans.occluders([item], self._depsgraph, self._origin(source))
        return scans.mesh(item, self._depsgraph, self._origin(source), renews_uvs=self._renews_uvs)

    def _occluders(self, source: Source) -> Array:
        return scans.occluders(self._hiding(source), self._depsgraph, self._origin(source))

    def _hiding(self, source: Source) -> list[bpy.types.Object]:
        if source.kind == "object":
            return [_object(source.name, "MESH")]
        collection = bpy.data.collections.get(source.name)
        if collection is None:
            raise InvalidInput(
                f"The collection {source.name!r} is gone or was renamed.",
                hint="Pick another under From.",
                field=source.name,
            )
        return scans.in_collection(collection, apart_from=bpy.data.objects.get(str(source.options.get("mesh", ""))))

    # Cameras --------------------------------------------------------------------------------------------------------

    def _cameras(self, source: Source) -> Array:
        origin = self._origin(source)
        return to_array(self._camera(_object(name, "CAMERA"), origin) for name in source.options.get("names", ()))

    def _camera(self, item: bpy.types.Object, origin: np.ndarray | None = None) -> Camera:
        taken = self._taken(item)
        return cameras.camera(item, self._depsgraph, taken.size, name=taken.name, origin_m=origin)

    def _taken(self, item: bpy.types.Object) -> photographs.Photograph:
        if item.name not in self._photographs:
            self._photographs[item.name] = photographs.read(item)
        return self._photographs[item.name]

    def _photograph(self, source: Source) -> Array:
        item = _object(source.name, "CAMERA")
        taken = self._taken(item)
        if self._is_straightened(source, item):
            return Array(
                PHOTOGRAPH, undistorted_backgrounds.straightened(taken.data, self._camera(item)), {"name": taken.name}
            )
        return taken.array

    def _mask(self, source: Source) -> Array:
        item = _object(source.name, "CAMERA")
        camera = self._camera(item) if cameras.is_pinhole(item) else None
        return masks.read(item, self._taken(item), camera, straightened=self._is_straightened(source, item))

    def _is_straightened(self, source: Source, item: bpy.types.Object) -> bool:
        """Maps drawn here are a pinhole's, and then nobody else knows the lens: the photograph has to be one's, too."""
        return (
            bool(source.options.get("drawn_here")) and not cameras.distortion(item).is_none and cameras.is_pinhole(item)
        )

    # Maps drawn by Cycles -------------------------------------------------------------------------------------------

    def _drawn(self, source: Source) -> Array:
        if not self._views:
            self._draw(source)
        return self._views[source.name].pop(source.kind)

    def _draw(self, source: Source) -> None:
        """The views of all cameras, with the mesh copied once."""
        mesh = _object(str(source.options.get("mesh", "")), "MESH")
        items = [_object(name, "CAMERA") for name in self._drawn_cameras]
        sizes = [self._taken(item).size for item in items]
        if sum(width * height * BYTES_A_PIXEL for width, height in sizes) > MAX_TOTAL_BYTES:
            raise InvalidInput(
                f"The UV maps of these photographs take more than {MAX_TOTAL_BYTES >> 30} GiB.",
                hint="Make smaller copies of the photographs, or use perspective cameras: those need no maps.",
                field="uv_maps",
            )
        hides = [item for entry in source.options.get("occluders", ()) for item in self._hiding(from_json(entry))]
        views = uv_maps.draw(mesh, hides, list(zip(items, sizes, strict=True)), self._context)
        for item, view in zip(items, views, strict=True):
            self._views[item.name] = view.arrays


def _object(name: str, kind: str) -> Any:
    """The object of that name; InvalidInput when it is gone or is another kind of object by now."""
    item = bpy.data.objects.get(name)
    if item is None or item.type != kind:
        raise InvalidInput(
            f"The {kind.lower()} {name!r} is gone or was renamed." if name else "No mesh is picked.",
            hint="Pick another under From.",
            field=name,
        )
    return item


def is_read_here(source: Source, port: Port) -> bool:
    """Whether a source is part of a scan."""
    return port.kind is MESH or source.kind in ("cameras", *FOLLOWING.values())
