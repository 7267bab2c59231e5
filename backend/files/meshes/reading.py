"""What a mesh file means: triangles in the file's own axes and unit, with their UVs where it has some."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from backend.files.kinds import Reading
from backend.files.meshes import frames, geomview, gltf, stanford, stereolithography, wavefront
from backend.files.meshes.material_overlap import overlapping_materials
from backend.files.meshes.polygons import BrokenMesh, Polygons, to_triangles
from backend.runtime.memory import available_bytes
from shared.arrays import MESH, Array, check
from shared.errors import InvalidInput, OutOfMemory
from shared.read_files import MIB, read_bytes

logger = logging.getLogger(__name__)

_DECODERS: dict[str, Callable[[Path, bytes], Polygons]] = {
    ".obj": lambda path, data: wavefront.decode(data, path.parent),
    ".ply": lambda _, data: stanford.decode(data),
    ".off": lambda _, data: geomview.decode(data),
    ".stoff": lambda _, data: geomview.decode(data),
    ".glb": lambda path, data: gltf.decode(data, path.parent),
    ".gltf": lambda path, data: gltf.decode(data, path.parent),
    ".stl": lambda _, data: stereolithography.decode(data),
}
FORMATS = tuple(_DECODERS)
LEAST_ROOM = 1024 * MIB  # that a file may take where nobody says how much memory there is


def read_port(path: Path, reading: Reading) -> Array:
    """What a port takes from a mesh file."""
    return read(path)


def read(path: str | Path) -> Array:
    """A MESH from OBJ, PLY (text, binary), OFF, STOFF, GLB, glTF or STL; quads and polygons as triangles, all objects joined.

    u and v are NaN where the file has none. The attribute origin [x, y, z] is there where the mesh stands so far away that it is
    counted from a point near it (frames.py); materials_sharing_uvs names those whose UVs lie over each other. Raises InvalidInput,
    with what to do, for a file that is missing, of another format, damaged, without faces, or with vertices with NaN or infinite
    coordinates, and OutOfMemory.
    """
    path = Path(path)
    decoder = _DECODERS.get(path.suffix.lower())
    if decoder is None:
        raise InvalidInput(
            f"{path.name} is not a supported mesh format.",
            hint=f"Available: {', '.join(FORMATS)}.",
            field=str(path),
        )
    try:
        array = _meaning_of(path, decoder(path, _bytes(path)))
    except MemoryError as error:
        raise OutOfMemory(
            f"{path.name} does not fit into memory.", hint="Simplify the mesh.", field=str(path)
        ) from error
    except BrokenMesh as error:
        raise InvalidInput(
            f"{path.name} {error}.", hint="Is it complete? Export it again, for example as OBJ.", field=str(path)
        ) from error
    _tell(path, array.values)
    return array


def _meaning_of(path: Path, polygons: Polygons) -> Array:
    positions, attributes = np.asarray(polygons.positions), {}
    origin = frames.origin_of(positions, np.asarray(polygons.corners, np.int64))
    if origin is not None:
        polygons = replace(polygons, positions=positions.astype(np.float64) - origin)
        attributes["origin"] = origin.tolist()
    values = to_triangles(polygons, str(path))
    if origin is not None:
        frames.tell(path, positions, origin, values)
    if polygons.face_materials is not None:
        cuts = np.maximum(np.asarray(polygons.sizes, np.int64) - 2, 0)
        shared = overlapping_materials(values, np.repeat(polygons.face_materials, cuts))
        if shared:
            attributes["materials_sharing_uvs"] = [polygons.materials[number] or "(none)" for number in shared]
    return check(Array(MESH, values, attributes), path.name)


def _bytes(path: Path) -> bytes:
    return read_bytes(path, field=str(path), most=max(available_bytes(), LEAST_ROOM))


def _tell(path: Path, mesh: np.ndarray) -> None:
    bare = int(np.isnan(mesh[:, :, 3:]).any(axis=(1, 2)).sum())
    corners = mesh[:, :, :3].reshape(-1, 3)
    sides = corners.max(axis=0) - corners.min(axis=0)
    without = "" if not bare else " without UVs" if bare == len(mesh) else f", {bare} of them without UVs"
    logger.info("%s: %d triangles%s, %.3g x %.3g x %.3g m", path.name, len(mesh), without, *sides)
